"""What any other threshold would do, as rows: the table that the browser looks up in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..cache.method import Method
from ..cache.methods.bwcache import BWCacheConfig
from ..cache.predict import predict
from ..cache.schedule_table import schedule_table
from ..cache.trace import Trace
from .rounding import rounded
from .row_kinds import MAX_BYTES, Row, ScheduleTableRow, size


def schedules(trace: Trace, config: Method) -> list[Row]:
    """What every other threshold would do, foretold from the uncached run: a table to look up.

    Nothing for a method of which an uncached run tells nothing, or that has no threshold.

    Raises:
        TraceError: The run is incomplete or reused steps itself.
    """
    if config.forecast == "none" or not hasattr(config, "threshold"):
        return []
    table = schedule_table(trace, config)
    parts: list[Row] = list(_fitting({"k": "thresholds"}, {"values": table.thresholds}))
    for row in table.rows:
        changed = config.having(**row.settings)
        interval = getattr(changed, "reuse_interval", None)
        head: dict[str, object] = {
            "k": "schedules",
            "interval": str(interval),
            "gate": getattr(changed, "gate", ""),
        }
        if isinstance(changed, BWCacheConfig):
            head["interval_steps"] = changed.interval_steps(trace.num_steps)
        columns: dict[str, Sequence[object]] = {
            "below": [schedule.changes_below for schedule in row.schedules],
            "letters": [run_lengths(schedule.letters) for schedule in row.schedules],
            "seconds": [rounded(schedule.seconds) for schedule in row.schedules],
            "exact": [schedule.exact for schedule in row.schedules],
        }
        parts.extend(_fitting(head, columns))
    own = {name: getattr(config, name) for name in table.rows[0].settings}
    first: ScheduleTableRow = {
        "k": "schedule_table",
        "parts": len(parts),
        "whole": rounded(trace.net_seconds),
        "starts_above": table.reuse_starts_above(own),
        "trigger": predict(trace, config).trigger_step,
    }
    return [first, *parts]


def run_lengths(letters: str) -> str:
    """Letters with how often each follows itself: "CCCr" is "C3r"."""
    return re.sub(r"(.)\1+", lambda found: f"{found[1]}{len(found[0])}", letters)


def _fitting(head: Mapping[str, Any], columns: Mapping[str, Sequence[Any]]) -> Iterator[Any]:
    """Rows of the same head that together hold the columns, each as much as there is room for."""
    start, count = 0, len(next(iter(columns.values())))
    while start < count:
        stop = count
        while size(row := {**head, **_slice(columns, start, stop)}) > MAX_BYTES:
            if stop == start + 1:
                break
            stop -= 1
        yield row
        start = stop


def _slice(columns: Mapping[str, Sequence[Any]], start: int, stop: int) -> dict[str, list[Any]]:
    return {name: list(values[start:stop]) for name, values in columns.items()}
