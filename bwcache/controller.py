"""The state of a cached run: what each step decided, what is kept for replay, what was measured.

Knows tensors and the policy; knows nothing of diffusers. `hooks.py` tells it when a transformer
call begins, when the block stack is entered and left, and when a step ends.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from .config import BWCacheConfig
from .events import StepRecord, Trace
from .policy import Decision, PolicyState, decide
from .similarity import evenly_spaced, relative_l1, sample_tokens
from .stopwatch import Stopwatch, synchronise

Tensors = tuple[torch.Tensor, ...]
StepCallback = Callable[[StepRecord, torch.Tensor | None], None]


@dataclass
class Branch:
    """What one guidance branch keeps between steps: sampled features, and one tensor to replay."""

    features: dict[int, torch.Tensor] = field(default_factory=dict)
    ratios: dict[int, torch.Tensor] = field(default_factory=dict)
    stack_input: Tensors | None = None
    replay: Tensors | None = None


class Controller:
    """One pipeline's caching state, over any number of runs.

    Args:
        config: The settings.
        num_blocks: Transformer blocks of one call.
        on_step: Called after every step with its record and the new latents; what it raises ends
            the run.
    """

    def __init__(self, config: BWCacheConfig, num_blocks: int, on_step: StepCallback | None = None):
        self.config, self.num_blocks, self._on_step = config, num_blocks, on_step
        self.measured = evenly_spaced(num_blocks, config.indicator_blocks)
        self.traces: list[Trace] = []
        self.reset()

    def reset(self) -> None:
        """Forget the running run: free every tensor, start again at step 0."""
        self.branches: list[Branch] = []
        self.reusing = False
        self._policy: PolicyState | None = None
        self._decision = Decision("compute", "")
        self._refusal: str | None = None
        self._indicator: float | None = None
        self._owner: object = None
        self._calls = 0
        self._step_index = 0
        self._started: float | None = None
        self._block_time = self._indicator_time = None

    # -- what hooks.py reports, in this order ---------------------------------------------------

    def begin_call(self, owner: object, num_steps: int, device: torch.device) -> None:
        """A transformer is about to be called; the first call of a step decides for all."""
        if self._policy is None:
            self._policy = PolicyState(num_steps)
            self._block_time, self._indicator_time = Stopwatch(device), Stopwatch(device)
            self.traces.append(Trace(num_steps, self.num_blocks, self.config.as_dict()))
        if self._started is None:
            synchronise(device)
            self._started = time.perf_counter()
        if owner is not self._owner:  # Wan 2.2 switches experts: nothing of the first may stay
            self.branches, self._owner = [], owner
        if self._calls == 0:
            self._decision, self._policy = decide(
                self.config, self._policy, self._step_index, self._indicator
            )
            self._refusal = None
            if self._step_index >= self._policy.num_steps:
                self._refuse(f"step {self._step_index + 1} of {self._policy.num_steps}")
        if self._calls == len(self.branches):
            self.branches.append(Branch())
        self._calls += 1

    def enter_stack(self, stack_input: Tensors) -> None:
        """The first block is about to run, or to be passed by."""
        branch = self._branch
        self.reusing = self._decision.action == "reuse" and self._refusal is None
        if self.reusing:
            if branch.replay is None:
                self._refuse("nothing is cached for this call yet")
            elif not _alike(branch.replay, stack_input):
                self._refuse("the features changed shape or type")
        if not self.reusing:
            branch.stack_input = stack_input if self._keeps_replay else None
            self._block_time.start()

    @torch.no_grad()
    def measure(self, block: int, hidden_states: torch.Tensor) -> None:
        """A block has run: compare a sample of its output with the last computed step's."""
        if block not in self.measured:
            return
        with self._indicator_time.lap():
            branch = self._branch
            previous = branch.features.get(block)
            sample = sample_tokens(hidden_states, self.config.indicator_tokens)
            branch.features[block] = sample
            if previous is not None and _alike((previous,), (sample,)):
                branch.ratios[block] = relative_l1(sample, previous)

    @torch.no_grad()
    def leave_stack(self, stack_output: Tensors) -> None:
        """The last block has run: keep what a reused step would replay."""
        branch = self._branch
        if self._keeps_replay:
            if self.config.reuse == "output":
                branch.replay = tuple(x.detach() for x in stack_output)
            else:
                pairs = zip(stack_output, branch.stack_input, strict=True)
                branch.replay = tuple((after - before).detach() for after, before in pairs)
        branch.stack_input = None
        self._block_time.stop()

    def replay(self, stack_input: Tensors) -> Tensors:
        """What the stack would give, from the last time that it ran."""
        if self.config.reuse == "output":
            return self._branch.replay
        pairs = zip(stack_input, self._branch.replay, strict=True)
        return tuple(before + residual for before, residual in pairs)

    def end_step(
        self, timestep: float | None, latents: torch.Tensor | None, device: torch.device
    ) -> None:
        """The scheduler has stepped: read the measurements, once, and record the step."""
        if self._policy is None or self._calls == 0:
            return
        with self._indicator_time.lap():
            distances = self._read_distances()
        synchronise(device)
        now = time.perf_counter()
        measuring = self._indicator_time.read()
        computed = self._decision.action == "compute" or self._refusal is not None
        indicator = sum(distances) / len(distances) if distances else None
        record = StepRecord(
            self._step_index,
            "compute" if computed else "reuse",
            self._refusal or self._decision.reason,
            indicator,
            distances,
            now - self._started,
            max(0.0, self._block_time.read() - measuring) if computed else 0.0,
            measuring,
            timestep,
        )
        self._indicator = indicator
        self._step_index, self._calls = self._step_index + 1, 0
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
        self._started = time.perf_counter()

    # -- inside ---------------------------------------------------------------------------------

    @property
    def _branch(self) -> Branch:
        return self.branches[self._calls - 1]

    @property
    def _keeps_replay(self) -> bool:
        return self.config.threshold > 0

    def _refuse(self, why: str) -> None:
        """Compute although the policy would reuse."""
        self._refusal, self.reusing = why, False

    def _read_distances(self) -> tuple[float, ...] | None:
        """Per block, the mean over branches; the step's one wait for the device."""
        measured = [branch.ratios for branch in self.branches if branch.ratios]
        if not measured:
            return None
        blocks = [b for b in self.measured if all(b in ratios for ratios in measured)]
        table = torch.stack([torch.stack([ratios[b] for b in blocks]) for ratios in measured])
        for branch in self.branches:
            branch.ratios = {}
        return tuple(table.mean(dim=0).tolist())


def _alike(one: Tensors, other: Tensors) -> bool:
    kinds = [[(x.shape, x.dtype, x.device) for x in tensors] for tensors in (one, other)]
    return kinds[0] == kinds[1]
