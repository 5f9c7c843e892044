"""Methods whose plans are written down beforehand, to test what stands between plan and blocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from bwcache import Method, Plan, Probe, Span
from bwcache.cache.method import WHOLE, RunFacts, Seen


@dataclass(frozen=True)
class Fixed(Method):
    """Reuses at each step the spans that a function names.

    Args:
        spans: Step and number of blocks → spans.
        keeping: Number of blocks → spans whose replay is kept.
        measuring: Number of blocks → probes.
        how: The replay.
    """

    name = "fixed"
    title = "Written down"

    spans: Callable[[int, int], tuple[Span, ...]] = lambda step, blocks: ()
    keeping: Callable[[int], tuple[Span, ...]] = lambda blocks: (WHOLE,)
    measuring: Callable[[int], tuple[Probe, ...]] = lambda blocks: ()
    how: str = "residual"
    asked: list[Seen] = field(default_factory=list, compare=False)

    def as_dict(self) -> dict[str, object]:
        return {}

    @property
    def replay(self) -> str:
        return self.how

    def probes(self, run: RunFacts) -> tuple[Probe, ...]:
        return self.measuring(run.num_blocks)

    def kept(self, run: RunFacts) -> tuple[Span, ...]:
        return self.keeping(run.num_blocks)

    def begin(self, run: RunFacts) -> int:
        return run.num_blocks

    def decide(self, blocks: int, seen: Seen) -> tuple[Plan, int]:
        self.asked.append(seen)
        return Plan(self.spans(seen.step, blocks), reason="as written down"), blocks


def late(step: int) -> bool:
    """Two steps computed, then two reused and one computed, over and over."""
    return step >= 2 and (step - 2) % 3 != 2


def whole_stack(step: int, blocks: int) -> tuple[Span, ...]:
    return (WHOLE,) if late(step) else ()


def singly(blocks: int) -> tuple[Span, ...]:
    return tuple(Span(i, i + 1) for i in range(blocks))


def every_block(step: int, blocks: int) -> tuple[Span, ...]:
    return singly(blocks) if late(step) else ()


def odd_blocks(step: int, blocks: int) -> tuple[Span, ...]:
    return singly(blocks)[1::2] if late(step) else ()


def all_but_first(step: int, blocks: int) -> tuple[Span, ...]:
    return (Span(1),) if late(step) and blocks > 1 else ()
