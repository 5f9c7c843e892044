"""TinyWorld with seeded random weights: real shapes and costs, to measure without a model."""

from __future__ import annotations

import torch
from diffusers import UniPCMultistepScheduler, WanPipeline

from .autoencoder import SmoothCodec
from .text import build_text_encoder, build_tokenizer
from .transformer import build_transformer


def build(device: str, long_skips: int = 0, **scheduler_options: object) -> WanPipeline:
    """The pipeline on a device, in float32; its videos are noise.

    Args:
        device: Where it shall run.
        long_skips: How many of the last blocks have one.
        scheduler_options: Go to the scheduler.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        parts = {
            "vae": SmoothCodec(),
            "text_encoder": build_text_encoder(),
            "transformer": build_transformer(long_skips=long_skips),
        }
    for part in parts.values():
        part.eval().requires_grad_(False)
    scheduler = UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, **scheduler_options
    )
    return WanPipeline(tokenizer=build_tokenizer(), scheduler=scheduler, **parts).to(device)
