"""Latte, Allegro, EasyAnimate and Sana Video, with random weights."""

from __future__ import annotations

from collections.abc import Callable

from diffusers import (
    AllegroPipeline,
    AllegroTransformer3DModel,
    AutoencoderKL,
    AutoencoderKLAllegro,
    AutoencoderKLMagvit,
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EasyAnimateInpaintPipeline,
    EasyAnimatePipeline,
    EasyAnimateTransformer3DModel,
    EulerAncestralDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    LattePipeline,
    LatteTransformer3DModel,
    SanaImageToVideoPipeline,
    SanaVideoPipeline,
    SanaVideoTransformer3DModel,
)

from tests.pipelines.parts import (
    CALL,
    FRAMES,
    LEFT_OUT,
    NO_TEXT,
    WIDTH,
    masks,
    model,
    pixels,
    row,
    unequal_texts,
    wan_vae,
)
from tests.pipelines.tiny import Tiny


def latte(frames: int = 3, temporal: bool = True) -> Tiny:
    """Latte: a spatial and a temporal block in turns, the stream reshaped in between."""
    components = {
        **NO_TEXT,
        "vae": model(AutoencoderKL, block_out_channels=(8,), norm_num_groups=2),
        "transformer": model(
            LatteTransformer3DModel,
            num_attention_heads=2,
            attention_head_dim=8,
            num_layers=3,
            in_channels=4,
            out_channels=8,
            cross_attention_dim=16,
            caption_channels=WIDTH,
            sample_size=8,
            patch_size=2,
            video_length=frames,
            norm_type="ada_norm_single",
            num_embeds_ada_norm=1000,
            norm_elementwise_affine=False,
        ),
        "scheduler": DDIMScheduler(clip_sample=False),
    }
    arguments = {
        **unequal_texts(),
        "negative_prompt": None,
        "height": 8,
        "width": 8,
        "video_length": frames,
        "guidance_scale": 4.0,
        "enable_temporal_attentions": temporal,
    }
    return row(LattePipeline, components, arguments)


def latte_one_frame() -> Tiny:
    """Latte on one frame: its temporal blocks run, on sequences of one token."""
    return latte(frames=1)


def allegro() -> Tiny:
    """Allegro; its scheduler draws noise in every step."""
    components = {
        **NO_TEXT,
        "vae": model(
            AutoencoderKLAllegro,
            block_out_channels=(4, 4, 4, 4),
            layers_per_block=1,
            norm_num_groups=2,
        ),
        "transformer": model(
            AllegroTransformer3DModel,
            num_attention_heads=2,
            attention_head_dim=12,
            num_layers=3,
            cross_attention_dim=24,
            caption_channels=WIDTH,
            sample_height=4,
            sample_width=4,
            sample_frames=3,
        ),
        "scheduler": EulerAncestralDiscreteScheduler(),
    }
    arguments = {
        **CALL,
        **unequal_texts(),
        **masks(),
        "negative_prompt": None,
        "guidance_scale": 4.0,
    }
    return row(AllegroPipeline, components, arguments)


def easyanimate(pipeline: type = EasyAnimatePipeline, in_channels: int = 4) -> Tiny:
    """EasyAnimate: two blocks with weights of their own for the text, one that shares them."""
    components = {
        **NO_TEXT,
        "vae": model(
            AutoencoderKLMagvit,
            latent_channels=4,
            block_out_channels=(4, 4, 4, 4),
            layers_per_block=1,
            norm_num_groups=2,
        ),
        "transformer": model(
            EasyAnimateTransformer3DModel,
            num_attention_heads=2,
            attention_head_dim=16,
            num_layers=3,
            mmdit_layers=2,
            in_channels=in_channels,
            out_channels=4,
            patch_size=2,
            sample_width=4,
            sample_height=4,
            time_embed_dim=16,
            text_embed_dim=WIDTH,
        ),
        "scheduler": FlowMatchEulerDiscreteScheduler(),
    }
    arguments = {**CALL, **unequal_texts(), **masks(), "guidance_scale": 4.0}
    return row(pipeline, components, arguments)


def easyanimate_inpaint() -> Tiny:
    """EasyAnimate whose transformer also takes a mask and the latents of what is under it."""
    return easyanimate(EasyAnimateInpaintPipeline, in_channels=4 + 1 + 4)


def sana_video() -> Tiny:
    """Sana Video, text to video."""
    scheduler = DPMSolverMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
    )
    return _sana(SanaVideoPipeline, scheduler)


def sana_video_i2v() -> Tiny:
    """Sana Video from a picture: every frame has a time of its own, and only some are stepped."""
    return _sana(SanaImageToVideoPipeline, FlowMatchEulerDiscreteScheduler(), image=pixels())


def _sana(pipeline: type, scheduler: object, **more) -> Tiny:
    components = {
        **NO_TEXT,
        "vae": wan_vae(),
        "transformer": model(
            SanaVideoTransformer3DModel,
            num_attention_heads=2,
            attention_head_dim=12,
            num_layers=3,
            num_cross_attention_heads=2,
            cross_attention_head_dim=12,
            cross_attention_dim=24,
            caption_channels=WIDTH,
        ),
        "scheduler": scheduler,
    }
    arguments = {
        **CALL,
        **unequal_texts(),
        **masks(),
        "negative_prompt": None,
        "num_frames": LEFT_OUT,
        "frames": FRAMES,
        "guidance_scale": 4.0,
        "use_resolution_binning": False,
        **more,
    }
    return row(pipeline, components, arguments)


ROWS: dict[str, Callable[[], Tiny]] = {
    "latte": latte,
    "latte-one-frame": latte_one_frame,
    "allegro": allegro,
    "easyanimate": easyanimate,
    "easyanimate-inpaint": easyanimate_inpaint,
    "sana-video": sana_video,
    "sana-video-i2v": sana_video_i2v,
}
