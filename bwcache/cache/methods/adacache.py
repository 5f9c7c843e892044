"""AdaCache: how fast one block in the middle changes is looked up for how many steps to replay.

    c = ‖r − r of the last computed step‖₁ / ‖r of that‖₁ / steps between them     r: its residual
    c ← c · (m + (m − m before) / steps between them)                              MoReg
    the next computed step lies as many steps ahead as the codebook says for c

m is how much the prediction differs from frame to frame, relative to its size. Standard library
only. Source: arXiv 2411.02397, Eq. 5-8. There m is taken of the block's residual; a block's tokens
do not say which frame they are of, so here it is the transformer's output. The codebooks were made
for 30 steps of Open-Sora.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..knob import knob
from ..method import WHOLE, Method, Plan, Probe, RunFacts, Seen

CHANGE, MOTION, SIZE = "change", "motion", "prediction_size"
# below which change per step → how many steps ahead the next computed one lies
CODEBOOKS = {
    "fast": ((0.08, 6), (0.16, 5), (0.24, 4), (0.32, 3), (0.40, 2)),
    "slow": ((0.08, 3), (0.16, 2)),
}
LAST = 2  # steps at the end that are computed


@dataclass(frozen=True)
class AdaCacheState:
    """What the decision remembers of a run.

    Args:
        num_steps: T.
        asked: The step that was asked for last.
        computed: The last computed step.
        gap: Steps from the computed one before it to that.
        upcoming: The next computed step.
        motion: m at the last computed step.
    """

    num_steps: int
    asked: int = -1
    computed: int = -1
    gap: int = 1
    upcoming: int = 0
    motion: float | None = None


@dataclass(frozen=True)
class AdaCacheConfig(Method):
    """How AdaCache decides.

    Args:
        threshold: The codebook's bounds are multiplied by it; 0 reuses nothing.
        codebook: "fast" or "slow".
        motion: "on" for MoReg: what moves more is computed more often.

    Raises:
        ConfigError: A setting is of the wrong kind or out of its bounds.
    """

    name = "adacache"
    title = "AdaCache"
    about = "Looks up in a codebook how many steps to replay, from how fast a middle block changes."
    source = "arXiv 2411.02397"

    threshold: float = knob(
        1.0,
        "number",
        "Tolerance",
        "How much change is put up with: higher is faster and less alike.",
        "Factor on the codebook's bounds; 0 reuses nothing, 1 is as published.",
        basic=True,
    )
    codebook: str = knob(
        "fast",
        "choice",
        "Codebook",
        "How long stretches become.",
        "fast: up to 6 steps from one computed step to the next; slow: up to 3.",
        choices=[("fast", "fast"), ("slow", "slow")],
    )
    motion: str = knob(
        "on",
        "choice",
        "Motion (MoReg)",
        "Whether what moves more is computed more often.",
        "The change is multiplied by the frame difference of the prediction and its trend.",
        choices=[("on", "on"), ("off", "off")],
    )

    @property
    def only_measures(self) -> bool:
        return self.threshold == 0

    def probes(self, run: RunFacts) -> tuple[Probe, ...]:
        change = Probe(CHANGE, "residual", (run.num_blocks // 2,))
        if self.motion == "off":
            return (change,)
        return (
            change,
            Probe(MOTION, "call_motion", (0,), "measured", "size", tokens=None),
            Probe(SIZE, "call_output", (0,), "measured", "size", tokens=None),
        )

    def begin(self, run: RunFacts) -> AdaCacheState:
        return AdaCacheState(run.num_steps)

    def decide(self, state: AdaCacheState, seen: Seen) -> tuple[Plan, AdaCacheState]:
        if seen.step != state.asked + 1:  # it was not asked in the warm-up, which computes
            state = replace(state, computed=seen.step - 1, gap=1, upcoming=seen.step)
        if state.computed == seen.step - 1 and CHANGE in seen.numbers:
            state = self._measured(state, seen)
        state = replace(state, asked=seen.step)
        last = seen.step >= state.num_steps - LAST
        if not (last or seen.computed) and 0 < seen.step < state.upcoming:
            plan = Plan((WHOLE,), reason=f"step {state.upcoming + 1} is the next to compute")
            return plan, state
        reason = f"one of the last {LAST} steps" if last else "where the codebook has it"
        gap = seen.step - state.computed
        return Plan(reason=reason), replace(state, computed=seen.step, gap=gap)

    def _measured(self, state: AdaCacheState, seen: Seen) -> AdaCacheState:
        """The state with what the computed step before this one has shown."""
        rate, motion = seen.numbers[CHANGE][0] / state.gap, None
        if MOTION in seen.numbers and seen.numbers.get(SIZE, (0.0,))[0] > 0:
            motion = seen.numbers[MOTION][0] / seen.numbers[SIZE][0]
            before = motion if state.motion is None else state.motion
            rate *= max(0.0, motion + (motion - before) / state.gap)
        bounds = CODEBOOKS[self.codebook]
        ahead = next((ahead for bound, ahead in bounds if rate < bound * self.threshold), 1)
        return replace(state, upcoming=state.computed + ahead, motion=motion)
