"""Mochi 1's entry. Sources: the repository's model card and configs."""

from __future__ import annotations

from types import MappingProxyType

from ..spec import ModelSpec, Part, Shape, Weights
from .small_text_encoders import T5_BILLIONS, t5

MOCHI_1 = ModelSpec(
    name="mochi-1",
    title="Mochi 1 preview",
    about="Ten billion parameters: 480 × 848, 85 of at most 163 frames, 30 a second.",
    weights=Weights(
        source="genmo/mochi-1-preview",
        licence="Apache-2.0",
        licence_url="https://huggingface.co/genmo/mochi-1-preview",
        parameters=MappingProxyType(
            {"transformer": 10.028, "text_encoder": T5_BILLIONS, "vae": 0.46}
        ),
    ),
    pipeline="MochiPipeline",
    shape=Shape(height=480, width=848, num_frames=85, fps=30, frame_multiple=6),
    vae_tiling=True,
    steps=64,
    scheduler="FlowMatchEulerDiscreteScheduler",
    scheduler_options=MappingProxyType({"invert_sigmas": True}),
    call=MappingProxyType({"guidance_scale": 4.5}),
    activations_gb=8.0,
    branches="batch",
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

ENTRIES = (MOCHI_1,)
