"""BWCache's decision, step by step: compute the blocks, or reuse what they last gave.

A pure function of settings, state and the last measurement. Knows nothing of tensors or models.
Standard library only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from .bwcache import BWCacheConfig

Action = Literal["compute", "reuse"]


@dataclass(frozen=True)
class Decision:
    """What a step does, and why in a few words."""

    action: Action
    reason: str


@dataclass(frozen=True)
class PolicyState:
    """What the policy remembers of a run.

    Args:
        num_steps: T, the scheduler's real number of denoising steps.
        trigger_step: k, the 0-based step whose indicator first fell below the threshold.
        anchor_step: The computed step that the running stretch of reuse follows ("recheck" only).
        healthy: Whether the last measurement was a finite number.
    """

    num_steps: int
    trigger_step: int | None = None
    anchor_step: int | None = None
    healthy: bool = True


def decide(
    config: BWCacheConfig, state: PolicyState, step: int, indicator: float | None
) -> tuple[Decision, PolicyState]:
    """Decide what `step` does.

    Args:
        config: The settings.
        state: What is remembered; `PolicyState(num_steps)` at step 0.
        step: The 0-based step about to run.
        indicator: What step `step - 1` measured; None if it was reused or had nothing to compare.

    Returns:
        The decision, and the state to pass in at the next step.

    A measurement that is not finite never starts or continues a stretch of reuse: the next step
    is computed. The rest of the pattern stays where it was.

    Source: arXiv 2509.13789, Eq. 8 and the tail rule. Where the paper's tail is a slice of the
    last floor(k/2) steps, an empty tail here means no step, not every step.
    """
    if indicator is not None:
        state = _observe(config, state, step - 1, indicator)
    return _choose(config, state, step, indicator), state


def _observe(
    config: BWCacheConfig, state: PolicyState, measured_step: int, indicator: float
) -> PolicyState:
    if not math.isfinite(indicator):
        return replace(state, healthy=False)
    state = replace(state, healthy=True)
    if indicator >= config.threshold:
        return state
    first = measured_step if state.trigger_step is None else state.trigger_step
    return replace(state, trigger_step=first, anchor_step=measured_step)


def _choose(
    config: BWCacheConfig, state: PolicyState, step: int, indicator: float | None
) -> Decision:
    if not state.healthy:
        return Decision("compute", "the last measurement is not a finite number")
    if state.trigger_step is None:
        if indicator is None:
            return Decision("compute", "nothing to compare with yet")
        return Decision(
            "compute", f"indicator {indicator:.4g} is not below threshold {config.threshold:.4g}"
        )
    tail = config.tail_steps(state.trigger_step)
    if step >= state.num_steps - tail:
        return Decision("compute", f"one of the last {tail} steps")
    interval = config.interval_steps(state.num_steps)
    if config.gate == "once":
        place = (step - state.trigger_step - 1) % (interval + 1)
    else:
        place = step - state.anchor_step - 1
    if place < interval:
        return Decision("reuse", f"reuse {place + 1} of {interval}")
    if config.gate == "once" or indicator is None:
        return Decision("compute", f"refresh after {interval} reused")
    return Decision(
        "compute", f"indicator {indicator:.4g} is not below threshold {config.threshold:.4g} again"
    )
