"""What a recorded uncached run foretells of every threshold at once, as a table of schedules.

A schedule changes at few thresholds only, so the table is small and whoever has it looks schedules
up instead of deciding anything. Made with `predict`, the one place that does. Standard library
only.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import get_args

from .letters import LETTERS
from .method import Method
from .methods.bwcache import BWCacheConfig, Gate
from .predict import Prediction, predict
from .trace import Trace

INTERVALS = (1, 2, 3, 4, 6, 8)
PRECISION = 1e-9  # relative: how finely a change between two measurements is looked for

Settings = Mapping[str, object]
Forecast = Callable[[Trace, Method], Prediction]


@dataclass(frozen=True)
class Schedule:
    """What each step would do at some thresholds.

    Args:
        letters: One a step: C computes, r reuses, p computes some blocks.
        seconds: The denoising loop's, as `predict` has it.
        exact: Whether the letters are certain rather than an estimate.
        changes_below: How many of the table's `thresholds` lie below those it holds for, at least.
    """

    letters: str
    seconds: float
    exact: bool
    changes_below: int


@dataclass(frozen=True)
class Row:
    """The schedules of one choice of settings, by rising threshold."""

    settings: Settings
    schedules: tuple[Schedule, ...]


@dataclass(frozen=True)
class ScheduleTable:
    """Every schedule that some thresholds and settings lead to.

    Args:
        thresholds: Where some row's schedule changes, rising: just above each of them.
        rows: One for each choice of settings.
    """

    thresholds: tuple[float, ...]
    rows: tuple[Row, ...]

    def row(self, settings: Settings) -> Row:
        """The row of these settings.

        Raises:
            KeyError: There is none.
        """
        for row in self.rows:
            if row.settings == settings:
                return row
        raise KeyError(settings)

    def lookup(self, settings: Settings, threshold: float) -> Schedule:
        """The schedule of a row at a threshold; a `KeyError` where there is no such row."""
        below = bisect_left(self.thresholds, threshold)
        held = [one for one in self.row(settings).schedules if one.changes_below <= below]
        return max(held, key=lambda one: one.changes_below)

    def reuse_starts_above(self, settings: Settings) -> float | None:
        """The threshold at or below which a row reuses nothing; None where it never reuses."""
        for schedule in self.row(settings).schedules:
            if set(schedule.letters) != {"C"} and schedule.changes_below:
                return self.thresholds[schedule.changes_below - 1]
        return None


def choices(config: Method, num_steps: int) -> list[Settings]:
    """Each reuse interval with each gate, as far as the method has them; its own among them.

    Of two intervals that are the same number of steps, the config's own spelling stands.
    """
    fields: dict[str, Sequence[object]] = {}
    if isinstance(config, BWCacheConfig):
        own = config.interval_steps(num_steps)
        by_steps: dict[int, int | float] = {
            count: count for count in INTERVALS if count < num_steps
        }
        by_steps[own] = config.reuse_interval
        fields["reuse_interval"] = [by_steps[count] for count in sorted(by_steps)]
    if hasattr(config, "gate"):
        fields["gate"] = get_args(Gate)
    return [dict(zip(fields, values, strict=True)) for values in product(*fields.values())]


def schedule_table(
    trace: Trace,
    config: Method,
    settings: Sequence[Settings] | None = None,
    forecast: Forecast = predict,
) -> ScheduleTable:
    """The schedules of a run at every threshold.

    Args:
        trace: A complete uncached run that measured every step.
        config: What stays as it is; its threshold is varied.
        settings: The rows: fields of the config and their values; `choices` where None.
        forecast: As `predict`, for a method of its own.

    Returns:
        The table. It is exact wherever the decision compares a measured indicator with the
        threshold. For other methods it is as good as `PRECISION`, provided that a schedule which
        is the same at two thresholds is the same at those between.

    Raises:
        TraceError: The trace is incomplete or reused steps itself.
    """
    settings = choices(config, trace.num_steps) if settings is None else settings
    samples = _samples(trace)
    found = []
    for chosen in settings:

        def outcome(threshold: float, chosen: Settings = chosen) -> Prediction:
            return forecast(trace, config.having(threshold=threshold, **chosen))

        found.append((chosen, list(_schedules(outcome, samples))))
    changes = {low for _, schedules in found for low, _ in schedules if low is not None}
    thresholds = tuple(sorted(changes))
    place = {threshold: i + 1 for i, threshold in enumerate(thresholds)}
    rows = tuple(
        Row(
            chosen,
            tuple(
                Schedule(
                    _letters(one),
                    one.predicted_seconds,
                    one.exact,
                    0 if low is None else place[low],
                )
                for low, one in schedules
            ),
        )
        for chosen, schedules in found
    )
    return ScheduleTable(thresholds, rows)


def _samples(trace: Trace) -> list[float]:
    """Thresholds from 0 to beyond everything measured, one at each measurement."""
    measured = {x for x in trace.indicators if x is not None and math.isfinite(x) and x >= 0}
    return [*sorted({0.0, *measured}), 1.0 + 2.0 * math.fsum(measured)]


def _schedules(
    outcome: Callable[[float], Prediction], samples: Sequence[float]
) -> Iterator[tuple[float | None, Prediction]]:
    """The predictions that differ, each with the threshold above which it holds; None: from 0."""
    known = [(threshold, outcome(threshold)) for threshold in samples]
    yield None, known[0][1]
    for lower, upper in pairwise(known):
        yield from _changes(outcome, *lower, *upper)


def _changes(
    outcome: Callable[[float], Prediction],
    low: float,
    at_low: Prediction,
    high: float,
    at_high: Prediction,
) -> Iterator[tuple[float, Prediction]]:
    """Where the prediction changes above `low` and up to `high`."""
    if _alike(at_low, at_high):
        return
    next_to_low = math.nextafter(low, math.inf)
    if next_to_low >= high or _alike(outcome(next_to_low), at_high):
        yield low, at_high
        return
    middle = (low + high) / 2
    if high - low <= PRECISION * high or not low < middle < high:
        yield low, at_high
        return
    at_middle = outcome(middle)
    yield from _changes(outcome, low, at_low, middle, at_middle)
    yield from _changes(outcome, middle, at_middle, high, at_high)


def _alike(one: Prediction, other: Prediction) -> bool:
    return one.exact == other.exact and one.schedule == other.schedule


def _letters(prediction: Prediction) -> str:
    return "".join(LETTERS[action] for action in prediction.schedule)
