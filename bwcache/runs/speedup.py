"""How many times as fast a cached run is, and how far that can be trusted. Standard library only.

The figure is the ratio of the two runs' own clocks. Beside it stands what the schedule allows at
most, the same ratio reckoned from median steps, which a disturbed step does not move, and how far
the steps' own times leave the figure open. Where a figure cannot be, or is too open, the machine
was busy: then the one from median steps takes its place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, variance

from ..cache.trace import StepRecord, Trace

MOST_SPREAD = 0.15  # beyond this a figure is no plain fact
FAR_OFF, LEAST_EXCESS = 1.5, 0.1  # times its kind's median, and of a computed step's, at least
Kinds = Mapping[tuple, Sequence[float]]


@dataclass(frozen=True)
class Speedup:
    """How many times as fast.

    Args:
        figure: What to say: `measured`, or `robust` where the machine was busy.
        measured: The uncached run's clock over the cached run's.
        ceiling: The most that the schedule allows: as though a block that is replayed, and
            measuring, took no time. None where no block ran.
        robust: From the median step of each kind, times how many there were; never above `ceiling`.
        spread: How far the figure is open, as a share of it: from the scatter of the steps' own
            times in both clocks, and at least how far `measured` is from the median steps' figure.
        busy: Whether `measured` is above `ceiling`, or `spread` above 15 %.
        disturbed: Of each run, the steps (from 0) that took far longer, or shorter, than its
            others of their kind.
    """

    figure: float
    measured: float
    ceiling: float | None
    robust: float
    spread: float
    busy: bool
    disturbed: Mapping[str, Sequence[int]]


def speedup(baseline: Trace, cached: Trace, remembered: bool = False) -> Speedup:
    """What the steps of two runs say.

    Args:
        baseline: The uncached run, whose measuring does not count.
        cached: The cached run, whose measuring does.
        remembered: Whether the uncached run was made at another time, when the machine may have
            been faster or slower: the median steps are then the cached run's own.
    """
    measured = baseline.net_seconds / cached.seconds
    share = cached.compute_share
    ceiling = 1 / share if share else None
    whole, part = _kinds(baseline, _net), _kinds(cached, _all)
    now = _kinds(cached, _net).get(COMPUTED) if remembered else None
    pace = {COMPUTED: now} if now else whole
    steady = _steady(pace, baseline.num_steps) / _steady(part)
    spread = max(math.hypot(_open(whole), _open(part)), abs(measured / steady - 1))
    robust = steady if ceiling is None else min(steady, ceiling)
    busy = spread > MOST_SPREAD or (ceiling is not None and measured > ceiling)
    disturbed = {"baseline": _disturbed(baseline, _net), "cached": _disturbed(cached, _all)}
    figure = robust if busy else measured
    return Speedup(figure, measured, ceiling, robust, spread, busy, disturbed)


Clock = Callable[[StepRecord], float]
COMPUTED = ("compute", 1.0)


def _net(step: StepRecord) -> float:
    return step.net_seconds


def _all(step: StepRecord) -> float:
    return step.seconds


def _kind(step: StepRecord) -> tuple:
    """Steps of one kind do as much work, so that they should take as long."""
    usual = 1.0 if step.action == "compute" else 0.0
    return step.action, round(usual if step.compute_share is None else step.compute_share, 2)


def _kinds(trace: Trace, clock: Clock) -> dict[tuple, list[float]]:
    found: dict[tuple, list[float]] = {}
    for step in trace.steps:
        found.setdefault(_kind(step), []).append(clock(step))
    return found


def _steady(kinds: Kinds, steps: int | None = None) -> float:
    """Seconds of a run each of whose steps took its kind's median; of one kind, of `steps`."""
    if steps is not None and len(kinds) == 1:
        return steps * median(*kinds.values())
    return sum(len(seconds) * median(seconds) for seconds in kinds.values())


def _open(kinds: Kinds) -> float:
    """The standard error of a clock's sum, as a share of it."""
    error = sum(len(each) * variance(each) for each in kinds.values() if len(each) > 1)
    return math.sqrt(error) / sum(map(sum, kinds.values()))


def _disturbed(trace: Trace, clock: Clock) -> list[int]:
    kinds = _kinds(trace, clock)
    usual = {kind: median(seconds) for kind, seconds in kinds.items()}
    least = LEAST_EXCESS * max(usual.values(), default=0.0)
    found = []
    for step in trace.steps:
        seconds, middle = clock(step), usual[_kind(step)]
        far = seconds > FAR_OFF * middle or seconds * FAR_OFF < middle
        if far and abs(seconds - middle) > least:
            found.append(step.step_index)
    return found
