"""Allegro's entry. Sources: the repository's model card and configs."""

from __future__ import annotations

from types import MappingProxyType

from ..spec import ModelSpec, Part, Shape, Weights
from .small_text_encoders import T5_BILLIONS, t5

ALLEGRO = ModelSpec(
    name="allegro",
    title="Allegro",
    about="Three billion parameters: 720 × 1280, nearly six seconds at 15 frames a second.",
    weights=Weights(
        source="rhymes-ai/Allegro",
        licence="Apache-2.0",
        licence_url="https://huggingface.co/rhymes-ai/Allegro",
        dtypes=MappingProxyType({"default": "bfloat16", "vae": "float32"}),
        parameters=MappingProxyType(
            {"transformer": 2.772, "text_encoder": T5_BILLIONS, "vae": 0.175}
        ),
    ),
    pipeline="AllegroPipeline",
    shape=Shape(
        height=720,
        width=1280,
        num_frames=88,
        fps=15,
        frame_offset=0,
        fixed=("height", "width", "num_frames"),  # the autoencoder's tiles cover this size
    ),
    vae_tiling=True,  # it does nothing without
    steps=100,
    scheduler="EulerAncestralDiscreteScheduler",
    scheduler_options=MappingProxyType(
        {"beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "linear"}
    ),
    call=MappingProxyType(
        {"guidance_scale": 7.5, "max_sequence_length": 512, "clean_caption": False}
    ),
    activations_gb=12.0,
    branches="batch",
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

ENTRIES = (ALLEGRO,)
