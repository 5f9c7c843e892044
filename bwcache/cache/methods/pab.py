"""Pyramid Attention Broadcast: attentions are computed now and then, in the middle of the run.

    self-attention every 2nd step, cross-attention every 3rd …; MLPs and all else at every step

Standard library only. Source: arXiv 2408.12588, as diffusers' `PyramidAttentionBroadcastConfig`
does it, but for this: there both guidance branches share one memory, so that on Wan the second is
given the first's attention; here each has its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..knob import knob, steps_of
from ..method import Forecast, RunFacts, Site, Span
from .schedule import Fixed, FixedSchedule, whole


@dataclass(frozen=True)
class PABConfig(FixedSchedule):
    """When attentions are computed.

    Args:
        self_every, cross_every: Steps from one computed self-attention, or cross-attention, to the
            next; 1 reuses none.
        active_from, active_until: Shares of the steps between which any is reused.

    Raises:
        ConfigError: A setting is of the wrong kind or out of its bounds.
    """

    name = "pab"
    title = "Pyramid Attention Broadcast"
    about = "Computes attentions only now and then, in the middle of the run."
    source = "arXiv 2408.12588"

    self_every: int = whole(
        2,
        "Self-attention",
        "How many steps one self-attention serves: higher is faster and less alike.",
        "Steps from one computed self-attention to the next; 1 reuses none.",
        basic=True,
    )
    cross_every: int = whole(
        4,
        "Cross-attention",
        "How many steps one cross-attention serves.",
        "Steps from one computed cross-attention to the next; 1 reuses none.",
    )
    active_from: float = knob(
        0.15,
        "number",
        "From",
        "From which share of the steps on attentions are reused.",
        "Share of the steps before which every attention is computed.",
        high=1,
    )
    active_until: float = knob(
        0.85,
        "number",
        "Until",
        "Until which share of the steps attentions are reused.",
        "Share of the steps from which on every attention is computed.",
        high=1,
    )

    @property
    def only_measures(self) -> bool:
        return self.self_every == self.cross_every == 1

    @property
    def forecast(self) -> Forecast:
        return "none"  # a trace does not tell which of a block's modules would run

    @property
    def site(self) -> Site:
        return "modules"

    @property
    def replay(self) -> str:
        return "output"

    def kept(self, run: RunFacts) -> tuple[Span, ...]:
        every = {"self": self.self_every, "cross": self.cross_every}
        return tuple(Span(i, i + 1) for i, p in enumerate(run.parts) if every.get(p, 1) > 1)

    def fixed(self, run: RunFacts) -> Fixed:
        every = {"self": self.self_every, "cross": self.cross_every}
        first, last = (
            steps_of(float(x), run.num_steps) for x in (self.active_from, self.active_until)
        )

        def reused(step: int) -> tuple[Span, ...]:
            if not first <= step < last:
                return ()
            parts = enumerate(run.parts)
            return tuple(Span(i, i + 1) for i, part in parts if step % every.get(part, 1))

        return Fixed(tuple(map(reused, range(run.num_steps))))
