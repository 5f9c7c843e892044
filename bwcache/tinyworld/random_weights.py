"""TinyWorld with seeded random weights: real shapes and costs, to measure without a model."""

from __future__ import annotations

import torch
from diffusers import UniPCMultistepScheduler, WanPipeline

from .codec import PatchCodec
from .text import build_text_encoder, build_tokenizer
from .transformer import build_transformer

BASIS_STD = 0.05  # keeps most decoded values inside the visible range


def build(device: str, **scheduler_options: object) -> WanPipeline:
    """The pipeline on a device, in float32; its videos are noise.

    Args:
        device: Where it shall run.
        scheduler_options: Go to the scheduler.

    The codec is linear here, without the learned painter: decoding is outside the denoising loop.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        codec = PatchCodec()
        torch.nn.init.normal_(codec.basis, std=BASIS_STD)
        parts = {
            "vae": codec,
            "text_encoder": build_text_encoder(),
            "transformer": build_transformer(),
        }
    for part in parts.values():
        part.eval().requires_grad_(False)
    scheduler = UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, **scheduler_options
    )
    return WanPipeline(tokenizer=build_tokenizer(), scheduler=scheduler, **parts).to(device)
