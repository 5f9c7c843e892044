"""How a speed-up is judged, by hand: what a schedule allows, median steps, disturbed steps."""

import json
from statistics import median

import pytest

from bwcache.cache.trace import StepRecord, Trace
from bwcache.files import ASSETS
from bwcache.runs.speedup import MOST_SPREAD, Speedup, speedup
from bwcache.runs.verdict import measure_of, sentence
from bwcache.ui.languages import say_verdict


def trace(letters: str, seconds: list[float], measuring: float = 0.0) -> Trace:
    """A run of computed ("C") and reused ("r") steps that took so many seconds."""
    action = {"C": "compute", "r": "reuse"}
    return Trace(
        len(letters),
        1,
        steps=tuple(
            StepRecord(
                i,
                action[letter],
                "",
                seconds=each + (measuring if letter == "C" else 0.0),
                indicator_seconds=measuring if letter == "C" else 0.0,
                compute_share=float(letter == "C"),
            )
            for i, (letter, each) in enumerate(zip(letters, seconds, strict=True))
        ),
    )


WHOLE = trace("C" * 8, [1.0] * 8, measuring=0.1)
HALF = trace("CCrCrCrr", [1.0, 1.0, 0.1, 1.0, 0.1, 1.0, 0.1, 0.1], measuring=0.1)
REUSED = {"baseline_seconds": 8.0, "cached_seconds": 4.8, "steps_computed": 4, "steps_reused": 4}


def test_steady_runs_give_the_ratio_of_their_clocks():
    """8 s without measuring over 4 × 1.1 + 4 × 0.1 s with it; half of the steps allow 2×."""
    found = speedup(WHOLE, HALF)
    assert found.figure == found.measured == pytest.approx(8 / 4.8)
    assert found.robust == pytest.approx(8 / 4.8)
    assert found.ceiling == 2
    assert found.spread == pytest.approx(0, abs=1e-9)
    assert not found.busy
    assert found.disturbed == {"baseline": [], "cached": []}


def test_a_disturbed_step_is_named_and_the_median_steps_speak():
    disturbed = trace("C" * 8, [1.0] * 5 + [6.0] + [1.0] * 2)
    found = speedup(disturbed, HALF)
    assert found.measured == pytest.approx(13 / 4.8)
    assert found.measured > found.ceiling
    assert found.busy
    assert found.figure == found.robust == pytest.approx(8 / 4.8)
    assert found.disturbed == {"baseline": [5], "cached": []}
    assert found.measured <= found.ceiling * (1 + found.spread)


def test_steps_that_scatter_leave_the_figure_open():
    found = speedup(trace("C" * 8, [0.5, 1.5] * 4), HALF)
    assert found.spread > MOST_SPREAD
    assert found.busy


def test_no_figure_is_above_what_the_schedule_allows():
    """Cached steps that happened to be quicker than the uncached run's own."""
    quick = trace("CCrCrCrr", [0.8, 0.8, 0.0, 0.8, 0.0, 0.8, 0.0, 0.0])
    found = speedup(WHOLE, quick)
    assert found.measured == pytest.approx(2.5)
    assert (found.figure, found.busy) == (2, True)


def test_where_nothing_was_reused_there_is_no_gain():
    found = speedup(WHOLE, trace("C" * 8, [0.9] * 8))
    assert found.measured > 1
    assert found.figure == found.ceiling == 1


def test_a_remembered_run_of_a_slower_hour_is_not_taken_for_a_gain():
    """Everything took twice as long then; by the cached run's own steps it is 1.67×."""
    then = trace("C" * 8, [2.0] * 8)
    found = speedup(then, HALF, remembered=True)
    assert found.busy
    assert found.figure == pytest.approx(8 / 4.8)


def summary(found: Speedup) -> dict:
    return {
        **REUSED,
        "speedup": found.figure,
        "speedup_ceiling": found.ceiling,
        "speedup_spread": found.spread,
        "disturbed_steps": found.disturbed,
        "busy": found.busy,
        "waited_seconds": 20.0,
        "psnr_db": 41.6,
        "ssim": 0.99,
    }


@pytest.mark.parametrize(
    ("language", "busy", "quiet"),
    [
        ("en", "This machine was busy: about 1.7×;", "Saved 3.2 s of 8.0 s (1.67×);"),
        ("de", "Dieser Rechner war ausgelastet: etwa 1,7×;", "3,2 s von 8,0 s gespart (1,67×);"),
    ],
)
def test_a_busy_machine_is_said_to_be_one(language, busy, quiet):
    say = say_verdict(language)
    assert sentence(summary(speedup(WHOLE, HALF)), say).startswith(quiet)
    disturbed = summary(speedup(trace("C" * 8, [1.0] * 7 + [6.0]), HALF))
    said = sentence(disturbed, say)
    assert said.startswith(busy)
    assert "2.7" not in said
    measure = measure_of(disturbed, say)
    assert "20" in measure
    assert "2.00×" in measure or "2,00×" in measure


def test_a_gain_that_rounds_to_nothing_is_not_said():
    found = {**summary(speedup(WHOLE, HALF)), "busy": True, "speedup": 1.01}
    assert "no gain could be told" in sentence(found)


def test_files_of_former_versions_say_what_they_said():
    old = {**REUSED, "speedup": 8 / 4.8, "psnr_db": None}
    assert sentence(old).startswith("Saved 3.2 s")
    assert measure_of(old) is None


def test_on_a_busy_machine_every_figure_is_near_the_others_and_none_is_impossible():
    """What was measured beside two busy processes, as committed."""
    measured = json.loads((ASSETS / "results" / "race-busy-tinyworld.json").read_text())
    assert measured["busy_processes"] == 2
    said = [each["speedup"] for each in measured["in_turns"]["comparisons"]]
    assert len(said) == 8
    assert all(abs(each / median(said) - 1) <= 0.1 for each in said)
    for each in measured["in_turns"]["comparisons"]:
        assert each["speedup"] <= each["ceiling"]
        assert each["measured"] <= each["ceiling"] * (1 + each["spread"])
