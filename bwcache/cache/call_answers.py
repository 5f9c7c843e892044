"""Answers a transformer's whole calls: with a forecast, or a guidance branch with an estimate.

What a call is answered with takes the place of what it would return; none of its blocks runs then.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch

from ..errors import CacheError
from .branch import FORECAST, GUIDANCE, Branch
from .branch_difference import UNLIKE, BranchDifference
from .call_forecast import CallForecast
from .method import Method
from .run_state import RunState


class Returned(NamedTuple):
    """What comes of a call that was made.

    Args:
        instead: What it is to return instead; None for what it returned.
        probe: Which probes measure how far off the answer was that stood ready.
        miss: That answer, and what came; None where none stood ready.
    """

    instead: Any | None = None
    probe: str = ""
    miss: tuple[torch.Tensor, torch.Tensor] | None = None


def answers_any(method: Method) -> bool:
    """Whether a method may answer whole calls."""
    return method.site == "call" or method.guidance != "unused"


def answers(branch: Branch) -> bool:
    """Whether calls of a branch may be answered."""
    return branch.call is not None or branch.difference is not None


def answer(
    run: RunState, branch: Branch, given: Sequence[torch.Tensor], adds_noise: bool
) -> Any | None:
    """What the running call is answered with instead of being made; None where it is made.

    Args:
        run: The run, whose decision and refusal tell of it.
        branch: Whose call it is.
        given: The tensors that it is given, the latents first.
        adds_noise: Whether the scheduler draws noise of its own.
    """
    if branch.call is not None:
        return _forecast(run, branch.call, given, adds_noise)
    if branch.difference is not None:
        return _estimate(run, branch.difference)
    return None


def returned(run: RunState, branch: Branch, output: Any, all_ran: bool) -> Returned:
    """The running call was made: keep what later ones are answered from.

    Args:
        run, branch: See `answer`.
        output: What it returned.
        all_ran: Whether every block of it ran.
    """
    if branch.call is not None:
        found = branch.call.leave(output, run.step)
        if found is None:
            return Returned()
        return Returned(found.corrected, FORECAST, (found.ready, found.came))
    if branch.difference is not None:
        if run.first_call:
            run.first_branch.leave(output, all_ran)
        elif all_ran and run.first_branch.computed:
            return Returned(None, GUIDANCE, branch.difference.leave(run.first_branch, output))
    return Returned()


def refuse_unguided(
    methods: Iterable[Method], why: str = "this run calls its transformer once a step"
) -> None:
    """No guidance branch can be estimated: raise where a method does nothing else.

    Raises:
        CacheError: It does nothing else.
    """
    for method in methods:
        if method.guidance == "needed":
            raise CacheError(
                f"method: {method.title} estimates one guidance branch from the other, but "
                f"{why}; give it a guidance scale above 1 where the model takes one, or use "
                "another method",
                "other-methods",
            )


def check_branches(methods: Iterable[Method], branches: Iterable[Branch]) -> None:
    """A run's first step is over: refuse one none of whose branches can be estimated.

    Raises:
        CacheError: See `refuse_unguided`.
    """
    later = [x.difference for x in branches if x.difference is not None][1:]
    if not later:
        refuse_unguided(methods)
    elif all(each.why_none == UNLIKE for each in later):
        refuse_unguided(methods, UNLIKE)


def _forecast(
    run: RunState, call: CallForecast, given: Sequence[torch.Tensor], adds_noise: bool
) -> Any | None:
    """The forecast of the running call, where the plan has one and there is one."""
    if adds_noise:
        call.forecast_clean_video()
    if run.spans.get(0) == (0, run.current.num_blocks):
        run.refusal = call.refusal(given, run.step)
        if run.refusal is None:
            if call.note and call.note not in run.decision.reason:
                reason = f"{run.decision.reason}; {call.note}".lstrip("; ")
                run.decision = replace(run.decision, reason=reason)
            return call.give(given, run.step)
        run.spans = {}
    call.compute(given)
    return None


def _estimate(run: RunState, difference: BranchDifference) -> Any | None:
    """A later guidance branch, where the plan has weights for it and it can be told."""
    weights = run.decision.estimate
    if weights is None or run.first_call:
        return None
    refusal = difference.refusal(run.first_branch)
    if refusal is not None:
        run.refusal = refusal
        return None
    return difference.give(run.first_branch, *weights)
