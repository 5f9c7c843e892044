"""The one way to ask a method for a step's plan, live and in predictions: all are guarded alike."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .knob import steps_of
from .method import Method, Plan, RunFacts, Seen

NOT_FINITE = "the last measurement is not a finite number"
NOT_CACHED = "nothing is cached for this call yet"
MASK_COMPUTE, MASK_REUSE, MASK_METHOD = "C", "R", "?"


@dataclass(frozen=True)
class Asked:
    """A method in the course of a run.

    Args:
        method: The config.
        run: What is known of the run.
        state: The method's own, as the last question left it.
        healthy: Whether its last numbers could be used.
        step: The step of the last question.
        reusing: Whether that step reuses anything.
        stretch: How many steps before that one, without a gap, have reused anything.
    """

    method: Method
    run: RunFacts
    state: Any
    healthy: bool = True
    step: int = -1
    reusing: bool = False
    stretch: int = 0


def start(method: Method, run: RunFacts) -> Asked:
    """A method before the first step of a run, or of one of its transformers."""
    return Asked(method, run, method.begin(run))


def ask(
    asked: Asked, step: int, block: int | None, numbers: Mapping[str, Sequence[float]]
) -> tuple[Plan, Asked]:
    """Ask a method for a plan.

    What holds for every method: numbers that are not finite never start or continue reuse (they
    are kept from the method, and everything is computed until finite ones have been measured); a
    transformer's first step is computed; so are the steps of `warm_up_steps`, in which the method
    is not asked at all, those that `step_mask` names, and the one after `max_consecutive`.

    Args:
        asked: The method as the last question left it.
        step, block: See `Seen`.
        numbers: What was measured since, not finite ones included.
    """
    method, run = asked.method, asked.run
    bad = {n for n, values in numbers.items() if not all(map(math.isfinite, values))}
    healthy = (asked.healthy or bool(numbers)) and not bad
    stretch = asked.stretch
    if step != asked.step:
        stretch = stretch + 1 if asked.reusing and step == asked.step + 1 else 0
    warm_up = steps_of(method.warm_up_steps, run.num_steps)
    if step < warm_up:
        plan, state = Plan(reason=f"one of the first {warm_up} steps"), asked.state
    else:
        why = _why_computed(method, run, step, healthy, stretch)
        good = {name: tuple(values) for name, values in numbers.items() if name not in bad}
        seen = Seen(step, block, good, why is not None)
        plan, state = method.decide(asked.state, seen)
        if why is not None:
            plan = Plan((), plan.until, why if plan.reuses or not healthy else plan.reason or why)
        elif _masked(method, step) == MASK_REUSE:
            plan = replace(method.all_reused(run), reason="the step mask says so")
    reusing = plan.reuses or (step == asked.step and asked.reusing)
    return plan, Asked(method, run, state, healthy, step, reusing, stretch)


def _masked(method: Method, step: int) -> str:
    return method.step_mask[step] if step < len(method.step_mask) else MASK_METHOD


def _why_computed(
    method: Method, run: RunFacts, step: int, healthy: bool, stretch: int
) -> str | None:
    """Why a step is computed whatever the method says; None where it may decide."""
    if not healthy:
        return NOT_FINITE
    if step == run.first_step:
        return NOT_CACHED
    if _masked(method, step) == MASK_COMPUTE:
        return "the step mask says so"
    if method.max_consecutive is not None and stretch >= method.max_consecutive:
        return f"{stretch} steps in a row were reused, the most allowed"
    return None
