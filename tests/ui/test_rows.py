"""Rows: what they hold, and that none is ever too long for the wire."""

import itertools
import json
import logging
import math
import re
from dataclasses import replace
from typing import get_args

import pytest

from bwcache.cache.method import Method
from bwcache.cache.methods.bwcache import BWCacheConfig, Reuse
from bwcache.cache.predict import predict, reuse_starts_above
from bwcache.cache.schedule_table import schedule_table
from bwcache.cache.trace import StepRecord
from bwcache.errors import ConfigError, ModelError
from bwcache.models import find
from bwcache.models.progress import Loading
from bwcache.runs import panel_rows as rows
from bwcache.runs.consume import Clock, Consumer, consume, told
from bwcache.runs.events import RunFinished, StepDone
from bwcache.runs.request import Request
from bwcache.runs.row_kinds import MAX_BYTES, size
from bwcache.runs.schedule_rows import schedules
from bwcache.testing import FakeBackend, distances
from bwcache.ui.languages import LABELS

REQUEST = Request("a red circle moving right on a white background")


def record(blocks: int = 8, reason: str = "nothing to compare with yet", **changes) -> StepRecord:
    fields = {"indicator": 0.123456789, "distances": distances(3, 30, blocks), "seconds": 0.5}
    return StepRecord(3, "compute", reason, **{**fields, **changes})


def test_a_step_keeps_the_indicator_whole_and_spells_its_action_as_a_letter():
    row = rows.step(StepDone("cached", record(), b"webp"), 1.23456)
    assert row | {"d": None} == {
        "k": "step", "run": "cached", "i": 3, "a": "C", "v": 0.123456789, "s": 1.235,
        "w": "nothing to compare with yet", "p": "d2VicA==", "d": None,
    }  # fmt: skip
    assert len(row["d"]) == 8
    reused = StepRecord(4, "reuse", "reuse 1 of 3")
    assert rows.step(StepDone("cached", reused), 2.0) == {
        "k": "step", "run": "cached", "i": 4, "a": "r", "v": None, "s": 2.0, "w": "reuse 1 of 3",
    }  # fmt: skip


@pytest.mark.parametrize("blocks", [1, 8, 30, 40])
@pytest.mark.parametrize("preview", [0, 370, 4000])
@pytest.mark.parametrize("reason", ["reuse 1 of 3", "why " * 200])
def test_no_step_is_too_long(blocks, preview, reason):
    row = rows.step(StepDone("baseline", record(blocks, reason), bytes(preview)), 1234.5678)
    assert size(row) <= MAX_BYTES
    assert len(row["d"]) == blocks


def test_the_preview_survives_where_there_is_room():
    assert "p" in rows.step(StepDone("baseline", record(30), bytes(370)), 1.0)
    assert "p" not in rows.step(StepDone("baseline", record(30), bytes(4000)), 1.0)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_becomes_null(value):
    row = rows.step(StepDone("cached", record(indicator=value, distances=(value, 1.0))), 1.0)
    assert row["v"] is None
    assert row["d"] == [None, 1.0]
    json.dumps(row, allow_nan=False)


def test_the_clock_leaves_measuring_out_of_uncached_runs_only():
    clock = Clock()
    step = record(seconds=1.0, indicator_seconds=0.25)
    assert clock.after(StepDone("baseline", step)) == 0.75
    assert clock.after(StepDone("cached", step)) == 1.0
    assert clock.after(StepDone("baseline", step)) == 1.5


PLACES = dict.fromkeys(("baseline", "cached", "control", "trace"), "/gradio_api/file=/" + "x" * 90)


def panel_rows(config: Method = REQUEST.config) -> rows.PanelRows:
    return rows.PanelRows(lambda finished: PLACES, config)


@pytest.mark.parametrize(
    ("asked", "kind"),
    [(False, "none"), (True, "fewer"), ("same-levels", "same-levels"), ("shift", "shift")],
)
def test_the_panel_is_told_which_control_it_is(asked, kind):
    request = Request(REQUEST.prompt, config=BWCacheConfig(0.06), control=asked)
    assert rows.begin("a1", request, find("tinyworld"))["settings"]["control"] == kind
    *_, done = consume(FakeBackend()(request), panel_rows(request.config))
    assert done.get("control_kind", "none") == kind


@pytest.mark.parametrize("control", [False, True])
def test_every_row_of_a_comparison_fits(control):
    request = Request(REQUEST.prompt, config=BWCacheConfig(0.06), control=control)
    begin = rows.begin("a1b2c3d4", request, find("tinyworld"))
    assert begin["runs"] == ["baseline", "cached"] + ["control"] * control
    made = [begin, *consume(FakeBackend()(request), panel_rows(request.config))]
    assert max(map(size, made)) <= MAX_BYTES
    assert made[-1]["verdict"].startswith("Saved")
    assert ("control_steps" in made[-1]) == control
    kinds = [row["k"] for row in made]
    assert [kinds.count(kind) for kind in ("start", "video")] == [2 + control] * 2


def twice(request: Request):
    """A comparison that runs out of memory in its second run and begins anew."""
    yield Loading("load")
    for event in FakeBackend()(request):
        yield event
        if isinstance(event, StepDone) and event.run == "cached":
            break
    yield Loading("retry", note="once more")
    yield from FakeBackend()(request)


def test_after_a_retry_the_clock_begins_anew():
    made = list(consume(twice(REQUEST), panel_rows()))
    again = next(i for i, row in enumerate(made) if row.get("stage") == "retry")
    assert made[again] == {"k": "loading", "stage": "retry", "note": "once more"}
    first = [next(r for r in part if r["k"] == "step") for part in (made, made[again:])]
    assert first[0]["s"] == first[1]["s"]


def test_closing_what_is_consumed_closes_the_comparison():
    backend = FakeBackend()
    reading = consume(backend(REQUEST), panel_rows())
    next(reading)
    reading.close()
    assert backend.closed == 1


def test_a_comparison_that_ends_too_early_is_an_error():
    part = itertools.islice(FakeBackend()(REQUEST), 3)
    with pytest.raises(RuntimeError, match="ended before"):
        list(consume((event for event in part), Consumer()))


def test_a_person_is_told_what_is_meant_for_people_and_the_log_the_rest(caplog):
    assert told(ConfigError("steps", 0, "more")) == "steps: got 0; allowed is more"
    assert told(ModelError("no memory")) == "no memory"
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]
    caplog.clear()
    assert told(ZeroDivisionError("secret"), "a search") is None
    assert caplog.messages == ["a search failed"]
    assert caplog.records[0].exc_info[0] is ZeroDivisionError


@pytest.mark.parametrize(("count", "rows_needed"), [(17, 1), (81, 3), (200, 5)])
def test_the_numbers_of_frames_come_in_rows_that_fit(count, rows_needed):
    *_, finished = FakeBackend()(REQUEST)
    summary = replace(
        finished.summary,
        frames_psnr_db=[None, *(30.123456 - i / 1000 for i in range(1, count))],
        frames_ssim=[-0.000123456] * count,
        difference_gain=32,
        lpips_reason="a reason of ninety characters " * 3,
        vmaf_reason="a reason of ninety characters " * 3,
    )
    made = rows.frames(summary)
    assert len(made) == rows_needed
    assert max(map(size, made)) <= MAX_BYTES
    assert [row["at"] for row in made] == list(range(0, count, rows.FRAMES_A_ROW))
    psnr = [value for row in made for value in row["psnr"]]
    assert psnr[:3] == [None, 30.12, 30.12]
    assert len(psnr) == sum(len(row["ssim"]) for row in made) == count
    assert all(row["gain"] == 32 for row in made)


@pytest.mark.parametrize("reuse", get_args(Reuse))
def test_the_panel_is_told_the_methods_name(reuse):
    request = Request("a red circle moving right", config=BWCacheConfig(0.1, reuse=reuse))
    assert rows.begin("1", request, find("tinyworld"))["method"].startswith("BWCache")
    names = [LABELS["de"][f"bwcache_reuse_{one}"] for one in get_args(Reuse)]
    assert len(set(names)) == len(names)


def expand(letters: str) -> str:
    return re.sub(r"(\D)(\d+)", lambda found: found[1] * int(found[2]), letters)


@pytest.mark.parametrize("steps", [5, 30, 120])
def test_the_table_of_schedules_comes_whole_in_rows_that_fit(steps):
    """What the rows say together is what the table says."""
    config = BWCacheConfig(0.06, 3)
    request = Request(REQUEST.prompt, steps=steps, config=config)
    trace = next(event.trace for event in FakeBackend()(request) if isinstance(event, RunFinished))
    first, *parts = schedules(trace, config)
    assert max(map(size, [first, *parts])) <= MAX_BYTES
    assert first["parts"] == len(parts)
    table = schedule_table(trace, config)
    thresholds = [value for row in parts if row["k"] == "thresholds" for value in row["values"]]
    assert tuple(thresholds) == table.thresholds
    found = [
        (row["interval"], row["gate"], below, expand(letters), exact)
        for row in parts
        if row["k"] == "schedules"
        for below, letters, exact in zip(row["below"], row["letters"], row["exact"], strict=True)
    ]
    assert found == [
        (
            str(row.settings["reuse_interval"]),
            row.settings["gate"],
            schedule.changes_below,
            schedule.letters,
            schedule.exact,
        )
        for row in table.rows
        for schedule in row.schedules
    ]
    assert {row["interval_steps"] for row in parts if row["k"] == "schedules"} >= {1, 3}
    assert first["trigger"] == predict(trace, config).trigger_step
    assert first["starts_above"] == reuse_starts_above(trace, config)
    assert first["whole"] == pytest.approx(trace.net_seconds, rel=1e-3)


def test_a_method_that_an_uncached_run_tells_nothing_of_has_no_table():
    *_, finished = FakeBackend()(REQUEST)
    assert schedules(finished.trace_file.baseline, Method()) == []
