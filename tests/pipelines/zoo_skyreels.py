"""Rows of the pipeline tests: SkyReels-V2's pipelines, each a few thousand weights."""

from __future__ import annotations

from collections.abc import Callable

from diffusers import (
    SkyReelsV2DiffusionForcingImageToVideoPipeline,
    SkyReelsV2DiffusionForcingPipeline,
    SkyReelsV2DiffusionForcingVideoToVideoPipeline,
    SkyReelsV2ImageToVideoPipeline,
    SkyReelsV2Pipeline,
    SkyReelsV2Transformer3DModel,
)

from tests.pipelines.parts import (
    BY_IMAGE,
    clip,
    clip_vision,
    image_call,
    picture,
    wan_model,
    wan_row,
)
from tests.pipelines.tiny import Tiny


def skyreels_t2v() -> Tiny:
    """Text to video, all latent frames at one noise level."""
    parts = {"transformer": wan_model(SkyReelsV2Transformer3DModel)}
    return wan_row(SkyReelsV2Pipeline, parts, {})


def skyreels_i2v() -> Tiny:
    """Image to video, all latent frames at one noise level."""
    parts = {"transformer": wan_model(SkyReelsV2Transformer3DModel, **BY_IMAGE), **clip_vision()}
    return wan_row(SkyReelsV2ImageToVideoPipeline, parts, image_call())


def diffusion_forcing(call: dict, kind: Callable = SkyReelsV2DiffusionForcingPipeline) -> Tiny:
    """Text to video with a timestep and a scheduler for every latent frame."""
    transformer = wan_model(SkyReelsV2Transformer3DModel, inject_sample_info=True)
    return wan_row(kind, {"transformer": transformer}, call)


def skyreels_df() -> Tiny:
    """Diffusion forcing with every frame at the same step."""
    return diffusion_forcing({"ar_step": 0})


def skyreels_df_async() -> Tiny:
    """Diffusion forcing over six latent frames, each pair two steps behind the one before it."""
    return diffusion_forcing({"num_frames": 21, "ar_step": 2, "causal_block_size": 2})


def skyreels_df_long() -> Tiny:
    """Diffusion forcing of nine latent frames in three loops: five, three more, the last."""
    call = {"num_frames": 33, "base_num_frames": 17, "overlap_history": 5, "ar_step": 0}
    return diffusion_forcing(call)


def skyreels_df_i2v() -> Tiny:
    """Diffusion forcing from a picture, which is the first of three latent frames."""
    call = {"image": picture(), "ar_step": 0}
    return diffusion_forcing(call, SkyReelsV2DiffusionForcingImageToVideoPipeline)


def skyreels_df_v2v() -> Tiny:
    """Diffusion forcing of two latent frames behind three given ones, to which noise is added."""
    call = {"video": clip(9), "num_frames": 17, "base_num_frames": 17, "overlap_history": 5}
    return diffusion_forcing(
        {**call, "ar_step": 0, "addnoise_condition": 20},
        SkyReelsV2DiffusionForcingVideoToVideoPipeline,
    )


ROWS: dict[str, Callable[[], Tiny]] = {
    "skyreels-t2v": skyreels_t2v,
    "skyreels-i2v": skyreels_i2v,
    "skyreels-df": skyreels_df,
    "skyreels-df-async": skyreels_df_async,
    "skyreels-df-long": skyreels_df_long,
}
