"""A pipeline whose arithmetic one can do by hand.

Two blocks double their input, so the stack gives four times it. The scheduler adds one to the
latents, which start at one: step t sees t + 1, each block changes by 1/t against the step before.
"""

from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import torch
from torch import nn


class DoublingBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return hidden_states * 2


class ToyTransformer(nn.Module):
    def __init__(self, blocks: int = 2):
        super().__init__()
        self.blocks = nn.ModuleList(DoublingBlock() for _ in range(blocks))

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            hidden_states = block(hidden_states)
        return hidden_states


class NamingTransformer(ToyTransformer):
    """One that is told which guidance branch a call belongs to, as diffusers' are."""

    @contextmanager
    def cache_context(self, name: str):
        yield


class ToyScheduler:
    def set_timesteps(self, steps: int) -> None:
        self.timesteps = torch.arange(steps, 0, -1)

    def step(self, prediction, timestep, latents):
        return SimpleNamespace(prev_sample=latents + 1)


class ToyPipeline:
    """Calls its transformer once a guidance branch; each branch sees latents of its own size.

    `calls` says which calls a step makes: for each its context, if it is named, and what it sees.
    `switch_at` is the step from which on a second transformer takes over.
    """

    def __init__(
        self,
        branches: int = 1,
        transformer: nn.Module | None = None,
        transformer_2: nn.Module | None = None,
        switch_at: int | None = None,
    ):
        self.transformer, self.scheduler = transformer or ToyTransformer(), ToyScheduler()
        self.transformer_2, self.switch_at = transformer_2, switch_at
        self.device = torch.device("cpu")
        self.predictions: list[float] = []
        self.outputs: list[list[torch.Tensor]] = []
        self.start = torch.ones(1, 4, 3)
        self.before_step = lambda step, latents: latents
        seen = [(None, lambda latents, b=b: latents * 10**b) for b in range(branches)]
        self.calls = lambda step: seen

    def __call__(self, steps: int) -> list[float]:
        """What the transformer gave in the first branch at each step; `outputs` has all of it."""
        self.scheduler.set_timesteps(steps)
        self.predictions, self.outputs, latents = [], [], self.start
        for index, timestep in enumerate(self.scheduler.timesteps):
            latents = self.before_step(index, latents)
            late = self.switch_at is not None and index >= self.switch_at
            transformer = self.transformer_2 if late else self.transformer
            outputs = []
            for context, seen in self.calls(index):
                with transformer.cache_context(context) if context else nullcontext():
                    outputs.append(transformer(seen(latents)))
            self.predictions.append(float(outputs[0].flatten()[0]))
            self.outputs.append(outputs)
            latents = self.scheduler.step(outputs[0], timestep, latents).prev_sample
        return self.predictions
