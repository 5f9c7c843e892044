"""CogVideoX's entries. Sources: the repositories' model cards and configs."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ..spec import ModelSpec, Part, Shape, Weights
from .small_text_encoders import T5_BILLIONS, t5

VAE_BILLIONS = 0.216
LICENCE_5B = "https://huggingface.co/zai-org/CogVideoX-5b/blob/main/LICENSE"


def diffusion(snr_shift_scale: float) -> Mapping[str, object]:
    """The published settings; only the shift of the noise levels differs between the models."""
    return MappingProxyType(
        {
            "beta_start": 0.00085,
            "beta_end": 0.012,
            "beta_schedule": "scaled_linear",
            "clip_sample": False,
            "prediction_type": "v_prediction",
            "rescale_betas_zero_snr": True,
            "snr_shift_scale": snr_shift_scale,
            "timestep_spacing": "trailing",
        }
    )


def parameters(transformer: float) -> Mapping[str, float]:
    """Billions; text encoder and autoencoder are the same ones."""
    return MappingProxyType(
        {"transformer": transformer, "text_encoder": T5_BILLIONS, "vae": VAE_BILLIONS}
    )


def entry(
    name: str,
    title: str,
    about: str,
    repository: str,
    weights: Mapping[str, Any],
    **more: Any,
) -> ModelSpec:
    """What both entries share."""
    return ModelSpec(
        name=name,
        title=title,
        about=about,
        weights=Weights(f"zai-org/{repository}", **weights),
        pipeline="CogVideoXPipeline",
        shape=Shape(height=480, width=720, num_frames=49, fps=8, frame_multiple=8),
        latent_frames_axis=1,
        vae_tiling=True,
        scheduler="CogVideoXDDIMScheduler",
        call=MappingProxyType({"guidance_scale": 6.0}),
        examples=(
            "A panda in a small red jacket plays a guitar in a bamboo forest, sunlight filtering "
            "through the leaves",
            "A wooden toy ship glides over a plush blue carpet that looks like the waves of a sea",
        ),
        **more,
    )


ENTRIES = (
    entry(
        "cogvideox-2b",
        "CogVideoX 2B",
        "Small and old: 480 × 720, six seconds at eight frames a second.",
        "CogVideoX-2b",
        {
            "licence": "Apache-2.0",
            "licence_url": "https://huggingface.co/zai-org/CogVideoX-2b",
            "dtypes": MappingProxyType({"default": "float16"}),
            "parameters": parameters(1.694),
        },
        scheduler_options=diffusion(3.0),
        activations_gb=5.0,
        branches="batch",
        parts=MappingProxyType(
            {
                "transformer": Part("CogVideoXTransformer3DModel"),
                "text_encoder": t5(4096),
                "vae": Part("AutoencoderKLCogVideoX"),
            }
        ),
    ),
    entry(
        "cogvideox-5b",
        "CogVideoX 5B",
        "The larger one: 480 × 720, six seconds at eight frames a second.",
        "CogVideoX-5b",
        {
            "licence": "CogVideoX licence",
            "licence_url": LICENCE_5B,
            "parameters": parameters(5.57),
        },
        scheduler_options=diffusion(1.0),
        activations_gb=6.0,
        branches="batch",
        parts=MappingProxyType(
            {
                "transformer": Part(
                    "CogVideoXTransformer3DModel",
                    MappingProxyType(
                        {
                            "num_attention_heads": 48,
                            "num_layers": 42,
                            "use_rotary_positional_embeddings": True,
                        }
                    ),
                ),
                "text_encoder": t5(4096),
                "vae": Part("AutoencoderKLCogVideoX", MappingProxyType({"scaling_factor": 0.7})),
            }
        ),
    ),
)
