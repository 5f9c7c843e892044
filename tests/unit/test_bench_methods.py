"""`bench methods`: its arithmetic by hand, and one small run that is made, resumed and reported."""

import json
from dataclasses import replace

import pytest

from bwcache import METHODS, ConfigError
from bwcache.bench.leaderboard import add_to, log_file, points_of, standings
from bwcache.bench.methods import methods
from bwcache.bench.methods_plan import CHOOSE, REPORT, Grid, Plan, plan_of, prompts_of
from bwcache.bench.methods_runs import Runs
from bwcache.bench.workload import Workload
from bwcache.cache.knob import Knob
from bwcache.cli import main
from bwcache.explore.families import (
    SHARES,
    families,
    find_families,
    knob_values,
    outwards,
    worth_reporting,
)

PROMPT = "a red circle moving right on a white background"
OTHER = "a blue square bouncing on a gray background"


def row(family, prompt, share, psnr_db, ours=False, **more):
    made = {"date": "", "commit": "", "device": "cpu", "model": "m", "steps": 30, "shift": None}
    own = {"family": family, "title": family, "ours": ours, "value": share, "config": {}}
    numbers = {"speedup": 1 / share, "psnr_db": psnr_db, "ssim": 1.0, "kept_bytes": 8}
    return {**made, **own, "prompt": prompt, "compute_share": share, **numbers, **more}


ROWS = [
    row("ours", "a", 0.4, 50.0, ours=True),
    row("ours", "b", 0.4, 40.0, ours=True),
    row("other", "a", 0.3, 40.0),
    row("other", "a", 0.5, 48.0),
    row("other", "b", 0.3, 30.0),
    row("other", "b", 0.5, 42.0),
    row("short", "a", 0.4, 60.0),
]


def test_standings_by_hand():
    """Half-way between its points the other has 44 and 36 dB at 0.4; "short" lacks a prompt."""
    at = {each["share"]: each for each in standings(ROWS)}
    assert [one["family"] for one in at[0.4]["families"]] == ["ours", "other"]
    assert at[0.4]["families"][1]["psnr_db"] == pytest.approx(40.0)
    assert at[0.4]["families"][1]["psnr_db_worst"] == pytest.approx(36.0)
    assert (at[0.4]["lead_db"], at[0.4]["lead_worst_db"]) == (pytest.approx(5), pytest.approx(4))
    assert at[0.5]["lead_db"] is None


def test_the_four_worst_prompts_are_those_of_each_family():
    """Ours 42 to 47 and one of 10; the other 30 to 35 and 40, in whatever order."""
    ours = [row("ours", str(at), 0.4, db, ours=True) for at, db in enumerate([47, 42, 10, 43, 45])]
    others = [row("other", str(at), 0.4, db) for at, db in enumerate([31, 32, 40, 30, 35])]
    (at,) = [each for each in standings([*ours, *others]) if each["share"] == 0.4]
    assert at["lead_four_worst_db"] == (10 + 42 + 43 + 45) / 4 - (30 + 31 + 32 + 35) / 4
    assert at["lead_worst_db"] == 10 - 30


def test_points_have_mean_median_worst_and_spread():
    (ours, *_) = points_of(ROWS)
    assert (ours["psnr_db"], ours["psnr_db_worst"], ours["psnr_db_spread"]) == (45.0, 40.0, 5.0)
    assert ours["compute_share"] == pytest.approx(0.4)
    assert (ours["prompts"], ours["vmaf"], ours["kept_bytes"]) == (2, None, 8)


def test_a_leaderboard_keeps_one_row_of_a_kind(tmp_path):
    path = tmp_path / "board.json"
    path.write_text(json.dumps(add_to(path, points_of(ROWS))))
    again = add_to(path, [{**points_of(ROWS)[0], "psnr_db": 1.0}])
    assert len(again["rows"]) == 4
    assert again["rows"][0]["psnr_db"] == 1.0


def test_every_method_is_a_family_and_has_values():
    found = families()
    assert {each.method for each in found.values()} == {*METHODS.values(), None}
    assert all(each.values(30) for each in found.values() if each.control)
    assert found["bwcache/paper"].values(30) == [1, 2, 3, 4, 6, 8]
    assert found["fastercache/holding"].values(30) == [2, 3, 5, 8]
    assert [each.name for each in find_families(["bwcache"])] == [
        "bwcache/paper",
        "bwcache/forecast",
    ]
    with pytest.raises(ConfigError, match="^methods: got 'nothing'"):
        find_families(["nothing"])


def test_values_of_each_kind_of_knob():
    def knob(kind, default, low=0.0, high=float("inf")):
        return Knob("x", kind, default, "", "", "", low, high, (("a", ""), ("b", "")))

    assert knob_values(knob("number", 0.4, 0.05, 1), 30) == list(SHARES)
    assert knob_values(knob("number", 0.1), 30) == []
    assert knob_values(knob("whole", 3, 1, 1000), 30) == [1, 2, 3, 4, 5, 6]
    assert knob_values(knob("whole", 12, 1, 1000), 30) == [15, 12, 10, 18, 8]
    assert knob_values(knob("choice", "a"), 30) == ["a", "b"]
    assert knob_values(knob("mask", ""), 30) == []


def test_a_knob_without_an_end_is_tried_outwards():
    """Its share is 0.4 at 0.1, and halves as it doubles; 0.05 is beyond, so is 0.2."""
    knob = Knob("x", "number", 0.1, "", "", "")
    asked = outwards(knob, lambda value: min(1.0, 0.04 / value))
    assert list(asked) == [0.1, 0.05, 0.2, 0.0707, 0.141]
    assert outwards(knob, lambda value: 1.0) == {0.1: 1.0, 0.05: 1.0, 0.2: 1.0}


def test_which_values_are_worth_reporting():
    """Those next to 0.5, 0.4 and 0.33 from both sides; what is inert or alike is none."""
    shares = {1: 1.0, 2: 0.7, 3: 0.52, 4: 0.52, 5: 0.36, 6: 0.2, 7: 0.1}
    assert worth_reporting(shares, 9) == [3, 5, 6]
    assert worth_reporting(shares, 2) == [3, 5]
    assert worth_reporting({1: 1.0}, 9) == []


@pytest.mark.parametrize("text", ["x", "3", "30@0", "30@x"])
def test_grids_that_are_none(text):
    with pytest.raises(ConfigError, match="^grids: "):
        Grid.read(text)


def test_no_prompt_chooses_and_is_reported():
    with pytest.raises(ConfigError, match="chose nothing"):
        Plan([], [], [PROMPT], [PROMPT])
    assert not set(prompts_of(CHOOSE)) & set(prompts_of(REPORT))
    assert len(plan_of().report) == 24
    assert plan_of(quick=True).report != plan_of(quick=True).choose


def test_a_run_is_made_once_and_goes_on(small_model, tmp_path, monkeypatch):
    names = ["bwcache_plus/budget", "first_block_cache", "uncached"]
    plan = Plan(find_families(names), [Grid(8)], [OTHER], [PROMPT], 2, False, 0, 0)
    workload = Workload(device="cpu", steps=8)
    log = tmp_path / "log.jsonl"
    found = methods(workload, plan, log)
    assert {p["family"] for p in found["points"]} >= {"bwcache_plus/budget", "uncached/fewer"}
    assert all(0 < p["compute_share"] < 1 for p in found["points"])
    (ours,) = [p for p in found["points"] if p["value"] == 0.5]
    assert ours["compute_share"] == 0.5
    assert ours["kept_bytes"] > 0
    assert found["prompts_to_choose"] == [OTHER]
    json.dumps(found, allow_nan=False)

    def none(*_):
        raise AssertionError("made again")

    monkeypatch.setattr(Runs, "_call", none)
    assert methods(workload, plan, log)["points"] == found["points"]


def test_several_processes_make_the_same_and_tell_no_speed(tmp_path):
    """A second call, alone, has nothing left to make."""
    plan = Plan(find_families(["fora/stack", "uncached/fewer"]), [Grid(4)], [OTHER], [PROMPT], 1)
    plan = replace(plan, converged=False, seen=0, raced=0)
    size = {"height": 64, "width": 64, "frames": 5}
    workload = Workload(device="cpu", steps=4, random_weights=True, **size)
    log = tmp_path / "log.jsonl"
    found = methods(workload, plan, log, processes=2)
    assert {p["family"] for p in found["points"]} == {"fora/stack", "uncached/fewer"}
    assert all(point["speedup"] is None for point in found["points"])
    lines = log.read_text()
    alone = methods(workload, plan, tmp_path / "alone.jsonl")
    assert all(point["speedup"] for point in alone["points"])
    for one, other in zip(found["points"], alone["points"], strict=True):
        assert one["family"] == other["family"]
        assert one["psnr_db"] == pytest.approx(other["psnr_db"], abs=1e-3)  # fewer threads each
    assert methods(workload, plan, log)["points"] == found["points"]
    assert log.read_text() == lines


@pytest.mark.parametrize("line", ["x", "[]", "{}", '{"key": 1}', "[" * 5000, '{"key": NaN}'])
def test_a_log_that_is_none_is_refused_before_anything_is_loaded(line, tmp_path, capsys):
    log = tmp_path / "log.jsonl"
    log.write_text(f"{line}\n")
    assert main(["bench", "methods", "--quick", "--log", str(log)]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith("bwcache: log: got")
    assert log.read_text() == f"{line}\n"


def test_a_line_that_was_torn_is_made_again_and_nothing_else(tmp_path):
    """As `kill -9` in the middle of a line leaves it."""
    plan = Plan(find_families(["fora/stack"]), [Grid(4)], [OTHER], [PROMPT], 1, False, 0, 0)
    size = {"height": 64, "width": 64, "frames": 5}
    workload = Workload(device="cpu", steps=4, random_weights=True, **size)
    log = tmp_path / "log.jsonl"
    whole = methods(workload, plan, log)["points"]
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:-1]) + lines[-1][:100])
    again = methods(workload, plan, log)["points"]
    kept = log.read_bytes().splitlines(keepends=True)
    assert kept[:-1] == lines[:-1]
    assert json.loads(kept[-1])["key"] == json.loads(lines[-1])["key"]
    assert [point["psnr_db"] for point in again] == [point["psnr_db"] for point in whole]


def test_two_commands_on_one_log_do_not_double_the_work(tmp_path, capsys):
    log = tmp_path / "log.jsonl"
    with log_file(log).alone():
        assert main(["bench", "methods", "--quick", "--log", str(log)]) == 2
    assert "log: got" in (said := capsys.readouterr().err)
    assert "no other command is writing to" in said
    assert not log.exists()


@pytest.mark.parametrize("processes", [0, -1, 1000])
def test_processes_that_are_none(processes):
    with pytest.raises(ConfigError, match="^processes: "):
        methods(Workload(device="cpu"), plan_of(["fora"]), processes=processes)


def test_the_command_refuses_a_prompt(capsys):
    assert main(["bench", "methods", "--prompt", PROMPT]) == 2
    assert "prompt" in capsys.readouterr().err
