"""Skip-Cache: between computed steps only the first and the last blocks run; long skips carry what
is new from the ones to the others, around the middle that is replayed.

Standard library only. Source: Skip-DiT, arXiv 2411.17616. It needs a transformer whose last blocks
are given the outputs of its first ones, and was trained so.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..method import RunFacts, Span
from .schedule import Fixed, FixedSchedule, period_knob, whole


@dataclass(frozen=True)
class SkipCacheConfig(FixedSchedule):
    """How Skip-Cache decides.

    Args:
        period: N, the steps from one computed step to the next; 1 reuses nothing.
        computed_blocks: How many first, and as many last, blocks run in the steps between; not
            more than the transformer has long skips.

    Raises:
        ConfigError: A setting is of the wrong kind or out of its bounds.
    """

    name = "skip_cache"
    title = "Skip-Cache"
    about = "Runs the first and the last blocks always, and those between every so many-th step."
    source = "arXiv 2411.17616"

    period: int = period_knob(3)
    computed_blocks: int = whole(
        1,
        "Blocks at each end",
        "How many blocks at either end run in every step: higher is slower and more alike.",
        "First blocks, and as many last ones, computed in reused steps; the rest is replayed.",
    )

    @property
    def only_measures(self) -> bool:
        return self.period == 1

    @property
    def replay(self) -> str:
        return "output"

    @property
    def long_skips(self) -> int:
        return 0 if self.only_measures else self.computed_blocks

    def kept(self, run: RunFacts) -> tuple[Span, ...]:
        return (Span(self.computed_blocks, -self.computed_blocks),)

    def fixed(self, run: RunFacts) -> Fixed:
        computed = set(range(0, run.num_steps, self.period))
        return Fixed.of_steps(computed, run.num_steps, spans=self.kept(run))
