"""Rows of the pipeline tests: LTX-2, which makes a video and its sound, a few thousand weights."""

from __future__ import annotations

from collections.abc import Callable

import torch
from diffusers import (
    AutoencoderKLLTX2Audio,
    AutoencoderKLLTX2Video,
    FlowMatchEulerDiscreteScheduler,
    LTX2ImageToVideoPipeline,
    LTX2Pipeline,
    LTX2VideoTransformer3DModel,
)
from diffusers.pipelines.ltx2 import LTX2TextConnectors

from tests.pipelines.parts import (
    CALL,
    CHANNELS,
    DYNAMIC_SHIFT,
    HEADS,
    NO_TEXT,
    TOKENS,
    WIDTH,
    model,
    picture,
    row,
    texts,
)
from tests.pipelines.tiny import Tiny

PLAIN = {"stg_scale": 0.0, "modality_scale": 1.0}
NO_EXTRA_CALLS = {**PLAIN, **{f"audio_{name}": value for name, value in PLAIN.items()}}


def both(output) -> torch.Tensor:
    """The latents of the video and of its sound, end to end."""
    return torch.cat([output.frames.flatten(1), output.audio.flatten(1)], dim=1)


def ltx2(kind: Callable, call: dict, connectors: dict | None = None, **config) -> Tiny:
    """One of LTX-2's pipelines, both branches in one batch."""
    transformer = {
        **HEADS,
        "in_channels": CHANNELS,
        "out_channels": CHANNELS,
        "cross_attention_dim": 16,
        "audio_in_channels": CHANNELS,
        "audio_out_channels": CHANNELS,
        "audio_num_attention_heads": 2,
        "audio_attention_head_dim": 4,
        "audio_cross_attention_dim": 8,
        "caption_channels": WIDTH,
        "num_layers": 4,
        "rope_type": "split",
    }
    narrow = {
        "caption_channels": WIDTH,
        "text_proj_in_factor": 2,  # layers of the text encoder
        "rope_type": "split",
    }
    for stream in ("video", "audio"):
        narrow |= {
            f"{stream}_connector_num_attention_heads": 2,
            f"{stream}_connector_attention_head_dim": WIDTH // 2,
            f"{stream}_connector_num_layers": 1,
            f"{stream}_connector_num_learnable_registers": TOKENS,
        }
    vae = model(
        AutoencoderKLLTX2Video,
        latent_channels=CHANNELS,
        block_out_channels=(8, 8, 8, 8),
        decoder_block_out_channels=(8, 16, 32),
        layers_per_block=(1, 1, 1, 1, 1),
        decoder_layers_per_block=(1, 1, 1, 1),
        patch_size=1,
        spatial_compression_ratio=8,
        temporal_compression_ratio=8,
    )
    audio_vae = model(
        AutoencoderKLLTX2Audio,
        base_channels=CHANNELS,
        ch_mult=(1,),
        num_res_blocks=1,
        latent_channels=2,
        mel_bins=8,
    )
    parts = {
        **NO_TEXT,
        "transformer": model(LTX2VideoTransformer3DModel, **{**transformer, **config}),
        "connectors": model(LTX2TextConnectors, **{**narrow, **(connectors or {})}),
        "vae": vae,
        "audio_vae": audio_vae,
        "vocoder": None,  # latents are asked for
        "scheduler": FlowMatchEulerDiscreteScheduler(**DYNAMIC_SHIFT),
    }
    words = texts(prompt_embeds=(TOKENS, 2 * WIDTH), prompt_attention_mask=(TOKENS,))
    for name in [name for name in words if "mask" in name]:
        words[name] = words[name].flip(1)  # its tokenizer pads on the left
    return row(kind, parts, {**CALL, **words, **call}, read=both)


def ltx2_t2v() -> Tiny:
    """Text to video and sound, as LTX-2.0."""
    return ltx2(LTX2Pipeline, NO_EXTRA_CALLS)


def ltx2_i2v() -> Tiny:
    """Image to video and sound, as LTX-2.0."""
    call = {"image": picture(), "image_crf": 0}  # 0: no video compression of the image
    return ltx2(LTX2ImageToVideoPipeline, {**call, **NO_EXTRA_CALLS})


def ltx2_stg() -> Tiny:
    """Text to video and sound, as LTX-2.3, with two more calls a step: each weakens the model."""
    return ltx2(
        LTX2Pipeline,
        {"spatio_temporal_guidance_blocks": [2]},  # the third block without self-attention
        {
            "per_modality_projections": True,
            "video_hidden_dim": 16,
            "audio_hidden_dim": 8,
            "audio_connector_attention_head_dim": 4,
            "video_gated_attn": True,
            "audio_gated_attn": True,
        },
        use_prompt_embeddings=False,
        perturbed_attn=True,
        gated_attn=True,
        audio_gated_attn=True,
        cross_attn_mod=True,
        audio_cross_attn_mod=True,
    )


ROWS: dict[str, Callable[[], Tiny]] = {
    "ltx2": ltx2_t2v,
    "ltx2-i2v": ltx2_i2v,
    "ltx2-stg": ltx2_stg,
}
