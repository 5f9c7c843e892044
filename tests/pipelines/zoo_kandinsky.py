"""Kandinsky 5, with random weights."""

from __future__ import annotations

from collections.abc import Callable

import torch
from diffusers import (
    AutoencoderKLHunyuanVideo,
    FlowMatchEulerDiscreteScheduler,
    Kandinsky5I2VPipeline,
    Kandinsky5T2VPipeline,
    Kandinsky5Transformer3DModel,
)
from diffusers.models.transformers.transformer_kandinsky import Kandinsky5Modulation

from tests.pipelines.parts import CALL, NO_TEXT, WIDTH, model, noise, pixels, row, unequal_texts
from tests.pipelines.tiny import Tiny

POOLED_DIM = 8


def kandinsky5() -> Tiny:
    """Kandinsky 5, text to video: a stack of text blocks, then one of visual blocks."""
    return _kandinsky(Kandinsky5T2VPipeline, num_frames=9)


def kandinsky5_i2v() -> Tiny:
    """Kandinsky 5 from a picture, in the five latent frames that its last touch takes."""
    return _kandinsky(Kandinsky5I2VPipeline, num_frames=17, image=pixels())


def _kandinsky(pipeline: type, **more) -> Tiny:
    components = {
        **NO_TEXT,
        "tokenizer_2": None,
        "text_encoder_2": None,
        "vae": model(
            AutoencoderKLHunyuanVideo,
            latent_channels=4,
            block_out_channels=(4, 4, 4, 4),
            layers_per_block=1,
            norm_num_groups=2,
        ),
        "transformer": _transformer(),
        "scheduler": FlowMatchEulerDiscreteScheduler(shift=2.0),
    }
    arguments = {**CALL, **_texts(), **more}
    return row(pipeline, components, arguments)


def _transformer() -> Kandinsky5Transformer3DModel:
    transformer = model(
        Kandinsky5Transformer3DModel,
        in_visual_dim=4,
        out_visual_dim=4,
        in_text_dim=WIDTH,
        in_text_dim2=POOLED_DIM,
        time_dim=16,
        model_dim=24,
        ff_dim=24,
        num_text_blocks=2,
        num_visual_blocks=3,
        axes_dims=(4, 4, 4),
        visual_cond=True,
    )
    for module in transformer.modules():
        if isinstance(module, Kandinsky5Modulation):  # zero to begin with: blocks would do nothing
            torch.nn.init.normal_(module.out_layer.weight, std=0.5)
    return transformer


def _texts() -> dict[str, object]:
    """`unequal_texts` by these pipelines' names, with what a second text encoder would say."""
    given = {}
    for seed, (name, embeds) in enumerate(unequal_texts(negative_length=4).items()):
        sign = name.removesuffix("prompt_embeds")
        given[f"{sign}prompt_embeds_qwen"] = embeds
        given[f"{sign}prompt_embeds_clip"] = noise(1, POOLED_DIM, seed=seed)
        given[f"{sign}prompt_cu_seqlens"] = torch.tensor([0, embeds.shape[1]])
    return given


ROWS: dict[str, Callable[[], Tiny]] = {
    "kandinsky5": kandinsky5,
    "kandinsky5-i2v": kandinsky5_i2v,
}
