"""First Block Cache: the first block always runs; where what it adds has hardly changed since the
last computed step, the rest of the stack is replayed.

Standard library only. Source: the method as described for ParaAttention and as diffusers has it,
against which this is tested bit for bit. Differs from diffusers where there are several guidance
branches: there each decides for itself, here the first one decides for all (one plan a step).
"""

from __future__ import annotations

from dataclasses import dataclass

from ..knob import knob
from ..method import Method, Plan, Probe, RunFacts, Seen, Span

REST = Span(1)  # all blocks but the first
HEAD = "first_block"


@dataclass(frozen=True)
class FirstBlockCacheConfig(Method):
    """How First Block Cache decides.

    Args:
        threshold: The rest of the stack is replayed where the first block's residual differs from
            that of the last computed step by at most this much, as relative L1. Any finite number
            ≥ 0; 0 replays only what is exactly alike.

    Raises:
        ConfigError: The threshold is not a finite number of at least 0.
    """

    name = "first_block_cache"
    title = "First Block Cache"
    about = "Runs the first block always, and the rest only where that block's effect has changed."
    source = "ParaAttention; diffusers' FirstBlockCacheConfig"

    threshold: float = knob(
        0.05,
        "number",
        "Threshold",
        "How much the first block's effect may change and the rest still be replayed.",
        "Relative L1 of the first block's residual against the last computed step.",
        basic=True,
    )

    def probes(self, run: RunFacts) -> tuple[Probe, ...]:
        return (Probe(HEAD, "residual", (0,), tokens=None, first_branch=True),)

    def kept(self, run: RunFacts) -> tuple[Span, ...]:
        return (REST,)

    def begin(self, run: RunFacts) -> None:
        return None

    def decide(self, state: None, seen: Seen) -> tuple[Plan, None]:
        if seen.block is None:
            return Plan(until=1, reason="the first block is about to run"), None
        if (measured := seen.numbers.get(HEAD)) is None:
            return Plan(reason="nothing to compare with yet"), None
        (change,) = measured
        if change <= self.threshold:
            return Plan((REST,), reason=f"first block changed by {change:.4g}"), None
        return Plan(reason=f"first block changed by {change:.4g}, too much"), None
