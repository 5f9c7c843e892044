"""Replay a recorded uncached run at other settings: what would have been reused, at what cost.

Asks the very method that decides live, through the same door, so the two cannot drift apart.
Standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import TraceError
from .ask import MASK_REUSE, ask, start
from .calibration import is_known
from .letters import Action, action_of, letters
from .method import FEATURES, Method, RunFacts
from .methods.bwcache import BWCacheConfig
from .trace import Trace, TraceFile


@dataclass(frozen=True)
class Prediction:
    """What a run at some settings would do.

    Args:
        schedule: The action of each step.
        trigger_step: k; None where the indicator never falls below the threshold.
        steps_reused: How many steps replay cached features and run no block.
        predicted_seconds: The denoising loop, from the recorded run's own step times.
        exact: Whether the schedule is certain rather than an estimate.
        compute_share: Of all block evaluations, how many would run, 0 to 1.

    A guidance branch that would be estimated counts as half of its step, unless the trace says how
    many branches there were.
    """

    schedule: list[Action]
    trigger_step: int | None
    steps_reused: int
    predicted_seconds: float
    exact: bool
    compute_share: float


USUAL_BRANCHES = 2  # of guidance, where a trace does not say


def predict(trace: Trace, config: Method | Sequence[Method]) -> Prediction:
    """Replay what an uncached run measured through a method.

    Args:
        trace: A complete uncached run that measured every step.
        config: The method and the settings to try; one for each expert where the run has two and
            they differ.

    Returns:
        The prediction. It is exact where nothing that the method asks for can differ from the
        uncached run, such as BWCache with `gate="once"`: everything before the trigger is
        identical, and everything after it is a fixed pattern. Else it is an estimate, since later
        measurements would be those of the cached run.

    Raises:
        TraceError: The trace is incomplete or reused steps itself, or lacks what the method
            measures.
    """
    if len(trace.steps) != trace.num_steps or set(trace.schedule) - {"compute"}:
        raise TraceError("trace: a complete run without reuse is needed to predict from")
    configs = (config,) if isinstance(config, Method) else tuple(config)
    for each in configs:
        if each.forecast == "none":
            raise TraceError(
                f"trace: what {each.title} would do cannot be told from an uncached run"
            )
    blocks_of = {each.expert: each.num_blocks for each in trace.experts}
    expert: int | None = None
    numbers: dict[str, tuple[float, ...]] = {}
    blocks, states, shares, schedule = [], [], [], []
    for step in trace.steps:
        if step.expert != expert:  # its state and its measurements are its own
            expert, first = step.expert, step.step_index
            method = configs[min(expert, len(configs) - 1)]
            count = blocks_of.get(expert, trace.num_blocks)
            facts = RunFacts(trace.num_steps, count, first_step=first, noise=trace.noise or ())
            asked, numbers = start(method, facts), {}
            needed = {probe.name for probe in method.probes(facts)} - {FEATURES}
            states.append(asked)
        plan, asked = ask(asked, step.step_index, None, numbers)
        states[-1] = asked
        blocks.append(letters(plan, count))
        ran = blocks[-1].count("C") / count
        called = 1.0 if plan.estimate is None else 1 / (trace.branches or USUAL_BRANCHES)
        shares.append(ran * called)
        schedule.append(action_of(blocks[-1], called == 1))
        if step.step_index > first and (missing := needed - set(step.numbers)):
            raise TraceError(f"trace: it lacks {sorted(missing)[0]}, which {method.title} measures")
        numbers = _measured(step, needed) if schedule[-1] == "compute" else {}
    seconds = sum(
        step.net_seconds - (1 - share) * step.block_seconds
        for step, share in zip(trace.steps, shares, strict=True)
    )
    triggers = [each.method.facts(each.state).get("trigger_step") for each in states]
    trigger = next((step for step in triggers if step is not None), None)
    return Prediction(
        schedule,
        trigger,
        schedule.count("reuse"),
        seconds,
        all(_exact(each, trace) for each in configs) or set(schedule) == {"compute"},
        sum(shares) / len(shares),
    )


def _exact(config: Method, trace: Trace) -> bool:
    """Whether nothing that decides is measured behind a reused step, or was not recorded."""
    unknown = config.site == "call" and trace.noise is None  # a file of an earlier version
    unknown = unknown or (config.guidance != "unused" and trace.branches is None)
    return config.forecast == "exact" and MASK_REUSE not in config.step_mask and not unknown


def _measured(step, needed: set[str]) -> dict[str, tuple[float, ...]]:
    """What the probes would have read at a computed step."""
    numbers = {name: step.numbers[name] for name in needed if name in step.numbers}
    if step.indicator is not None:
        numbers[FEATURES] = (step.indicator,)  # its mean is all that a trace must hold
    return numbers


def settings_of_cached_run(recorded: TraceFile, method: type[Method]) -> dict[str, Any]:
    """What a recorded cached run was made with: the usual settings of a prediction from its trace.

    Without a cached run, or where it used another method, only what was measured on its model.
    """
    names, cached = {knob.name for knob in method.knobs()}, recorded.cached
    known = "calibration" in names and is_known(recorded.model, method.name)
    found = {"calibration": recorded.model} if known else {}
    if cached is None or cached.method != method.name:
        return found
    return found | {name: value for name, value in cached.config.items() if name in names}


def decides_by_indicator(config: Method) -> bool:
    """Whether a method decides by the indicator, which every uncached run measures."""
    return any(probe.name == FEATURES for probe in config.probes(RunFacts(2, 1)))


def reuse_starts_above(trace: Trace, config: BWCacheConfig) -> float | None:
    """The threshold at or below which an uncached run's schedule would reuse nothing.

    The smallest indicator that a step to reuse could follow: not one at the run's end, nor one
    whose tail covers the rest. None where nothing was measured.
    """
    began = {each.expert: each.first_step for each in trace.experts}
    useful = [
        step.indicator
        for step in trace.steps
        if step.indicator is not None
        and math.isfinite(step.indicator)
        and step.step_index + 1
        < trace.num_steps - config.tail_steps(step.step_index - began.get(step.expert, 0))
    ]
    return min(useful, default=None)
