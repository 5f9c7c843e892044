"""Wan's entries. Sources: model cards, configs, and diffusers' guide and conversion script."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ..spec import ModelSpec, Part, Shape, Weights
from .small_text_encoders import t5

UMT5_BILLIONS, VAE_21_BILLIONS, WIDTH = 5.681, 0.127, 4096
EXAMPLES = (
    "A cat walks on the grass, realistic style",
    "A red fox trots through fresh snow at dawn, breath steaming, the camera follows at its side",
    "Waves break against a lighthouse in a storm, seen from a drone that circles it slowly",
)
STARTING_FROM_A_PICTURE = (
    "The scene comes to life: leaves stir in the wind and the light shifts slowly",
    "The camera moves gently forward into the picture",
)

# The 48 latent channels of Wan 2.2's autoencoder, as `vae/config.json` of the TI2V 5B has them.
LATENTS_MEAN_22 = """
    -0.2289 -0.0052 -0.1323 -0.2339 -0.2799 0.0174 0.1838 0.1557 -0.1382 0.0542 0.2813 0.0891
    0.157 -0.0098 0.0375 -0.1825 -0.2246 -0.1207 -0.0698 0.5109 0.2665 -0.2108 -0.2158 0.2502
    -0.2055 -0.0322 0.1109 0.1567 -0.0729 0.0899 -0.2799 -0.123 -0.0313 -0.1649 0.0117 0.0723
    -0.2839 -0.2083 -0.052 0.3748 0.0152 0.1957 0.1433 -0.2944 0.3573 -0.0548 -0.1681 -0.0667
"""
LATENTS_STD_22 = """
    0.4765 1.0364 0.4514 1.1677 0.5313 0.499 0.4818 0.5013 0.8158 1.0344 0.5894 1.0901
    0.6885 0.6165 0.8454 0.4978 0.5759 0.3523 0.7135 0.6804 0.5833 1.4146 0.8986 0.5659
    0.7069 0.5338 0.4889 0.4917 0.4069 0.4999 0.6866 0.4093 0.5709 0.6065 0.6415 0.4944
    0.5726 1.2042 0.5458 1.6887 0.3971 1.06 0.3943 0.5537 0.5444 0.4089 0.7468 0.7744
"""


def numbers(text: str) -> tuple[float, ...]:
    """The numbers of a text, separated by white space."""
    return tuple(map(float, text.split()))


VAE_21 = Part("AutoencoderKLWan")
VAE_22 = Part(
    "AutoencoderKLWan",
    MappingProxyType(
        {
            "base_dim": 160,
            "decoder_base_dim": 256,
            "z_dim": 48,
            "is_residual": True,
            "in_channels": 12,
            "out_channels": 12,
            "patch_size": 2,
            "scale_factor_spatial": 16,
            "latents_mean": numbers(LATENTS_MEAN_22),
            "latents_std": numbers(LATENTS_STD_22),
        }
    ),
)


def flow(shift: float) -> Mapping[str, object]:
    """The published settings; only the shift differs between the models."""
    return MappingProxyType(
        {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": shift}
    )


def parts(transformers: int = 1, vae: Part = VAE_21, **config: object) -> Mapping[str, Part]:
    """Both experts are alike. The class's own settings are those of the 14B model."""
    transformer = Part("WanTransformer3DModel", MappingProxyType(config))
    experts = {"transformer": transformer, "transformer_2": transformer}
    chosen = dict(list(experts.items())[:transformers])
    return MappingProxyType({**chosen, "text_encoder": t5(WIDTH, "UMT5EncoderModel"), "vae": vae})


def entry(
    name: str,
    title: str,
    about: str,
    repository: str,
    transformers: Mapping[str, float],
    vae: float = VAE_21_BILLIONS,
    **more: Any,
) -> ModelSpec:
    """What all of Wan's entries share. `transformers` and `vae`: billions of parameters."""
    source = f"Wan-AI/{repository}"
    weights = Weights(
        source,
        licence="Apache-2.0",
        licence_url=f"https://huggingface.co/{source}",
        dtypes=MappingProxyType({"default": "bfloat16", "vae": "float32"}),
        parameters=MappingProxyType({**transformers, "text_encoder": UMT5_BILLIONS, "vae": vae}),
    )
    shared: dict[str, Any] = {
        "pipeline": "WanPipeline",
        "scheduler": "UniPCMultistepScheduler",
        "scheduler_options": flow(3.0),
        "examples": EXAMPLES,
    }
    return ModelSpec(name=name, title=title, about=about, weights=weights, **{**shared, **more})


ENTRIES = (
    entry(
        "wan2.1-t2v-1.3b",
        "Wan 2.1 T2V 1.3B",
        "The smallest Wan text-to-video model: 480p, 81 frames.",
        "Wan2.1-T2V-1.3B-Diffusers",
        {"transformer": 1.419},
        call=MappingProxyType({"guidance_scale": 5.0}),
        activations_gb=6.0,
        indicator_blocks=15,
        indicator_tokens=256,
        parts=parts(num_attention_heads=12, ffn_dim=8960, num_layers=30),
    ),
    entry(
        "wan2.1-t2v-14b",
        "Wan 2.1 T2V 14B",
        "The large Wan 2.1, at the smaller of its two sizes: 480p, 81 frames.",
        "Wan2.1-T2V-14B-Diffusers",
        {"transformer": 14.288},
        call=MappingProxyType({"guidance_scale": 5.0}),
        activations_gb=9.0,
        parts=parts(),
    ),
    entry(
        "wan2.2-ti2v-5b",
        "Wan 2.2 TI2V 5B",
        "From text alone or from a picture: 704p, five seconds at 24 frames a second.",
        "Wan2.2-TI2V-5B-Diffusers",
        {"transformer": 5.0},
        vae=0.705,
        image="optional",
        image_pipeline="WanImageToVideoPipeline",
        pipeline_options=MappingProxyType({"expand_timesteps": True}),
        shape=Shape(height=704, width=1280, num_frames=121, fps=24, size_multiple=32),
        scheduler_options=flow(5.0),
        call=MappingProxyType({"guidance_scale": 5.0}),
        activations_gb=14.0,
        parts=parts(
            vae=VAE_22,
            num_attention_heads=24,
            in_channels=48,
            out_channels=48,
            ffn_dim=14336,
            num_layers=30,
        ),
    ),
    entry(
        "wan2.2-t2v-a14b",
        "Wan 2.2 T2V A14B",
        "Two experts of 14 billion parameters that take turns: 480p, 81 frames.",
        "Wan2.2-T2V-A14B-Diffusers",
        {"transformer": 14.288, "transformer_2": 14.288},
        pipeline_options=MappingProxyType({"boundary_ratio": 0.875}),
        steps=40,
        call=MappingProxyType({"guidance_scale": 4.0, "guidance_scale_2": 3.0}),
        activations_gb=9.0,
        parts=parts(2),
    ),
    entry(
        "wan2.2-i2v-a14b",
        "Wan 2.2 I2V A14B",
        "Continues a picture, with two experts that take turns: 480p, 81 frames.",
        "Wan2.2-I2V-A14B-Diffusers",
        {"transformer": 14.289, "transformer_2": 14.289},
        pipeline="WanImageToVideoPipeline",
        pipeline_options=MappingProxyType({"boundary_ratio": 0.9}),
        image="required",
        steps=40,
        call=MappingProxyType({"guidance_scale": 3.5}),
        activations_gb=9.0,
        parts=parts(2, in_channels=36),
        examples=STARTING_FROM_A_PICTURE,
    ),
)
