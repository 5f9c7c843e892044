"""Rows of the pipeline tests: Wan's pipelines and their relatives, each a few thousand weights."""

from __future__ import annotations

from collections.abc import Callable

from diffusers import (
    AnyFlowPipeline,
    AnyFlowTransformer3DModel,
    ChronoEditPipeline,
    ChronoEditTransformer3DModel,
    FlowMapEulerDiscreteScheduler,
    HeliosPipeline,
    HeliosScheduler,
    HeliosTransformer3DModel,
    LucyEditPipeline,
    WanAnimatePipeline,
    WanAnimateTransformer3DModel,
    WanImageToVideoPipeline,
    WanPipeline,
    WanVACEPipeline,
    WanVACETransformer3DModel,
    WanVideoToVideoPipeline,
)

from tests.pipelines.parts import (
    BY_IMAGE,
    CONDITIONED,
    FRAMES,
    LEFT_OUT,
    LONG_TEXT,
    WAN_CHANNELS,
    clip,
    clip_vision,
    image_call,
    picture,
    wan_model,
    wan_row,
)
from tests.pipelines.tiny import Tiny


def two_stages(**config) -> dict[str, object]:
    """One transformer for high noise and one, of other weights, for low."""
    return {
        "transformer": wan_model(**config),
        "transformer_2": wan_model(seed=1, **config),
        "boundary_ratio": 0.7,  # flow shift 2 puts half the steps above it
    }


def wan21_t2v() -> Tiny:
    """Text to video with one transformer."""
    return wan_row(WanPipeline, {"transformer": wan_model()}, {})


def wan22_t2v() -> Tiny:
    """Text to video with two transformers."""
    return wan_row(WanPipeline, two_stages(), {}, steps=8)


def wan22_ti2v() -> Tiny:
    """Text to video with a timestep for every token."""
    parts = {"transformer": wan_model(), "expand_timesteps": True}
    return wan_row(WanPipeline, parts, {})


def wan21_i2v() -> Tiny:
    """Image to video with the image's tokens beside the text's."""
    parts = {"transformer": wan_model(**BY_IMAGE), **clip_vision()}
    return wan_row(WanImageToVideoPipeline, parts, image_call())


def wan22_i2v() -> Tiny:
    """Image to video with two transformers and no image tokens."""
    call = {"image": picture()}
    return wan_row(WanImageToVideoPipeline, two_stages(in_channels=CONDITIONED), call, steps=8)


def wan_v2v() -> Tiny:
    """Video to video: the first two of eight steps are left out."""
    call = {"video": clip(), "strength": 0.8, "num_frames": LEFT_OUT}
    return wan_row(WanVideoToVideoPipeline, {"transformer": wan_model()}, call, steps=8)


def vace(layers: list[int]) -> Tiny:
    """A controlled video, with control blocks that add to the given main blocks."""
    # latents inside and outside the mask, and the mask's 8×8 pixels for each of them
    config = {"vace_layers": layers, "vace_in_channels": 2 * WAN_CHANNELS + 64}
    parts = {"transformer": wan_model(WanVACETransformer3DModel, **config)}
    return wan_row(WanVACEPipeline, parts, {"video": clip()})


def wan_vace() -> Tiny:
    """A controlled video; the last main block stands alone."""
    return vace([0, 2])


def wan_vace_last() -> Tiny:
    """A controlled video whose last main block has a control block too."""
    return vace([0, 3])


def chronoedit() -> Tiny:
    """An edited image, made as a short video of which the middle is dropped after two steps."""
    parts = {"transformer": wan_model(ChronoEditTransformer3DModel, **BY_IMAGE), **clip_vision()}
    call = image_call(enable_temporal_reasoning=True, num_temporal_reasoning_steps=2)
    return wan_row(ChronoEditPipeline, parts, call)


def wan_animate() -> Tiny:
    """A picture moved by a pose and a face, in two segments."""
    transformer = wan_model(
        WanAnimateTransformer3DModel,
        **BY_IMAGE,
        latent_channels=WAN_CHANNELS,
        motion_encoder_channel_sizes={"4": 8, "8": 8, "16": 8},
        motion_encoder_size=16,
        motion_style_dim=8,
        motion_dim=4,
        motion_encoder_dim=8,
        face_encoder_hidden_dim=8,
        face_encoder_num_heads=2,
        inject_face_latents_blocks=2,
    )
    call = {
        "image": picture(),
        "pose_video": clip(2 * FRAMES - 1),
        "face_video": clip(2 * FRAMES - 1, seed=100, side=16),
        "num_frames": LEFT_OUT,
        "segment_frame_length": FRAMES,
        "max_sequence_length": LONG_TEXT,
    }
    return wan_row(WanAnimatePipeline, {"transformer": transformer, **clip_vision()}, call)


def lucy() -> Tiny:
    """An edited video: its latents beside the noisy ones."""
    parts = {"transformer": wan_model(in_channels=2 * WAN_CHANNELS)}
    return wan_row(LucyEditPipeline, parts, {"video": clip()})


def helios() -> Tiny:
    """A video made in two chunks, each with the latents before it as history."""
    parts = {
        "transformer": wan_model(HeliosTransformer3DModel, rope_dim=(4, 4, 4)),
        "scheduler": HeliosScheduler(stages=1, stage_range=[0, 1], use_dynamic_shifting=True),
    }
    call = {"num_frames": 2 * FRAMES, "num_latent_frames_per_chunk": 3, "history_sizes": [4, 2, 1]}
    return wan_row(HeliosPipeline, parts, call)


def anyflow() -> Tiny:
    """Text to video with both branches in one batch and a step's end beside its start."""
    parts = {
        "transformer": wan_model(AnyFlowTransformer3DModel),
        "scheduler": FlowMapEulerDiscreteScheduler(shift=2.0),
    }
    return wan_row(AnyFlowPipeline, parts, {})


ROWS: dict[str, Callable[[], Tiny]] = {
    "wan2.1-t2v": wan21_t2v,
    "wan2.2-t2v": wan22_t2v,
    "wan2.2-ti2v": wan22_ti2v,
    "wan2.1-i2v": wan21_i2v,
    "wan2.2-i2v": wan22_i2v,
    "wan-v2v": wan_v2v,
    "wan-vace": wan_vace,
    "wan-vace-last": wan_vace_last,
    "chronoedit": chronoedit,
    "wan-animate": wan_animate,
    "lucy": lucy,
    "helios": helios,
    "anyflow": anyflow,
}
