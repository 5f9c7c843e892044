"""FasterCache's guidance reuse: the second guidance branch is computed now and then only.

    from `active_from` on, in all steps but every N-th
        second = first + Δ, low and high spatial frequencies of Δ weighted
        Δ      = second − first of the last step that computed both

The first branch (in Wan the conditional one) is computed at every step, so that a step costs half
at least. Nothing is measured. Standard library only.

Source: arXiv 2410.19355, its "CFG-Cache". As in its authors' code and in diffusers'
`FasterCacheConfig`, a weight multiplies the kept difference at each step anew: low frequencies
before `turn`, high ones from it on. Its reuse of attentions is left out here; PAB is close to it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..knob import knob, steps_of
from ..method import Forecast, Guidance, Method, Plan, RunFacts, Seen
from .schedule import whole


@dataclass(frozen=True)
class FasterCacheState:
    """What the decision remembers of a run.

    Args:
        active: The first step that may be estimated.
        turn: The first step whose high frequencies are weighted instead of the low ones.
        since: How many steps ago both branches were computed.
        low, high: What the difference's frequencies have been multiplied by since then.
    """

    active: int
    turn: int
    since: int = 0
    low: float = 1.0
    high: float = 1.0


@dataclass(frozen=True)
class FasterCacheConfig(Method):
    """When the second guidance branch is computed, and how the difference is weighted.

    Args:
        period: N, the steps from one step that computes both branches to the next; 1 estimates
            none.
        active_from: Share of the steps before which every branch is computed.
        turn: Share of the steps before which low frequencies are weighted, and from which on high
            ones are.
        weight: What the weighted frequencies of the difference are multiplied by at each
            estimated step; 1 holds the difference.

    Raises:
        ConfigError: A setting is of the wrong kind or out of its bounds.
    """

    name = "fastercache"
    title = "FasterCache (guidance)"
    about = "Estimates the second guidance branch from the first and how they last differed."
    source = "arXiv 2410.19355; diffusers' FasterCacheConfig"

    period: int = whole(
        5,
        "Period",
        "Every so many-th step computes both guidance branches: higher is faster.",
        "N: steps from one step that computes both branches to the next; 1 estimates none.",
        basic=True,
    )
    active_from: float = knob(
        0.34,
        "number",
        "From",
        "From which share of the steps on a guidance branch is estimated.",
        "Share of the steps before which every guidance branch is computed.",
        high=1,
    )
    turn: float = knob(
        0.9,
        "number",
        "Turn",
        "Where fine detail is strengthened instead of coarse shape.",
        "Share of the steps before which low frequencies are weighted, and from which high ones.",
        high=1,
    )
    weight: float = knob(
        1.1,
        "number",
        "Weight",
        "How much the difference is strengthened at each estimated step.",
        "1 + α: multiplies the weighted frequencies at each estimated step; 1 holds them.",
        high=2,
    )

    @property
    def only_measures(self) -> bool:
        return self.period == 1

    @property
    def forecast(self) -> Forecast:
        return "exact"

    @property
    def guidance(self) -> Guidance:
        return "unused" if self.only_measures else "needed"

    def kept(self, run: RunFacts) -> tuple:
        return ()

    def all_reused(self, run: RunFacts) -> Plan:
        return Plan(estimate=(1.0, 1.0))

    def begin(self, run: RunFacts) -> FasterCacheState:
        active, turn = (steps_of(float(x), run.num_steps) for x in (self.active_from, self.turn))
        return FasterCacheState(active, turn)

    def decide(self, state: FasterCacheState, seen: Seen) -> tuple[Plan, FasterCacheState]:
        step, fresh = seen.step, FasterCacheState(state.active, state.turn)
        if step < state.active:
            return Plan(reason="before guidance is estimated"), fresh
        if seen.computed or state.since + 1 >= self.period:
            return Plan(reason="both guidance branches by schedule"), fresh
        early = step < state.turn
        state = replace(
            state,
            since=state.since + 1,
            low=state.low * (self.weight if early else 1.0),
            high=state.high * (1.0 if early else self.weight),
        )
        reason = f"second guidance branch estimated, {state.since} of {self.period - 1}"
        return Plan(estimate=(state.low, state.high), reason=reason), state
