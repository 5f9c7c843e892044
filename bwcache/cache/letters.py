"""What a step and its blocks did, a letter each: how schedules are kept, shown and sent."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from .method import Plan

Action = Literal["compute", "reuse", "partial"]


def letters(plan: Plan, num_blocks: int) -> str:
    """The blocks of a step in calling order: "C" for one that runs, "r" for one replayed."""
    reused = {i for span in plan.reused for i in range(*span.of(num_blocks))}
    return "".join("r" if i in reused else "C" for i in range(num_blocks))


# of a whole step, wherever a schedule is shown or sent
LETTERS: Mapping[Action, Literal["C", "r", "p"]] = MappingProxyType(
    {"compute": "C", "reuse": "r", "partial": "p"}
)


def action_of(blocks: str, in_every_branch: bool = True) -> Action:
    """What a step does.

    Args:
        blocks: Its blocks' letters.
        in_every_branch: Whether those that ran did so in every guidance branch.
    """
    if "r" not in blocks:
        return "compute" if in_every_branch else "partial"
    return "partial" if "C" in blocks else "reuse"
