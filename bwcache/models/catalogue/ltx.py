"""LTX-Video, Mochi 1, Latte-1 and Allegro. Sources: the repositories' model cards and configs."""

from __future__ import annotations

from types import MappingProxyType

from ..spec import ModelSpec, Part
from .small_text_encoders import t5

T5 = 4.762
NO_CLEANING = {"clean_caption": False}  # else the prompt depends on which packages are installed

LTX_VIDEO = ModelSpec(
    name="ltx-video",
    title="LTX-Video",
    about="Small and fast, version 0.9: 480 × 704, nearly seven seconds at 24 frames a second.",
    licence="LTX-Video Open Weights",
    licence_url="https://huggingface.co/Lightricks/LTX-Video",
    source="Lightricks/LTX-Video",
    pipeline="LTXPipeline",
    height=480,
    width=704,
    num_frames=161,
    fps=24,
    size_multiple=32,
    frame_multiple=8,
    scheduler="FlowMatchEulerDiscreteScheduler",
    scheduler_options=MappingProxyType(
        {
            "use_dynamic_shifting": True,
            "base_shift": 0.95,
            "max_shift": 2.05,
            "base_image_seq_len": 1024,
            "max_image_seq_len": 4096,
            "shift_terminal": 0.1,
        }
    ),
    call=MappingProxyType(
        {
            "guidance_scale": 3.0,
            "negative_prompt": "worst quality, inconsistent motion, blurry, jittery, distorted",
        }
    ),
    parameters=MappingProxyType({"transformer": 1.923, "text_encoder": T5, "vae": 0.419}),
    activations_gb=8.0,
    examples=(
        "A woman with long brown hair smiles at another woman with long blonde hair. The camera "
        "angle is a close-up, the lighting warm and natural, as from the setting sun.",
        "A clear, turquoise river flows through a rocky canyon, cascading over a small waterfall "
        "into a pool at the bottom. The camera stays still.",
    ),
    parts=MappingProxyType(
        {
            "transformer": Part("LTXVideoTransformer3DModel"),
            "text_encoder": t5(4096),
            "vae": Part("AutoencoderKLLTXVideo"),
        }
    ),
)

MOCHI_1 = ModelSpec(
    name="mochi-1",
    title="Mochi 1 preview",
    about="Ten billion parameters: 480 × 848, 85 of at most 163 frames, 30 a second.",
    licence="Apache-2.0",
    licence_url="https://huggingface.co/genmo/mochi-1-preview",
    source="genmo/mochi-1-preview",
    pipeline="MochiPipeline",
    height=480,
    width=848,
    num_frames=85,
    fps=30,
    frame_multiple=6,
    vae_tiling=True,
    steps=64,
    scheduler="FlowMatchEulerDiscreteScheduler",
    scheduler_options=MappingProxyType({"invert_sigmas": True}),
    call=MappingProxyType({"guidance_scale": 4.5}),
    parameters=MappingProxyType({"transformer": 10.028, "text_encoder": T5, "vae": 0.46}),
    activations_gb=8.0,
    examples=(
        "Close-up of a chameleon's eye, with its scaly skin changing color. Ultra high resolution.",
        "A hand with delicate fingers picks up a bright yellow lemon from a bowl of fruit",
    ),
    parts=MappingProxyType(
        {
            "transformer": Part("MochiTransformer3DModel"),
            "text_encoder": t5(4096),
            "vae": Part("AutoencoderKLMochi"),
        }
    ),
)

LATTE_1 = ModelSpec(
    name="latte-1",
    title="Latte-1",
    about="One of the first, with blocks for space and time in turns: 512 × 512, 16 frames.",
    licence="Apache-2.0",
    licence_url="https://huggingface.co/maxin-cn/Latte-1",
    source="maxin-cn/Latte-1",
    pipeline="LattePipeline",
    dtypes=MappingProxyType({"default": "float16"}),
    height=512,
    width=512,
    num_frames=16,
    fps=8,
    frame_multiple=1,
    fixed=("num_frames",),  # the model has a place for each
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
    call=MappingProxyType({"guidance_scale": 7.5, **NO_CLEANING}),
    parameters=MappingProxyType({"transformer": 1.057, "text_encoder": T5, "vae": 0.084}),
    activations_gb=5.0,
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

ALLEGRO = ModelSpec(
    name="allegro",
    title="Allegro",
    about="Three billion parameters: 720 × 1280, nearly six seconds at 15 frames a second.",
    licence="Apache-2.0",
    licence_url="https://huggingface.co/rhymes-ai/Allegro",
    source="rhymes-ai/Allegro",
    pipeline="AllegroPipeline",
    dtypes=MappingProxyType({"default": "bfloat16", "vae": "float32"}),
    height=720,
    width=1280,
    num_frames=88,
    fps=15,
    frame_offset=0,
    fixed=("height", "width", "num_frames"),  # the autoencoder's tiles cover this size
    vae_tiling=True,  # it does nothing without
    steps=100,
    scheduler="EulerAncestralDiscreteScheduler",
    scheduler_options=MappingProxyType(
        {"beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "linear"}
    ),
    call=MappingProxyType({"guidance_scale": 7.5, "max_sequence_length": 512, **NO_CLEANING}),
    parameters=MappingProxyType({"transformer": 2.772, "text_encoder": T5, "vae": 0.175}),
    activations_gb=12.0,
    examples=(
        "A seaside harbor with bright sunlight and sparkling seawater, with many boats in the "
        "water, seen from the air",
        "A barista pours milk into a cup of coffee, forming a leaf, close-up",
    ),
    parts=MappingProxyType(
        {
            "transformer": Part("AllegroTransformer3DModel"),
            "text_encoder": t5(4096),
            "vae": Part("AutoencoderKLAllegro"),
        }
    ),
)

OTHERS = (LTX_VIDEO, MOCHI_1, LATTE_1, ALLEGRO)
