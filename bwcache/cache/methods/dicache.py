"""DiCache: the first block is a probe, for when to replay and for how far the change has gone on.

    Σ ‖p − p of the step before‖₁ / ‖p of the step before‖₁ < threshold → replay    p: its output
    r₋₂ + γ (r₋₁ − r₋₂),  γ = ‖q − q₋₂‖₁ / ‖q₋₁ − q₋₂‖₁ in [1, 2]                  q: its residual

r₋₁ and r₋₂ are what the rest of the stack added at the last two computed steps. Standard library
only. Source: arXiv 2508.17356. The first guidance branch decides for all, each has its own γ.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..knob import knob
from ..method import Method, Plan, Probe, RunFacts, Seen, Span
from .schedule import warm_up_knob

REST = Span(1)  # all blocks but the probe
PROBE, LEAD = "probe", "probe_residual"


@dataclass(frozen=True)
class DiCacheConfig(Method):
    """How DiCache decides.

    Args:
        threshold: What the probe's changes may add up to before a step is computed; 0 reuses
            nothing.
        warm_up_steps: Steps at the start that are computed: a fifth, as published.

    Raises:
        ConfigError: A setting is of the wrong kind or out of its bounds.
    """

    name = "dicache"
    title = "DiCache"
    about = "Asks the first block when to replay, and how far the last change has gone on."
    source = "arXiv 2508.17356"

    threshold: float = knob(
        0.08,
        "number",
        "Threshold",
        "How much change of the first block may add up before a step is computed again.",
        "Sum of the probe's relative L1 changes from step to step.",
        basic=True,
    )
    warm_up_steps: int | float = warm_up_knob(0.2)

    @property
    def only_measures(self) -> bool:
        return self.threshold == 0

    @property
    def replay(self) -> str:
        return "mix"

    def probes(self, run: RunFacts) -> tuple[Probe, ...]:
        return (
            Probe(PROBE, "output", (0,), "measured", tokens=None, first_branch=True),
            Probe(LEAD, "residual", (0,), "measured", "size", tokens=1),  # the replay follows it
        )

    def kept(self, run: RunFacts) -> tuple[Span, ...]:
        return (REST,)

    def begin(self, run: RunFacts) -> float:
        return 0.0

    def decide(self, total: float, seen: Seen) -> tuple[Plan, float]:
        if seen.block is None:
            return Plan(until=1, reason="the first block is about to run"), total
        if (measured := seen.numbers.get(PROBE)) is None or seen.computed:
            return Plan(reason="nothing to compare with yet"), 0.0
        total += measured[0]
        if total < self.threshold:
            return Plan((REST,), reason=f"the probe's changes add up to {total:.4g}"), total
        return Plan(reason=f"the probe's changes add up to {total:.4g}, too much"), 0.0
