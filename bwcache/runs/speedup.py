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
SIGMAS = 2  # standard errors to both sides: nineteen figures of twenty lie within
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
        robust: From the median computed step of both runs and the median reused one, times how many
            there were, with the median of measuring; never above `ceiling`.
        spread: How far the figure is open to both sides, as a share of it: two standard errors,
            from the scatter of the steps' own times in both clocks, or twice how far `measured` is
            from the median steps' figure, where that is more.
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
    steady = _steady(baseline, cached, remembered)
    scatter = math.hypot(_open(_kinds(baseline, _net)), _open(_kinds(cached, _all)))
    spread = SIGMAS * max(scatter, abs(measured / steady - 1))
    robust = steady if ceiling is None else min(steady, ceiling)
    busy = spread > MOST_SPREAD or (ceiling is not None and measured > ceiling)
    disturbed = {"baseline": _disturbed(baseline, _net), "cached": _disturbed(cached, _all)}
    figure = robust if busy else measured
    return Speedup(figure, measured, ceiling, robust, spread, busy, disturbed)


Clock = Callable[[StepRecord], float]


def _net(step: StepRecord) -> float:
    return step.net_seconds


def _all(step: StepRecord) -> float:
    return step.seconds


def _kind(step: StepRecord) -> tuple:
    """Steps of one kind do as much work, so that they should take as long."""
    usual = 1.0 if step.action == "compute" else 0.0
    share = usual if step.compute_share is None else step.compute_share
    return round(share, 2), step.expert


def _kinds(trace: Trace, clock: Clock) -> dict[tuple, list[float]]:
    found: dict[tuple, list[float]] = {}
    for step in trace.steps:
        found.setdefault(_kind(step), []).append(clock(step))
    return found


def _steady(baseline: Trace, cached: Trace, remembered: bool) -> float:
    """The ratio of the clocks, had every step taken its kind's median.

    A computed step costs both runs the same, but for the cached one's measuring: so the median is
    taken over both, and what is left of a disturbance of it cancels out.
    """
    whole, net = _kinds(baseline, _net), _kinds(cached, _net)
    measuring = _kinds(cached, lambda step: step.seconds - step.net_seconds)
    seconds = {kind: median(each) for kind, each in {**whole, **net}.items()}
    if not remembered:
        shared = whole.keys() & net.keys()
        seconds |= {kind: median([*whole[kind], *net[kind]]) for kind in shared}
    part = sum(len(each) * (seconds[kind] + median(measuring[kind])) for kind, each in net.items())
    return sum(len(each) * seconds[kind] for kind, each in whole.items()) / part


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
