"""Wan's entries. Sources: model cards, configs, and diffusers' guide and conversion script."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ..spec import ModelSpec, Part
from .small_text_encoders import t5
from .wan22_latents import MEAN, STD

DTYPES = MappingProxyType({"default": "bfloat16", "vae": "float32"})
UMT5, VAE, WIDTH = 5.681, 0.127, 4096
EXAMPLES = (
    "A cat walks on the grass, realistic style",
    "A red fox trots through fresh snow at dawn, breath steaming, the camera follows at its side",
    "Waves break against a lighthouse in a storm, seen from a drone that circles it slowly",
)
STARTING_FROM_A_PICTURE = (
    "The scene comes to life: leaves stir in the wind and the light shifts slowly",
    "The camera moves gently forward into the picture",
)


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
            "latents_mean": MEAN,
            "latents_std": STD,
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


def entry(name: str, title: str, about: str, repository: str, **more: object) -> ModelSpec:
    """What all of Wan's entries share."""
    source = f"Wan-AI/{repository}"
    shared = {
        "licence": "Apache-2.0",
        "licence_url": f"https://huggingface.co/{source}",
        "pipeline": "WanPipeline",
        "dtypes": DTYPES,
        "scheduler": "UniPCMultistepScheduler",
        "scheduler_options": flow(3.0),
        "examples": EXAMPLES,
    }
    return ModelSpec(name=name, title=title, about=about, source=source, **{**shared, **more})


WAN = (
    entry(
        "wan2.1-t2v-1.3b",
        "Wan 2.1 T2V 1.3B",
        "The smallest Wan text-to-video model: 480p, 81 frames.",
        "Wan2.1-T2V-1.3B-Diffusers",
        call=MappingProxyType({"guidance_scale": 5.0}),
        parameters=MappingProxyType({"transformer": 1.419, "text_encoder": UMT5, "vae": VAE}),
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
        call=MappingProxyType({"guidance_scale": 5.0}),
        parameters=MappingProxyType({"transformer": 14.288, "text_encoder": UMT5, "vae": VAE}),
        activations_gb=9.0,
        parts=parts(),
    ),
    entry(
        "wan2.2-ti2v-5b",
        "Wan 2.2 TI2V 5B",
        "From text alone or from a picture: 704p, five seconds at 24 frames a second.",
        "Wan2.2-TI2V-5B-Diffusers",
        image="optional",
        image_pipeline="WanImageToVideoPipeline",
        pipeline_options=MappingProxyType({"expand_timesteps": True}),
        height=704,
        width=1280,
        num_frames=121,
        fps=24,
        size_multiple=32,
        scheduler_options=flow(5.0),
        call=MappingProxyType({"guidance_scale": 5.0}),
        parameters=MappingProxyType({"transformer": 5.0, "text_encoder": UMT5, "vae": 0.705}),
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
        pipeline_options=MappingProxyType({"boundary_ratio": 0.875}),
        steps=40,
        call=MappingProxyType({"guidance_scale": 4.0, "guidance_scale_2": 3.0}),
        parameters=MappingProxyType(
            {"transformer": 14.288, "transformer_2": 14.288, "text_encoder": UMT5, "vae": VAE}
        ),
        activations_gb=9.0,
        parts=parts(2),
    ),
    entry(
        "wan2.2-i2v-a14b",
        "Wan 2.2 I2V A14B",
        "Continues a picture, with two experts that take turns: 480p, 81 frames.",
        "Wan2.2-I2V-A14B-Diffusers",
        pipeline="WanImageToVideoPipeline",
        pipeline_options=MappingProxyType({"boundary_ratio": 0.9}),
        image="required",
        steps=40,
        call=MappingProxyType({"guidance_scale": 3.5}),
        parameters=MappingProxyType(
            {"transformer": 14.289, "transformer_2": 14.289, "text_encoder": UMT5, "vae": VAE}
        ),
        activations_gb=9.0,
        parts=parts(2, in_channels=36),
        examples=STARTING_FROM_A_PICTURE,
    ),
)
