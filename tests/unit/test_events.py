"""Traces as files: the same after a round trip, and a clear line for a damaged one."""

import json
import math
from dataclasses import replace

import pytest

from bwcache.cache.trace import StepRecord, Trace, TraceFile
from bwcache.errors import TraceError

STEPS = (
    StepRecord(0, "compute", "nothing to compare with yet", seconds=1.5, block_seconds=1.0),
    StepRecord(1, "compute", "not below", 0.2, (0.1, 0.3), 1.5, 1.0, 0.1, 900.0),
    StepRecord(2, "reuse", "reuse 1 of 1", seconds=0.5),
)
TRACE = Trace(3, 2, {"threshold": 0.25}, STEPS, {"trigger_step": 1})
FILE = TraceFile("tinyworld", "a red circle", 7, replace(TRACE), TRACE)


def test_round_trip():
    assert TraceFile.loads(FILE.dumps()) == FILE
    assert TraceFile.loads(replace(FILE, cached=None).dumps()).cached is None


def test_what_a_trace_knows():
    assert (TRACE.steps_computed, TRACE.steps_reused) == (2, 1)
    assert TRACE.seconds == 3.5
    assert TRACE.net_seconds == pytest.approx(3.4)
    assert TRACE.indicator_range() == (0.2, 0.2)
    assert Trace(3, 2).indicator_range() is None


def test_numbers_that_json_lacks_become_null():
    broken = replace(STEPS[1], indicator=math.nan, distances=(math.inf, 0.1))
    text = replace(FILE, baseline=replace(TRACE, steps=(STEPS[0], broken))).dumps()
    assert "NaN" not in text
    assert "Infinity" not in text
    assert TraceFile.loads(text).baseline.steps[1].indicator is None


def damage(*path_and_value):
    *path, value = path_and_value
    data = json.loads(FILE.dumps())
    part = data
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    return json.dumps(data)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        FILE.dumps()[:-40],
        "[" * 100_000,
        damage("version", 99),
        damage("format", "other"),
        damage("model", None),
        damage("baseline", None),
        damage("baseline", "steps", {}),
        damage("baseline", "num_steps", 0),
        damage("baseline", "num_steps", 2),
        damage("baseline", "num_blocks", "two"),
        damage("baseline", "trigger_step", "one"),
        damage("baseline", "steps", 1, "action", "skip"),
        damage("baseline", "steps", 1, "step_index", 5),
        damage("baseline", "steps", 1, "indicator", "low"),
        damage("baseline", "steps", 1, "seconds", None),
        damage("baseline", "steps", 1, "distances", 3),
        damage("baseline", "steps", 1, "distances", ["x"]),
        damage("baseline", "steps", 1, "surprise", 1),
        damage("baseline", "steps", 1, "reason", 1),
        damage("baseline", "steps", 1, None),
    ],
)
def test_a_damaged_file_is_one_clear_line(text, tmp_path):
    path = tmp_path / "trace.json"
    path.write_text(text)
    with pytest.raises(TraceError) as caught:
        TraceFile.load(path)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_or_not_text(tmp_path):
    (tmp_path / "trace.json").write_bytes(b"\xff\xfe\x00\x80")
    for path in (tmp_path / "missing.json", tmp_path / "trace.json", tmp_path):
        with pytest.raises(TraceError, match="cannot be read"):
            TraceFile.load(path)
