"""A model of which everything is known: its data is one video, so that its paths are straight.

Latents are `signal · x0 + noise · ε` with one x0, so that at any point the noise, and with it every
kind of prediction, is exact. Where the solver is exact on straight paths, the noise never changes
along a path, and a forecast that is told rightly is the very prediction.
"""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import nn

VIDEO = torch.linspace(-1, 1, 24).reshape(1, 3, 2, 2, 2)


class Passing(nn.Module):
    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        return hidden_states


class OneVideo(nn.Module):
    """Predicts, of the kind given, what stands behind its latents; `mix` is set before each call.

    Args:
        kind: A diffusers scheduler's prediction type.
        joined: Channels of a condition that are joined to the latents.
    """

    def __init__(self, kind: str, joined: int = 0):
        super().__init__()
        self.blocks = nn.ModuleList([Passing(), Passing()])
        self.kind, self.joined, self.calls = kind, joined, 0
        self.mix = (1.0, 0.0)
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, hidden_states: torch.Tensor, timestep=None) -> tuple[torch.Tensor]:
        self.calls += 1
        for block in self.blocks:
            hidden_states = block(hidden_states)
        x, (signal, noise) = hidden_states[:, :3], self.mix
        eps = (x - signal * VIDEO) / noise
        return (
            {
                "flow_prediction": eps - VIDEO,
                "epsilon": eps,
                "v_prediction": signal * eps - noise * VIDEO,
                "sample": VIDEO.expand_as(x),
            }[self.kind],
        )


class OneVideoPipeline:
    """A plain loop around it with a real scheduler.

    Args:
        scheduler: One of diffusers.
        kind: What the model predicts.
        mix: Signal and noise of the latents at a timestep, by place and timestep.
        joined: See `OneVideo`.
    """

    def __init__(self, scheduler, kind: str, mix, joined: int = 0):
        self.scheduler, self.mix = scheduler, mix
        self.transformer = OneVideo(kind, joined)
        self.device = torch.device("cpu")

    @torch.no_grad()
    def __call__(self, steps: int, videos: int = 1) -> SimpleNamespace:
        scheduler, model = self.scheduler, self.transformer
        generator = torch.Generator().manual_seed(0)
        scheduler.set_timesteps(steps)
        x = torch.randn((videos, *VIDEO.shape[1:]), generator=generator)
        x = x * getattr(scheduler, "init_noise_sigma", 1.0)
        torch.manual_seed(0)
        for place, t in enumerate(scheduler.timesteps):
            scaled = scheduler.scale_model_input(x, t) if hasattr(scheduler, "betas") else x
            model.mix = self.mix(scheduler, place, t)
            condition = torch.ones(videos, model.joined, *VIDEO.shape[2:])
            given = torch.cat([scaled, condition], dim=1)
            output = model(hidden_states=given, timestep=t.expand(videos))[0]
            x = scheduler.step(output, t, x, return_dict=False)[0]
        return SimpleNamespace(frames=x)


def by_flow(scheduler, place, t):
    sigma = float(scheduler.sigmas[place])
    return 1 - sigma, sigma


def by_alphas(scheduler, place, t):
    left = float(scheduler.alphas_cumprod[int(t)])
    return left**0.5, (1 - left) ** 0.5


def by_sigmas(scheduler, place, t):
    sigma = float(scheduler.sigmas[place])
    return 1 / (1 + sigma**2) ** 0.5, sigma / (1 + sigma**2) ** 0.5
