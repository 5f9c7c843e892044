"""What a trace is told of a step that is over, and of what its methods remember."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .letters import action_of
from .method import FEATURES
from .run_state import Expert, RunState
from .trace import ExpertRecord, StepRecord


def record_of(
    run: RunState,
    seconds: float,
    timestep: float | None,
    measured: Mapping[str, tuple[float, ...]],
) -> StepRecord:
    """The record of the running step, which is over; reads the run's stopwatches.

    Args:
        run: The run.
        seconds: What the step took.
        timestep: The scheduler's; None where it is not known.
        measured: The numbers of its probes.
    """
    blocks = "".join("C" if ran else "r" for ran in run.ran)
    numbers = dict(measured)
    distances = numbers.pop(FEATURES, None)
    return StepRecord(
        run.step,
        action_of(blocks, run.evaluated == run.evaluations),
        run.refusal or run.decision.reason,
        sum(distances) / len(distances) if distances else None,
        distances,
        seconds,
        run.block_time.read(),
        run.indicator_time.read(),
        timestep,
        blocks,
        run.evaluated / run.evaluations if run.evaluations else 1.0,
        {**run.read_early, **numbers},
        run.current.expert,
    )


def remembered(run: RunState) -> dict[str, Any]:
    """What the methods of a run remember, as fields of its trace."""
    if len(run.experts) == 1:
        return {"state": _facts(run.turn), "experts": ()}
    found = [
        ExpertRecord(
            number,
            expert.layout.facts.first_step,
            expert.layout.facts.num_blocks,
            expert.method.name,
            expert.method.as_dict(),
            _facts(expert),
        )
        for number, expert in run.experts.items()
    ]
    triggered = [each for each in found if each.state.get("trigger_step") is not None]
    return {"state": (triggered or found)[0].state, "experts": tuple(found)}


def _facts(expert: Expert) -> dict[str, Any]:
    return expert.method.facts(expert.asked.state)
