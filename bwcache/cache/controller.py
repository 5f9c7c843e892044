"""The state of a cached run: what each step decided, what its branches keep, what was measured.

Knows the policy and the clock; knows nothing of diffusers. `hooks.py` tells it when a transformer
call begins, when the block stack is entered and left, and when a step ends.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from .branch import Branch, Tensors
from .methods.bwcache import BWCacheConfig
from .methods.policy import Decision, PolicyState, decide
from .stopwatch import Stopwatch, synchronise
from .trace import StepRecord, Trace

StepCallback = Callable[[StepRecord, torch.Tensor | None], None]


@dataclass(frozen=True)
class RunPlan:
    """What a run is known to be when it begins.

    Args:
        levels: The noise level of each step, in the order they run; forecasts are linear in it.
        device: Where it runs.
    """

    levels: Sequence[float]
    device: torch.device


@dataclass(frozen=True)
class Call:
    """One call of a transformer.

    Args:
        owner: The transformer; Wan 2.2 has two.
        num_blocks: Its blocks.
        alternating: See `BlockStack`.
        context: What the pipeline calls this guidance branch; None where it does not say.
    """

    owner: object
    num_blocks: int
    alternating: bool = False
    context: str | None = None


class Controller:
    """One pipeline's caching state, over any number of runs.

    Args:
        config: The settings.
        on_step: Called after every step with its record and the new latents; what it raises ends
            the run.
    """

    def __init__(self, config: BWCacheConfig, on_step: StepCallback | None = None):
        self.config, self._on_step = config, on_step
        self.traces: list[Trace] = []
        self.reset()

    def reset(self) -> None:
        """Forget the running run: free every tensor, start again at step 0."""
        self.branches: dict[tuple[str | None, int], Branch] = {}
        self.reusing = False
        self._branch: Branch | None = None
        self._plan: RunPlan | None = None
        self._policy: PolicyState | None = None
        self._decision = Decision("compute", "")
        self._refusal: str | None = None
        self._indicator: float | None = None
        self._owner: object = None
        self._calls: Counter[str | None] = Counter()
        self._step_index = 0
        self._started: float | None = None
        self._block_time = self._indicator_time = None

    # -- what hooks.py reports, in this order ---------------------------------------------------

    def begin_call(self, call: Call, plan: Callable[[], RunPlan]) -> None:
        """A transformer is about to be called; the first call of a step decides for all."""
        if self._plan is None:
            self._begin_run(call, plan())
        if self._started is None:
            synchronise(self._plan.device)
            self._started = time.perf_counter()
        if call.owner is not self._owner:  # Wan 2.2 switches experts: nothing of the first may stay
            self.branches, self._owner = {}, call.owner
        if not self._calls:
            self._decide()
        key = (call.context, self._calls[call.context])
        self._calls[call.context] += 1
        if key not in self.branches:
            self.branches[key] = Branch(self.config, call.alternating)
        self._branch = self.branches[key]

    def enter_stack(self, stack_input: Tensors) -> None:
        """The first block is about to run, or to be passed by."""
        self.reusing = self._decision.action == "reuse" and self._refusal is None
        if self.reusing:
            self._refusal = self._branch.refusal(stack_input)
            self.reusing = self._refusal is None
        self._branch.enter(stack_input, self.reusing)
        if not self.reusing:
            self._block_time.start()

    def measure(self, features: torch.Tensor) -> None:
        """A measured block has run; the time that measuring takes is not the blocks'."""
        self._block_time.hand_over(self._indicator_time)
        self._branch.samples.take(features)
        self._indicator_time.hand_over(self._block_time)

    @torch.no_grad()
    def leave_stack(self, stack_output: Tensors) -> None:
        """The last block has run."""
        self._branch.leave(stack_output, self._level)
        self._block_time.hand_over(self._indicator_time)
        self._branch.ratios = self._branch.samples.compare()
        self._indicator_time.stop()

    def replay(self, passed_by: Tensors) -> Tensors:
        """What the stack would give, were it not passed by."""
        return self._branch.replay(passed_by, self._level)

    def end_step(self, timestep: float | None, latents: torch.Tensor | None) -> None:
        """The scheduler has stepped: read the measurements, once, and record the step."""
        if not self._calls:
            return
        self._indicator_time.start()
        distances = self._read_distances()
        self._indicator_time.stop()
        synchronise(self._plan.device)
        now = time.perf_counter()
        computed = self._decision.action == "compute" or self._refusal is not None
        indicator = sum(distances) / len(distances) if distances else None
        record = StepRecord(
            self._step_index,
            "compute" if computed else "reuse",
            self._refusal or self._decision.reason,
            indicator,
            distances,
            now - self._started,
            self._block_time.read() if computed else 0.0,
            self._indicator_time.read(),
            timestep,
        )
        self._indicator = indicator
        self._step_index, self._calls = self._step_index + 1, Counter()
        trace = self.traces[-1]
        self.traces[-1] = Trace(
            trace.num_steps,
            trace.num_blocks,
            trace.config,
            (*trace.steps, record),
            self._policy.trigger_step,
        )
        if self._on_step is not None:
            self._on_step(record, latents)
        if self._step_index == self._policy.num_steps:
            self.branches, self._branch = {}, None  # decoding may need the memory
        self._started = time.perf_counter()

    # -- inside ---------------------------------------------------------------------------------

    @property
    def _level(self) -> float:
        levels = self._plan.levels
        return levels[min(self._step_index, len(levels) - 1)]

    def _begin_run(self, call: Call, plan: RunPlan) -> None:
        self._plan, self._policy = plan, PolicyState(len(plan.levels))
        self._block_time, self._indicator_time = Stopwatch(plan.device), Stopwatch(plan.device)
        self.traces.append(Trace(len(plan.levels), call.num_blocks, self.config.as_dict()))

    def _decide(self) -> None:
        self._decision, self._policy = decide(
            self.config, self._policy, self._step_index, self._indicator
        )
        self._refusal = None
        if self._step_index >= self._policy.num_steps:
            self._refusal = f"step {self._step_index + 1} of {self._policy.num_steps}"

    def _read_distances(self) -> tuple[float, ...] | None:
        """Per block, the mean over branches; the step's one wait for the device."""
        measured = [b.ratios for b in self.branches.values() if b.ratios is not None]
        for branch in self.branches.values():
            branch.ratios = None
        return tuple(torch.stack(measured).mean(dim=0).tolist()) if measured else None
