"""Visitors before a few devices: the simulation against formulas, and the documents' figures."""

import json
import math
from dataclasses import replace

import pytest

from bwcache.bench.queueing import (
    Visits,
    capacity,
    constant,
    drawn_from,
    exponential,
    mdc_wait,
    mmc_wait,
    simulate,
)
from bwcache.bench.readme import ROOT, SCALE, with_sections
from bwcache.bench.scale import LINE, WAYS, Times, formulas, recorded, scale, times_of, zerogpu
from bwcache.cli import main
from bwcache.errors import ConfigError

RESULT = ROOT / "assets" / "results" / "scale.json"


def found() -> dict:
    return json.loads(RESULT.read_text(encoding="utf-8"))


# -- formulas, by hand -----------------------------------------------------------------------------


def test_formulas_are_what_a_hand_reckons():
    """One device, load a half, 10 s a run: 10 s in line; half of that where all runs are alike."""
    assert mmc_wait(0.05, 10.0, 1) == pytest.approx(10.0)
    assert mdc_wait(0.05, 10.0, 1) == pytest.approx(5.0)
    # two servers at load 1 of 2: Erlang's C is a third, and a run leaves every 10 s on average
    assert mmc_wait(0.1, 10.0, 2) == pytest.approx(10 / 3)
    assert mmc_wait(0.2, 10.0, 2) == mdc_wait(0.2, 10.0, 2) == math.inf
    # 1 + 0.1 × 1 × (√14 − 2) / (16 × 0.9 × 2), halved
    assert mdc_wait(0.18, 10.0, 2) / mmc_wait(0.18, 10.0, 2) == pytest.approx(0.50302, abs=1e-5)


@pytest.mark.parametrize(("service", "formula"), [(exponential, mmc_wait), (constant, mdc_wait)])
@pytest.mark.parametrize("devices", [1, 3])
def test_the_simulation_waits_as_the_formula_says(service, formula, devices):
    rate = 0.7 * devices / 10.0
    visits = Visits(rate, service(10.0), visitors=60_000)
    made = simulate(visits, devices, seed=1)
    assert made.mean_wait == pytest.approx(formula(rate, 10.0, devices), rel=0.06)
    assert made.busy == pytest.approx(0.7, abs=0.01)
    assert made.refused == 0


def test_the_recorded_simulation_is_near_its_formulas_too():
    rows = found()["formulas"]
    assert rows == formulas(found()["seed"])
    assert {row["queue"] for row in rows} == {"M/M/c", "M/D/c"}
    for row in rows:
        assert row["simulated_wait"] == pytest.approx(row["formula_wait"], rel=0.1), row


# -- the simulation, by hand -----------------------------------------------------------------------


def test_a_seed_decides_everything():
    visits = Visits(0.1, drawn_from([8.0, 9.0], [4.0]), 3, 20.0, visitors=500)
    assert simulate(visits, 2, 5) == simulate(visits, 2, 5)
    assert simulate(visits, 2, 5) != simulate(visits, 2, 6)


def test_what_a_visitor_costs_is_first_and_later_runs():
    made = simulate(Visits(0.001, drawn_from([8.0], [4.0]), 3, 20.0, visitors=500), 1)
    assert made.seconds_a_visitor == pytest.approx(16.0)
    assert made.mean_wait < 1.0


def test_a_limit_on_the_line_bounds_the_wait_and_sends_visitors_away():
    visits = Visits(0.15, constant(10.0), visitors=2000)  # half as many again as can be served
    free, limited = simulate(visits, 1), simulate(replace(visits, line=3), 1)
    assert limited.longest_line == 3
    assert limited.p95_wait <= 30.0 < free.p95_wait
    assert limited.refused == pytest.approx(1 / 3, abs=0.03)
    assert free.refused == 0


def test_more_devices_hold_more_and_a_patient_visitor_more_still():
    def held(devices: int, wait: float) -> float:
        visits = Visits(1.0, constant(10.0), visitors=2000)
        of = lambda rate: replace(visits, per_second=rate)  # noqa: E731
        return capacity(of, 1.2 * devices / 10, devices, wait, 0)

    assert 0.0 < held(1, 10.0) < held(1, 60.0) < 0.1
    assert held(2, 10.0) > 2 * held(1, 10.0)


# -- times -----------------------------------------------------------------------------------------

TIMES = Times("tinyworld", "here", "by hand", (10.0,), (5.0,), (15.0,), (5.0,))


def test_ways_cost_what_they_are_made_of():
    assert [TIMES.seconds_a_visitor(way) for way in WAYS] == [30.0, 15.0, 45.0, 25.0]


def test_a_quota_holds_so_many_runs():
    """80 s of 120 that count half as much again; a comparison of 15 s asks for 8 + 1.2 × 15."""
    anonymous, free, pro = zerogpu(TIMES)
    assert anonymous[WAYS[2]] == 4  # 80, 65, 50, 35 are enough for 26; 20 are not
    assert anonymous[WAYS[3]] == 12  # 65 after the first: 11 more of 5 s, each asking for 15
    assert free[WAYS[3]] > anonymous[WAYS[3]]
    assert pro["daily_seconds"] == 2400


def test_recorded_times_are_steps_times_seconds_a_step():
    gpu = json.loads((ROOT / "assets/results/gpu-cost.json").read_text(encoding="utf-8"))
    by_name = {each.model: each for each in recorded()}
    assert "wan2.1-t2v-1.3b" in by_name
    for name, times in by_name.items():
        result = gpu["pieces"][name]["result"]
        steps = int(times.basis.split("× ")[1].split()[0])
        assert times.uncached[0] == pytest.approx(steps * result["seconds_a_step"]["median"])
        assert times.cached[0] == pytest.approx(times.uncached[0] / result["speedup_median"])
        assert times.basis.startswith("recorded")
        assert "H200" in times.device


# -- the file and the documents --------------------------------------------------------------------


def test_the_file_is_what_the_command_makes_of_its_measured_times(tmp_path, capsys):
    """A part of it, which takes seconds: the same figures, bit for bit."""
    file, out = found(), tmp_path / "scale.json"
    of = ("--measured", str(RESULT), "--replicas", "2", "--out", str(out))
    more = ("--visitors", str(file["visitors_simulated"]), "--seed", str(file["seed"]), "--json")
    assert main(["bench", "scale", *of, *more, "--wait", f"{file['wait_seconds']:g}"]) == 0
    again = json.loads(out.read_text(encoding="utf-8"))
    assert json.loads(capsys.readouterr().out) == again
    assert again["measured"] == file["measured"]
    for one, other in zip(again["models"], file["models"], strict=True):
        assert one["held"] == [row for row in other["held"] if row["replicas"] == 2]
        assert one["breaks"] == other["breaks"]
        assert one["zerogpu"] == other["zerogpu"]


def test_every_number_says_where_it_is_from():
    file = found()
    assert file["measured"]["basis"].startswith("measured")
    assert file["measured"]["load_average"] >= 0
    assert file["visitor"]["basis"] == "estimated"
    assert all(each["basis"].startswith(("measured", "recorded")) for each in file["models"])


def test_the_section_is_written_from_the_file():
    text = SCALE.read_text(encoding="utf-8")
    assert with_sections(text, SCALE) == text


def test_what_the_section_says_of_the_figures_holds():
    for each in found()["models"]:
        held = {(row["way"], row["replicas"]): row for row in each["held"]}
        one, two = (held[WAYS[3], number]["visitors_an_hour"] for number in (1, 2))
        assert two > 2 * one
        assert each["cached_seconds"] < each["uncached_seconds"] < each["first_seconds"]
        worked = {row["way"]: row["worked_seconds_a_visitor"] for row in each["held"]}
        assert 0.5 <= worked[WAYS[1]] / worked[WAYS[0]] < 0.75
        little = {"tinyworld", "wan2.2-t2v-a14b"}  # whose cached run saves less than the others'
        assert worked[WAYS[3]] < worked[WAYS[0]] or each["model"] in little
        for row in each["breaks"]:
            assert row["limited_p95_wait"] <= (LINE + 1) * each["first_seconds"] * 1.5
        heavy = each["breaks"][-1]
        assert heavy["load"] > 1
        assert heavy["refused"] > 0.03
        assert heavy["longest_line"] > 2 * LINE


# -- wrong input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        ["--rounds", "0"],
        ["--wait", "0"],
        ["--wait", "nan"],
        ["--replicas", "0"],
        ["--replicas", "1,x"],
        ["--replicas", ""],
        ["--visitors", "5"],
        ["--seed", "-1"],
        ["--measured", "nowhere.json"],
        ["--measured", "pyproject.toml"],
    ],
)
def test_wrong_options_are_one_line_and_write_nothing(options, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    out = tmp_path / "scale.json"
    try:
        status = main(["bench", "scale", *options, "--out", str(out)])
    except SystemExit as stop:
        status = stop.code
    assert status == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not out.exists()


def test_times_that_are_none_are_refused():
    with pytest.raises(ConfigError, match="measured"):
        times_of({"model": "x", "device": "y", "basis": "z"})
    with pytest.raises(ConfigError, match="replicas"):
        scale({}, replicas=[])
