"""Replay a recorded uncached run at other settings: what would have been reused, at what cost.

Uses the very policy that runs live, so the two cannot drift apart. Standard library only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import TraceError
from .methods.bwcache import BWCacheConfig
from .methods.policy import Action, PolicyState, decide
from .trace import Trace


@dataclass(frozen=True)
class Prediction:
    """What a run at some settings would do.

    Args:
        schedule: The action of each step.
        trigger_step: k; None where the indicator never falls below the threshold.
        steps_reused: How many steps replay cached features.
        predicted_seconds: The denoising loop, from the recorded run's own step times.
        exact: Whether the schedule is certain rather than an estimate.
    """

    schedule: list[Action]
    trigger_step: int | None
    steps_reused: int
    predicted_seconds: float
    exact: bool


def predict(trace: Trace, config: BWCacheConfig) -> Prediction:
    """Replay an uncached run's indicators through the policy.

    Args:
        trace: A complete uncached run that measured every step.
        config: The settings to try.

    Returns:
        The prediction. With `gate="once"` it is exact: everything before the trigger is identical
        to the uncached run, and everything after it is a fixed pattern. With `gate="recheck"` it
        is an estimate, since later indicators would be those of the cached run.

    Raises:
        TraceError: The trace is incomplete or reused steps itself.
    """
    if trace.steps_reused or len(trace.steps) != trace.num_steps:
        raise TraceError("trace: a complete run without reuse is needed to predict from")
    state, indicator, schedule = PolicyState(trace.num_steps), None, []
    for step in trace.steps:
        decision, state = decide(config, state, step.step_index, indicator)
        schedule.append(decision.action)
        indicator = step.indicator if decision.action == "compute" else None
    seconds = sum(
        step.net_seconds - (step.block_seconds if action == "reuse" else 0.0)
        for step, action in zip(trace.steps, schedule, strict=True)
    )
    return Prediction(
        schedule,
        state.trigger_step,
        schedule.count("reuse"),
        seconds,
        config.gate == "once" or state.trigger_step is None,
    )


def reuse_starts_above(trace: Trace, config: BWCacheConfig) -> float | None:
    """The threshold at or below which an uncached run's schedule would reuse nothing.

    The smallest indicator that a step to reuse could follow: not one at the run's end, nor one
    whose tail covers the rest. None where nothing was measured.
    """
    useful = [
        step.indicator
        for step in trace.steps
        if step.indicator is not None
        and math.isfinite(step.indicator)
        and step.step_index + 1 < trace.num_steps - config.tail_steps(step.step_index)
    ]
    return min(useful, default=None)
