"""Cache a pipeline that bwcache does not know: say where its blocks are and what passes through.

python examples/own_pipeline.py
"""

from types import SimpleNamespace

import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from bwcache import BlockStack, BWCacheConfig, cached


class Layer(torch.nn.Module):
    """A block that takes and returns two streams under names of its own."""

    def __init__(self, width: int = 16):
        super().__init__()
        self.mix = torch.nn.Linear(2 * width, 2 * width)

    def forward(self, video: torch.Tensor, text: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        both = torch.cat([video, text.expand(-1, video.shape[1], -1)], dim=-1)
        new_video, new_text = self.mix(both).tanh().chunk(2, dim=-1)
        return video + 0.1 * new_video, text + 0.1 * new_text.mean(dim=1, keepdim=True)


class Transformer(torch.nn.Module):
    def __init__(self, layers: int = 6):
        super().__init__()
        self.layers = torch.nn.ModuleList(Layer() for _ in range(layers))

    def forward(self, video: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            video, text = layer(video, text)
        return video


WHERE = BlockStack(lists=("layers",), streams=("video", "text"), feature="video")


def run(steps: int = 20):
    """Denoise once with caching; returns the latents and the trace."""
    torch.manual_seed(0)
    pipe = SimpleNamespace(  # all that is needed of a pipeline
        transformer=Transformer(),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        device=torch.device("cpu"),
    )
    latents, text = torch.randn(1, 64, 16), torch.randn(1, 1, 16)
    with cached(pipe, BWCacheConfig(threshold=0.08), blocks=WHERE) as state, torch.no_grad():
        pipe.scheduler.set_timesteps(steps)
        for timestep in pipe.scheduler.timesteps:
            velocity = pipe.transformer(latents, text)
            latents = pipe.scheduler.step(velocity, timestep, latents).prev_sample
    return latents, state.trace


if __name__ == "__main__":
    _, trace = run()
    print("".join("C" if action == "compute" else "r" for action in trace.schedule))
