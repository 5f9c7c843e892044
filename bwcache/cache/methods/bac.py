"""BAC's schedule: each block's own best steps to compute, and the upstream ones that errors need.

Dynamic programming picks for each block the M steps that leave its calibrated features most alike
in all others. Then, since a block that is computed on stale input carries the error on ("bubbling
union"): the blocks with the largest error also compute whenever a block behind them does.

Standard library only. Source: arXiv 2506.13456, made for robot policies; its schedule is here put
on a video model's blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from ..calibration import resampled
from ..knob import knob, steps_of
from ..method import RunFacts, Span
from .schedule import Calibrated, Fixed, FixedSchedule, best_path, calibration_knob, lagged, whole

Table = tuple[tuple[float, ...], ...]  # similarity by step and lag


@dataclass(frozen=True)
class BACConfig(Calibrated, FixedSchedule):
    """How BAC's schedule is made.

    Args:
        updates: M, how many steps each block computes: a number, or a share of all. As many as
            there are steps reuse nothing.
        union_blocks: How many blocks, those with the largest error, also compute whenever one
            behind them does. With none, schedules of single blocks are worse than a shared one.
        calibration: Whose similarities; see `bwcache.cache.calibration`.

    Raises:
        ConfigError: A setting is of the wrong kind or out of its bounds.
    """

    name = "bac"
    title = "BAC's schedule"
    about = "Picks each block's best steps beforehand, and more for those whose errors spread."
    source = "arXiv 2506.13456"

    updates: int | float = knob(
        0.4,
        "steps",
        "Computed steps",
        "How many steps each block computes: fewer is faster and less alike.",
        "M: computed steps of each block, a whole number or a share of all such as 0.4.",
        basic=True,
    )
    union_blocks: int = whole(
        3,
        "Bubbling union",
        "How many blocks also compute whenever one behind them does.",
        "Blocks with the largest error, which inherit the steps of those downstream.",
        low=0,
    )
    calibration: str = calibration_knob()

    def kept(self, run: RunFacts) -> tuple[Span, ...]:
        return run.singly()

    def fixed(self, run: RunFacts) -> Fixed:
        found = self.measured(run)
        tables = found.nearest(run.num_steps)[1]["similarities"]
        each = [
            resampled(tables[min(b, len(tables) - 1)], run.num_steps) for b in range(run.num_blocks)
        ]
        as_tuples = tuple(tuple(map(tuple, table)) for table in each)
        computed = schedules(as_tuples, steps_of(self.updates, run.num_steps), self.union_blocks)
        reused = tuple(
            tuple(Span(b, b + 1) for b, steps in enumerate(computed) if t not in steps)
            for t in range(run.num_steps)
        )
        return Fixed(reused, found.said(run.num_steps))


@lru_cache(maxsize=64)
def schedules(tables: tuple[Table, ...], updates: int, union_blocks: int) -> tuple[frozenset, ...]:
    """The computed steps of each block.

    Args:
        tables: For each block the similarity of its features at each step with those some steps
            later, see `schedule.lagged`.
        updates: M, how many each picks.
        union_blocks: How many take over those behind them.
    """
    own = [best_path(len(table), updates, _cost_of(table)) for table in tables]
    errors = [_error(table, steps) for table, steps in zip(tables, own, strict=True)]
    worst = sorted(range(len(own)), key=lambda b: -errors[b])[:union_blocks]
    return tuple(
        frozenset(set().union(*own[b:]) if b in worst else steps) for b, steps in enumerate(own)
    )


def _cost_of(table: Table):
    """What stretches cost: how unlike the replayed steps are to the computed one, in all."""
    length = len(table)
    sums = [[0.0] * (length + 1) for _ in range(length)]
    for step in range(length):
        for lag in range(1, length - step):
            sums[step][lag + 1] = sums[step][lag] + 1 - lagged(table, step, lag)
    return lambda step, following: sums[step][following - step]


def _error(table: Table, steps: Sequence[int] | set[int]) -> float:
    cost, bounds = _cost_of(table), [*sorted(steps), len(table)]
    return sum(cost(a, b) for a, b in pairwise(bounds))
