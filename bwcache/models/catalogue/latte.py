"""Latte-1's entry. Sources: the repository's model card and configs."""

from __future__ import annotations

from types import MappingProxyType

from ..spec import ModelSpec, Part, Shape, Weights
from .small_text_encoders import T5_BILLIONS, t5

LATTE_1 = ModelSpec(
    name="latte-1",
    title="Latte-1",
    about="One of the first, with blocks for space and time in turns: 512 × 512, 16 frames.",
    weights=Weights(
        source="maxin-cn/Latte-1",
        licence="Apache-2.0",
        licence_url="https://huggingface.co/maxin-cn/Latte-1",
        dtypes=MappingProxyType({"default": "float16"}),
        parameters=MappingProxyType(
            {"transformer": 1.057, "text_encoder": T5_BILLIONS, "vae": 0.084}
        ),
    ),
    pipeline="LattePipeline",
    shape=Shape(
        height=512,
        width=512,
        num_frames=16,
        fps=8,
        frame_multiple=1,
        fixed=("num_frames",),  # the model has a place for each
    ),
    frames_argument="video_length",
    scheduler="DDIMScheduler",
    scheduler_options=MappingProxyType(
        {
            "beta_start": 0.0001,
            "beta_end": 0.02,
            "beta_schedule": "linear",
            "clip_sample": False,
            "timestep_spacing": "leading",
        }
    ),
    call=MappingProxyType({"guidance_scale": 7.5, "clean_caption": False}),
    activations_gb=5.0,
    branches="batch",
    examples=(
        "A small cactus with a happy face in the Sahara desert.",
        "A dog in an astronaut suit and sunglasses floating in space",
    ),
    parts=MappingProxyType(
        {
            "transformer": Part(
                "LatteTransformer3DModel",
                MappingProxyType(
                    {
                        "activation_fn": "gelu-approximate",
                        "attention_bias": True,
                        "attention_head_dim": 72,
                        "caption_channels": 4096,
                        "cross_attention_dim": 1152,
                        "in_channels": 4,
                        "norm_elementwise_affine": False,
                        "norm_eps": 1e-6,
                        "norm_type": "ada_norm_single",
                        "num_attention_heads": 16,
                        "num_embeds_ada_norm": 1000,
                        "num_layers": 28,
                        "out_channels": 8,
                        "patch_size": 2,
                        "sample_size": 64,
                    }
                ),
            ),
            "text_encoder": t5(4096),
            "vae": Part(
                "AutoencoderKL",
                MappingProxyType(
                    {
                        "block_out_channels": (128, 256, 512, 512),
                        "down_block_types": ("DownEncoderBlock2D",) * 4,
                        "up_block_types": ("UpDecoderBlock2D",) * 4,
                        "layers_per_block": 2,
                    }
                ),
            ),
        }
    ),
)

ENTRIES = (LATTE_1,)
