"""What is known of one run of a pipeline and of its running call: plain data, no decision."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from .ask import Asked
from .branch import CallLayout
from .branch_difference import FirstBranch
from .method import Method, Plan
from .prediction import UNKNOWN, Prediction
from .ranks import Ranks
from .rehearsal import Rehearsal
from .sampling import Parts
from .stopwatch import Stopwatch

MODEL_NAME = "bwcache_model"  # a transformer's attribute: its name in the catalogue


def model_of(transformer: object) -> str:
    """A transformer's name in the catalogue, as whoever loaded it has said; "" where nobody has."""
    return str(getattr(transformer, MODEL_NAME, ""))


@dataclass(frozen=True)
class RunPlan:
    """What a run is known to be when it begins.

    Args:
        levels: The noise level of each step, in the order they run; forecasts are linear in it.
        device: Where it runs.
        prediction: What the transformers' calls predict.
        rehearsal: Of the scheduler that steps; None where a loop has none.
    """

    levels: Sequence[float]
    device: torch.device
    prediction: Prediction = UNKNOWN
    rehearsal: Rehearsal | None = None


@dataclass(frozen=True)
class Call:
    """One call of a transformer.

    Args:
        owner: The transformer; Wan 2.2 has two.
        num_blocks: Its blocks.
        alternating: See `BlockStack`.
        context: What the pipeline calls this guidance branch; None where it does not say.
        expert: Which of the pipeline's transformers it is, from 0.
        rows: The batch of the call: its videos, once or for each guidance branch.
        ranks: The processes that share the call.
        check: Called when the first block is reached; raises where it is not the transformer's own.
        parts: See `RunFacts`; then `num_blocks` counts modules.
        feature: The stream of the blocks that is measured.
        shape: Of the latents that it is given, alike in all processes.
        timestep: What it is given as such.
    """

    owner: object
    num_blocks: int
    alternating: bool = False
    context: str | None = None
    expert: int = 0
    rows: int = 1
    ranks: Ranks | None = None
    check: Callable[[], None] = lambda: None
    parts: tuple[str, ...] = ()
    feature: str = ""
    shape: tuple[int, ...] = ()
    timestep: Any = None


@dataclass
class Expert:
    """What one of the run's transformers has seen and decided so far."""

    method: Method
    asked: Asked
    layout: CallLayout
    work: list[float]  # of each block; of a module its operations, once it has been called
    numbers: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


@dataclass
class RunState:
    """All that is known of one run of the pipeline; replaced whole by `Controller.reset`."""

    plan: RunPlan
    block_time: Stopwatch
    indicator_time: Stopwatch
    num_steps: int
    step: int = 0
    experts: dict[int, Expert] = field(default_factory=dict)
    expert: Expert | None = None  # the one whose turn it is
    call: Call | None = None
    videos: int = 1
    split: dict[tuple[int, tuple[int, ...]], Parts] = field(default_factory=dict)
    # of the running step
    started: float | None = None
    decision: Plan = field(default_factory=Plan)
    spans: dict[int, tuple[int, int]] = field(default_factory=dict)  # planned, by first block
    refusal: str | None = None
    read_early: dict[str, tuple[float, ...]] = field(default_factory=dict)
    calls: Counter[str | None] = field(default_factory=Counter)
    ran: list[bool] = field(default_factory=list)
    evaluations: float = 0
    evaluated: float = 0
    first_branch: FirstBranch = field(default_factory=FirstBranch)
    # of the running call
    first_call: bool = True
    in_call: bool = False
    reached: bool = False  # whether any block of the call was
    giving: dict[int, tuple[int, int]] = field(default_factory=dict)  # spans, by last block

    @property
    def turn(self) -> Expert:
        """The transformer whose turn it is; asked only after its first call."""
        assert self.expert is not None
        return self.expert

    @property
    def current(self) -> Call:
        """The running call; asked only while there is one."""
        assert self.call is not None
        return self.call

    @property
    def layout(self) -> CallLayout:
        """Of the transformer whose turn it is."""
        return self.turn.layout

    @property
    def over(self) -> bool:
        """Whether all steps that were announced have run."""
        return self.step >= self.num_steps

    @property
    def level(self) -> float:
        """The noise level of the running step."""
        levels = self.plan.levels
        return levels[min(self.step, len(levels) - 1)]
