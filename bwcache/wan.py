"""Wan 2.1 T2V 1.3B with random weights: real shapes and costs, nothing downloaded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from diffusers import (
    AutoencoderKLWan,
    UniPCMultistepScheduler,
    WanPipeline,
    WanTransformer3DModel,
)
from transformers import UMT5Config, UMT5EncoderModel

from .spec import ModelSpec
from .tinyworld.text import build_tokenizer

# Wan-AI/Wan2.1-T2V-1.3B-Diffusers, transformer/config.json
TRANSFORMER_1_3B = {
    "patch_size": (1, 2, 2),
    "num_attention_heads": 12,
    "attention_head_dim": 128,
    "in_channels": 16,
    "out_channels": 16,
    "text_dim": 4096,
    "freq_dim": 256,
    "ffn_dim": 8960,
    "num_layers": 30,
    "cross_attn_norm": True,
    "qk_norm": "rms_norm_across_heads",
    "eps": 1e-6,
    "rope_max_seq_len": 1024,
}


def build_random(spec: ModelSpec, device: str) -> WanPipeline:
    """Wan 2.1 T2V 1.3B with seeded random weights, made on the device itself; nothing is fetched.

    Args:
        spec: `scheduler_options` go to the scheduler.
        device: Where it shall run; needs about 4 GB for the weights there.

    Returns:
        The real transformer in bfloat16 (with the parts in float32 that diffusers keeps so), the
        real autoencoder in float32 and the published scheduler settings. The text encoder is a
        stand-in of one narrow layer with the real one's output width and number of tokens: it
        runs before the denoising loop, so only end-to-end seconds and memory are below the real
        ones. Its words are TinyWorld's.
    """
    with _drawn_on(device, torch.bfloat16):
        transformer = WanTransformer3DModel(**TRANSFORMER_1_3B)
        text_encoder = _text_stand_in(TRANSFORMER_1_3B["text_dim"])
    for name, weight in transformer.named_parameters():
        if set(name.split(".")) & set(transformer._keep_in_fp32_modules):
            weight.data = weight.data.float()
    with _drawn_on(device, torch.float32):
        vae = AutoencoderKLWan()
    scheduler = UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, **spec.scheduler_options
    )
    parts = {"transformer": transformer, "text_encoder": text_encoder, "vae": vae}
    for part in parts.values():
        part.eval().requires_grad_(False)
    return WanPipeline(tokenizer=build_tokenizer(), scheduler=scheduler, **parts).to(device)


def _text_stand_in(width: int) -> UMT5EncoderModel:
    return UMT5EncoderModel(
        UMT5Config(vocab_size=64, d_model=width, d_kv=64, d_ff=256, num_layers=1, num_heads=1)
    )


@contextmanager
def _drawn_on(device: str, dtype: torch.dtype) -> Iterator[None]:
    """Modules made inside are drawn on this device, in this type, from seed 0."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.random.fork_rng(devices=[]), torch.device(device):
            torch.manual_seed(0)
            yield
    finally:
        torch.set_default_dtype(before)
