"""Sortblock: between full steps only the blocks are computed whose residual is hardest to foretell.

Every K-th step computes all blocks. By the cosine between each block's residual and where a line
through its last two leads, they are ranked; in the steps between, the least similar share is
computed, and the others add their residual as the line foretells it.

Standard library only. Source: arXiv 2508.00412. There the first eighth of the channels is compared,
here evenly spaced tokens; the share that is computed changes over the run there, here it is fixed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ..knob import ROUNDING, knob, steps_of
from ..method import Method, Plan, Probe, RunFacts, Seen, Span
from .schedule import period_knob, warm_up_knob

AHEAD = "cosine_ahead"


@dataclass(frozen=True)
class SortblockState:
    """What the decision remembers of a run.

    Args:
        full_from: The first of the full steps, every K-th from there.
        num_blocks: N.
        cosines: Of each block, as the last full step showed it.
    """

    full_from: int
    num_blocks: int
    cosines: tuple[float, ...] | None = None


@dataclass(frozen=True)
class SortblockConfig(Method):
    """How Sortblock decides.

    Args:
        period: K, the steps from one full step to the next; 1 reuses nothing.
        computed_share: Of the blocks, how many are computed in the steps between; 1 for all.
        warm_up_steps: Full steps at the start: three, so that there is a line to follow.

    Raises:
        ConfigError: A setting is of the wrong kind or out of its bounds.
    """

    name = "sortblock"
    title = "Sortblock"
    about = "Between full steps, computes only the blocks that are hardest to foretell."
    source = "arXiv 2508.00412"

    period: int = period_knob(5)
    computed_share: float = knob(
        0.25,
        "number",
        "Computed blocks",
        "How many of the blocks are computed in between.",
        "p: the least similar share of the blocks, rounded up; 1 for all.",
        high=1,
    )
    warm_up_steps: int | float = warm_up_knob(3)

    @property
    def only_measures(self) -> bool:
        return self.period == 1 or self.computed_share == 1

    @property
    def replay(self) -> str:
        return "taylor:1"

    def probes(self, run: RunFacts) -> tuple[Probe, ...]:
        return (Probe(AHEAD, "residual", tuple(range(run.num_blocks)), metric="cosine_ahead"),)

    def kept(self, run: RunFacts) -> tuple[Span, ...]:
        return run.singly()

    def begin(self, run: RunFacts) -> SortblockState:
        first = max(0, steps_of(self.warm_up_steps, run.num_steps) - 1)
        return SortblockState(run.first_step + first, run.num_blocks)

    def decide(self, state: SortblockState, seen: Seen) -> tuple[Plan, SortblockState]:
        if AHEAD in seen.numbers:
            state = replace(state, cosines=seen.numbers[AHEAD])
        if (seen.step - state.full_from) % self.period == 0:
            return Plan(reason="a full step"), state
        cosines = state.cosines
        if cosines is None:
            return Plan(reason="nothing to compare with yet"), state
        ranked = sorted(range(state.num_blocks), key=lambda block: cosines[block])
        computed = math.ceil(self.computed_share * state.num_blocks - ROUNDING)
        spans = tuple(Span(block, block + 1) for block in sorted(ranked[computed:]))
        return Plan(
            spans, reason=f"{computed} of {state.num_blocks} blocks, the least similar"
        ), state
