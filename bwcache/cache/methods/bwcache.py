"""BWCache, the paper's method, whole: its settings, and its decision step by step.

    indicator   mean over the blocks of ‖h[t] − h[last computed]‖₁ / ‖h[last computed]‖₁   (Eq. 5-7)
    trigger     the first step whose indicator is below the threshold δ
    pattern     from then on: reuse R steps, compute one, reuse R …                         (Eq. 8)
    tail        the last floor(k · tail_fraction) steps are computed, k being the trigger step

The measurement is taken on the device (`probes.py`), a reused step's output is made in `replay.py`.
`examples/the_method_in_a_loop.py` is the same as a plain loop. Standard library only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from ...errors import ConfigError
from ..knob import ROUNDING, knob, steps_of
from ..method import FEATURES, WHOLE, Forecast, Method, Plan, Probe, RunFacts, Seen, Span

REUSE_NAMES: dict[str, str] = {
    "residual": "BWCache (paper)",
    "forecast": "BWCache + forecast",
    "output": "BWCache (block output)",
}
GATE_NAMES: dict[str, str] = {"once": "once: keep the pattern", "recheck": "recheck: ask again"}
Reuse = Literal["residual", "output", "forecast"]
Gate = Literal["once", "recheck"]


@dataclass(frozen=True)
class BWCacheState:
    """What the decision remembers of a run.

    Args:
        num_steps: T, the scheduler's real number of denoising steps.
        trigger_step: k, the 0-based step whose indicator first fell below the threshold.
        anchor_step: The computed step that the running stretch of reuse follows.
        first_step: The step with which this transformer began: 0, or where a second expert took
            over. The tail is a share of the steps from there to the trigger.
    """

    num_steps: int
    trigger_step: int | None = None
    anchor_step: int | None = None
    first_step: int = 0


@dataclass(frozen=True)
class BWCacheConfig(Method):
    """How BWCache decides and what it replays.

    Args:
        threshold: δ. Caching starts after the first step whose indicator is below it. Any finite
            number ≥ 0; 0 measures and never reuses. The paper's 0.15 does not transfer between
            models: look at the indicator's measured range first.
        reuse_interval: R, the steps reused after a computed one. An int counts steps; a float in
            (0, 1) is a share of all steps, rounded down, at least one. The paper's default is 0.1.
        tail_fraction: The last `floor(k * tail_fraction)` steps are computed whatever the pattern
            says, k being the 0-based trigger step. 0.5 in the paper.
        reuse: "residual" replays `x + (out - in)` of the whole block stack, as the released code
            is described; "output" replays the last block's output, as the paper's text reads;
            "forecast" is ours: the residual, continued along its last change, linear in the noise
            level and damped (see `replay.py`), at the price of one more tensor a branch.
            On TinyWorld, mean PSNR of nine settings on eight prompts: 41.58 dB for "residual",
            44.70 dB for "forecast" (`assets/results/tinyworld-presets.json`).
        gate: "once" keeps the fixed pattern after the trigger; "recheck" reuses after a computed
            step only when that step's indicator is below the threshold too.
        indicator_blocks: How many evenly spaced blocks are measured; None for all. Leaving blocks
            out costs more in wrong decisions than it saves.
        indicator_tokens: How many evenly spaced tokens of each are measured, over a whole batch;
            None for all. With 128 the decision was the exact one for 99.7 % of the steps of
            TinyWorld's first version (`assets/results/sampling-tinyworld.json`). Its features are
            so few that 256 takes the same tokens, so that nothing says whether more than 128 would
            be better.

    Raises:
        ConfigError: A field is of the wrong kind or out of its bounds.

    Source: arXiv 2509.13789, Eq. 5-8. "residual" and "recheck" are second readings of it.
    """

    name = "bwcache"
    title = "BWCache"
    about = (
        "Measures how much the blocks change; below a threshold, it replays them for some steps."
    )
    source = "arXiv 2509.13789"

    threshold: float = knob(
        0.15,
        "number",
        "Threshold",
        "How much a step may change and still be replayed: higher is faster and less alike.",
        "δ: caching starts after the first step whose indicator is below it; 0 only measures.",
        basic=True,
    )
    reuse_interval: int | float = knob(
        0.1,
        "steps",
        "Reuse interval R",
        "How many steps are replayed after each computed one.",
        "R: a whole number of steps, or a share of all steps such as 0.1.",
    )
    tail_fraction: float = knob(
        0.5,
        "number",
        "Tail",
        "How much of the end is always computed.",
        "The last floor(k · this) steps are computed, k being the trigger step.",
        high=1,
    )
    reuse: str = knob(
        "residual",
        "choice",
        "What is replayed",
        "The forecast follows the trend of the last computed steps instead of repeating one.",
        "The residual of the block stack, its output, or a damped forecast of the residual.",
        choices=tuple(REUSE_NAMES.items()),
        basic=True,
    )
    gate: str = knob(
        "once",
        "choice",
        "Gate",
        "Whether the pattern is kept once it has begun, or asked for again and again.",
        "once: a fixed pattern after the trigger; recheck: measured again at each computed step.",
        choices=tuple(GATE_NAMES.items()),
    )
    indicator_blocks: int | None = knob(
        None,
        "count",
        "Measured blocks",
        "How many blocks are measured.",
        "Evenly spaced blocks that enter the indicator; all by default.",
    )
    indicator_tokens: int | None = knob(
        128,
        "count",
        "Measured tokens",
        "How much of each block is measured.",
        "Evenly spaced tokens of each measured block, over a whole batch.",
    )

    @property
    def title_here(self) -> str:
        return REUSE_NAMES[self.reuse]

    @property
    def only_measures(self) -> bool:
        return self.threshold == 0

    @property
    def forecast(self) -> Forecast:
        """With "once" everything before the trigger equals the uncached run: the rest is fixed."""
        return "exact" if self.gate == "once" else "estimate"

    @property
    def replay(self) -> str:
        return self.reuse

    def interval_steps(self, num_steps: int) -> int:
        """R in steps, for a run of `num_steps`."""
        return max(1, steps_of(self.reuse_interval, num_steps))

    def tail_steps(self, trigger_step: int) -> int:
        """How many last steps are computed whatever the pattern says."""
        return math.floor(trigger_step * self.tail_fraction + ROUNDING)

    def measuring(self) -> BWCacheConfig:
        """Settings for an uncached run that measures just as a run with these would."""
        return BWCacheConfig(
            threshold=0.0,
            indicator_blocks=self.indicator_blocks,
            indicator_tokens=self.indicator_tokens,
        )

    # -- the method ------------------------------------------------------------------------------

    def probes(self, run: RunFacts) -> tuple[Probe, ...]:
        blocks = evenly_spaced(run.num_blocks, self.indicator_blocks)
        return (Probe(FEATURES, "output", tuple(blocks), tokens=self.indicator_tokens),)

    def kept(self, run: RunFacts) -> tuple[Span, ...]:
        """The whole stack: a reused step runs no block, so one replay a branch is enough."""
        return () if self.only_measures else (WHOLE,)

    def begin(self, run: RunFacts) -> BWCacheState:
        return BWCacheState(run.num_steps, first_step=run.first_step)

    def decide(self, state: BWCacheState, seen: Seen) -> tuple[Plan, BWCacheState]:
        """Compute the blocks in this step, or replay them.

        Where the paper's tail is a slice of the last floor(k/2) steps, an empty tail here means no
        step, not every step.

        Source: arXiv 2509.13789, Eq. 8 and the tail rule.
        """
        indicator = mean(seen.numbers.get(FEATURES))
        if indicator is not None and indicator < self.threshold:
            state = self._below(state, measured_step=seen.step - 1)
        return self._choose(state, seen.step, indicator), state

    def _below(self, state: BWCacheState, measured_step: int) -> BWCacheState:
        first = measured_step if state.trigger_step is None else state.trigger_step
        return replace(state, trigger_step=first, anchor_step=measured_step)

    def _choose(self, state: BWCacheState, step: int, indicator: float | None) -> Plan:
        trigger = state.trigger_step
        if trigger is None:
            if indicator is None:
                return Plan(reason="nothing to compare with yet")
            return Plan(reason=self._not_below(indicator))
        tail = self.tail_steps(trigger - state.first_step)
        if step >= state.num_steps - tail:
            return Plan(reason=f"one of the last {tail} steps")
        interval = self.interval_steps(state.num_steps)
        if self.gate == "once":
            place = (step - trigger - 1) % (interval + 1)
        else:
            place = step - (trigger if state.anchor_step is None else state.anchor_step) - 1
        if place < interval:
            return Plan((WHOLE,), reason=f"reuse {place + 1} of {interval}")
        if self.gate == "once" or indicator is None:
            return Plan(reason=f"refresh after {interval} reused")
        return Plan(reason=f"{self._not_below(indicator)} again")

    def _not_below(self, indicator: float) -> str:
        return f"indicator {indicator:.4g} is not below threshold {self.threshold:.4g}"

    def facts(self, state: BWCacheState) -> dict[str, int | None]:
        return {"trigger_step": state.trigger_step}


def parse_interval(text: str) -> int | float:
    """A reuse interval as typed: "3" counts steps, "0.1" is a share of them."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        raise ConfigError("reuse_interval", text, "a number such as 3 or 0.1") from None


def mean(numbers: tuple[float, ...] | None) -> float | None:
    """The indicator: the mean over the measured blocks; None where nothing was measured."""
    return sum(numbers) / len(numbers) if numbers else None


def evenly_spaced(count: int, wanted: int | None) -> list[int]:
    """At most `wanted` indices spread evenly over `range(count)`, both ends included."""
    if wanted is None or wanted >= count:
        return list(range(count))
    if wanted == 1:
        return [count // 2]
    return [round(i * (count - 1) / (wanted - 1)) for i in range(wanted)]
