"""EasyCache: how strongly the output follows the input, last seen, says what a step would change.

    k = ‖Δ output‖ / ‖Δ input‖ between the last two computed steps
    Σ k · ‖x − x of the step before‖ / ‖output of the step before‖ < τ   → replay

Input and output are the transformer's own, of the step's first guidance branch, which decides for
all. Standard library only. Source: arXiv 2507.02860. There a replayed step returns input + (output
− input of the computed one); here the stack's residual is replayed, and embedding and head run.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..knob import knob
from ..method import WHOLE, Method, Plan, Probe, RunFacts, Seen
from .schedule import warm_up_knob

INPUT_CHANGE, INPUT_SINCE = "input_change", "input_since_computed"
OUTPUT_SINCE, OUTPUT_SIZE = "output_since_computed", "output_size"


@dataclass(frozen=True)
class EasyCacheState:
    """What the decision remembers of a run.

    Args:
        num_steps: T.
        ratio: k; None before two steps were computed.
        size: Mean size of the last output.
        total: Changes that have added up since the last computed step.
        computed: Whether the last step was computed.
    """

    num_steps: int
    ratio: float | None = None
    size: float | None = None
    total: float = 0.0
    computed: bool = True


@dataclass(frozen=True)
class EasyCacheConfig(Method):
    """How EasyCache decides.

    Args:
        threshold: τ, what may add up before a step is computed again; 0 reuses nothing.
        warm_up_steps: Steps at the start that are computed: a fifth, as ten of fifty published.

    Raises:
        ConfigError: A setting is of the wrong kind or out of its bounds.
    """

    name = "easycache"
    title = "EasyCache"
    about = "Replays until what the input's change should do to the output has added up."
    source = "arXiv 2507.02860"

    threshold: float = knob(
        0.05,
        "number",
        "Threshold",
        "How much expected change may add up before a step is computed again.",
        "τ: sum of k · ‖Δ input‖ / ‖output‖ since the last computed step.",
        basic=True,
    )
    warm_up_steps: int | float = warm_up_knob(0.2)

    @property
    def only_measures(self) -> bool:
        return self.threshold == 0

    def probes(self, run: RunFacts) -> tuple[Probe, ...]:
        def probe(name, of, against, metric):
            return Probe(name, of, (0,), against, metric, tokens=None, first_branch=True)

        return (
            probe(INPUT_CHANGE, "call_input", "measured", "change"),
            probe(INPUT_SINCE, "call_input", "computed", "change"),
            probe(OUTPUT_SINCE, "call_output", "computed", "change"),
            probe(OUTPUT_SIZE, "call_output", "measured", "size"),
        )

    def begin(self, run: RunFacts) -> EasyCacheState:
        return EasyCacheState(run.num_steps)

    def decide(self, state: EasyCacheState, seen: Seen) -> tuple[Plan, EasyCacheState]:
        if seen.block is None:
            plan = Plan(until=0, reason="the input is about to be seen")
            return plan, self._after(state, seen)
        (change,) = seen.numbers.get(INPUT_CHANGE, (None,))
        if change is None or state.ratio is None or not state.size:
            return Plan(reason="nothing to compare with yet"), replace(state, computed=True)
        if seen.step == state.num_steps - 1 or seen.computed:
            plan = Plan(reason="the last step" if not seen.computed else "computed in any case")
            return plan, replace(state, total=0.0, computed=True)
        total = state.total + state.ratio * change / state.size
        if total < self.threshold:
            plan = Plan((WHOLE,), reason=f"a change of {total:.4g} is expected")
            return plan, replace(state, total=total, computed=False)
        plan = Plan(reason=f"a change of {total:.4g} is expected, too much")
        return plan, replace(state, total=0.0, computed=True)

    def _after(self, state: EasyCacheState, seen: Seen) -> EasyCacheState:
        """The state with what the last step measured behind its end."""
        (size,) = seen.numbers.get(OUTPUT_SIZE, (state.size,))
        before = seen.numbers.get(INPUT_SINCE, (0.0,))[0]
        if state.computed and OUTPUT_SINCE in seen.numbers and before > 0:
            return replace(state, size=size, ratio=seen.numbers[OUTPUT_SINCE][0] / before)
        return replace(state, size=size)
