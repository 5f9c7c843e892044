"""A pipeline whose arithmetic one can do by hand.

Two blocks double their input, so the stack gives four times it. The scheduler adds one to the
latents, which start at one: step t sees t + 1, each block changes by 1/t against the step before.
"""

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


class ToyScheduler:
    def set_timesteps(self, steps: int) -> None:
        self.timesteps = torch.arange(steps, 0, -1)

    def step(self, prediction, timestep, latents):
        return SimpleNamespace(prev_sample=latents + 1)


class ToyPipeline:
    """Calls its transformer once a guidance branch; each branch sees latents of its own size."""

    def __init__(self, branches: int = 1):
        self.transformer, self.scheduler = ToyTransformer(), ToyScheduler()
        self.device, self.branches = torch.device("cpu"), branches
        self.predictions: list[float] = []
        self.before_step = lambda step, latents: latents

    def __call__(self, steps: int) -> list[float]:
        """What the transformer gave in the first branch at each step."""
        self.scheduler.set_timesteps(steps)
        self.predictions, latents = [], torch.ones(1, 4, 3)
        for index, timestep in enumerate(self.scheduler.timesteps):
            latents = self.before_step(index, latents)
            outputs = [self.transformer(latents * 10**b) for b in range(self.branches)]
            self.predictions.append(float(outputs[0].flatten()[0]))
            latents = self.scheduler.step(outputs[0], timestep, latents).prev_sample
        return self.predictions
