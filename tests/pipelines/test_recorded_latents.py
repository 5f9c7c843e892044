"""Today's engine gives what is recorded: bit by bit on the machine it was recorded on."""

import copy

import pytest

from tests.pipelines import recorded_latents as recorded
from tests.pipelines.recorded_latents import FIXED, MARGIN, MIDDLE, PLAIN, SETTINGS, key
from tests.pipelines.test_rows import ROWS

FILE = recorded.load()
RUNS, THRESHOLDS = FILE["runs"], FILE["thresholds"]
# The residual changes by more than itself, as noise is drawn in every step: no forecast follows.
NO_TREND = {"cogvideox-dpm"}


@pytest.fixture(scope="module")
def exact() -> bool:
    """Whether this machine rounds as the one that made the file."""
    with recorded.one_thread():
        return recorded.fingerprint() == FILE["fingerprint"]


@pytest.mark.parametrize("row", ROWS)
def test_latents_and_decisions_are_the_recorded_ones(row, exact):
    """Where "plain" differs, too, it is the models or the machine, not the engine."""
    found = recorded.run_row(ROWS[row](), THRESHOLDS[row])
    wrong = {
        setting: lines
        for setting, numbers in found.items()
        if (lines := recorded.differences(RUNS[key(row, setting)], numbers, exact))
    }
    assert not wrong


def test_every_row_is_recorded_at_every_setting():
    assert set(RUNS) == {key(row, setting) for row in ROWS for setting in SETTINGS}
    assert set(THRESHOLDS) == set(ROWS)


@pytest.mark.parametrize("row", ROWS)
def test_what_is_recorded_tells_something(row):
    """Threshold 0 changes no bit, every other setting does, and none decides by a hair."""
    of = {setting: RUNS[key(row, setting)] for setting in SETTINGS}
    assert of["zero"]["sha256"] == of[PLAIN]["sha256"]
    assert set(of["zero"]["schedule"]) <= set("c ")
    different = len({of[name]["sha256"] for name in (PLAIN, *FIXED)})
    assert different == len(FIXED) - (row in NO_TREND)
    for name in MIDDLE:
        assert {"c", "r"} <= set(of[name]["schedule"])
        assert recorded.distance_to(THRESHOLDS[row], of[name]) >= MARGIN


def scaled(loops: list[list[float | None]], factor: float) -> list[list[float | None]]:
    return [[x and x * factor for x in loop] for loop in loops]


@pytest.mark.parametrize(
    ("field", "change", "by_rounding"),
    [
        ("sha256", lambda run: "0" * 64, True),
        ("values", lambda run: [x + 1e-6 for x in run["values"]], True),
        ("values", lambda run: [*run["values"][:-1], run["values"][-1] + 0.1], False),
        ("l1", lambda run: run["l1"] * (1 + 1e-6), True),
        ("l1", lambda run: run["l1"] * 1.01, False),
        ("indicators", lambda run: scaled(run["indicators"], 1.00001), True),
        ("indicators", lambda run: scaled(run["indicators"], 1.01), False),
        ("indicators", lambda run: [loop[1:] for loop in run["indicators"]], False),
        ("schedule", lambda run: run["schedule"].replace("rc", "cr", 1), False),
        ("triggers", lambda run: [5], False),
        ("shape", lambda run: run["shape"][1:], False),
    ],
)
def test_what_counts_as_different(field, change, by_rounding):
    """Every change where bits count; elsewhere, all but those that rounding makes."""
    run = RUNS[key("wan2.1-t2v", "once")]
    other = copy.deepcopy(run)
    assert not recorded.differences(run, other, exact=True)
    other[field] = change(run)
    assert len(recorded.differences(run, other, exact=True)) == 1
    assert bool(recorded.differences(run, other, exact=False)) != by_rounding
