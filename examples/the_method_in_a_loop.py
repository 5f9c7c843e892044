"""BWCache as one plain loop, to read from top to bottom; `cached` gives the same, bit for bit.

python examples/the_method_in_a_loop.py
"""

from math import floor

import torch
from diffusers import FlowMatchEulerDiscreteScheduler


class Model(torch.nn.Module):
    """What a video transformer is made of: an embedding, a stack of blocks, a head."""

    def __init__(self, blocks: int = 6, width: int = 16):
        super().__init__()
        self.embed, self.head = torch.nn.Linear(4, width), torch.nn.Linear(width, 4)
        self.blocks = torch.nn.ModuleList(
            torch.nn.TransformerEncoderLayer(width, 2, 2 * width, dropout=0, batch_first=True)
            for _ in range(blocks)
        )

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        x = self.embed(latents)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


@torch.no_grad()
def denoise(model, scheduler, latents, steps, threshold, interval, tail_fraction=0.5):
    """Denoise latents `[B, tokens, channels]`; returns them and the schedule as letters."""
    scheduler.set_timesteps(steps)
    before = residual = trigger = None
    schedule = ""
    for step, timestep in enumerate(scheduler.timesteps):
        x = model.embed(latents)
        tail = 0 if trigger is None else floor(trigger * tail_fraction)
        in_pattern = trigger is not None and (step - trigger - 1) % (interval + 1) < interval
        if in_pattern and step < steps - tail:
            y = x + residual  # replay what the stack last added: no block runs
            schedule += "r"
        else:
            y, features = x, []
            for block in model.blocks:
                y = block(y)
                features.append(y)
            residual = y - x
            if before is not None:
                pairs = zip(features, before, strict=True)
                changes = [(new - old).abs().sum() / old.abs().sum() for new, old in pairs]
                indicator = torch.stack(changes).mean()  # Eq. 5-7
                if trigger is None and indicator < threshold:
                    trigger = step
            before = features
            schedule += "C"
        latents = scheduler.step(model.head(y), timestep, latents).prev_sample
    return latents, schedule


if __name__ == "__main__":
    torch.manual_seed(0)
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    _, letters = denoise(Model().eval(), scheduler, torch.randn(1, 64, 4), 20, 0.05, 2)
    print(letters)
