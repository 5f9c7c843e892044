"""SkyReels-V2's entry. Sources: model card, and diffusers' documentation and conversion script."""

from __future__ import annotations

from types import MappingProxyType

from ..spec import ModelSpec, Part, Shape, Weights
from .small_text_encoders import t5
from .wan import UMT5_BILLIONS, VAE_21, VAE_21_BILLIONS, WIDTH, flow

SOURCE = "Skywork/SkyReels-V2-DF-1.3B-540P-Diffusers"

SKYREELS_DF = ModelSpec(
    name="skyreels-v2-df-1.3b",
    title="SkyReels V2 DF 1.3B",
    about="Diffusion forcing, a timestep for every latent frame: 540p, four seconds.",
    weights=Weights(
        SOURCE,
        licence="Skywork Community",
        licence_url=f"https://huggingface.co/{SOURCE}",
        dtypes=MappingProxyType({"default": "bfloat16", "vae": "float32"}),
        parameters=MappingProxyType(
            {"transformer": 1.436, "text_encoder": UMT5_BILLIONS, "vae": VAE_21_BILLIONS}
        ),
    ),
    pipeline="SkyReelsV2DiffusionForcingPipeline",
    shape=Shape(height=544, width=960, num_frames=97, fps=24),
    steps=30,
    scheduler="UniPCMultistepScheduler",
    scheduler_options=flow(8.0),
    # All frames at one step, as is the pipeline's own default: with `ar_step` above 0 a run has
    # more steps than it is asked for.
    call=MappingProxyType({"guidance_scale": 6.0, "ar_step": 0}),
    activations_gb=9.0,
    timestep_per_frame=True,
    examples=(
        "A cat and a dog bake a cake together in a kitchen, sunlight streaming through the window",
        "A graceful white swan drifts on a misty lake at dawn, ripples spreading behind it",
    ),
    parts=MappingProxyType(
        {
            "transformer": Part(
                "SkyReelsV2Transformer3DModel",
                MappingProxyType(
                    {
                        "num_attention_heads": 12,
                        "ffn_dim": 8960,
                        "num_layers": 30,
                        "inject_sample_info": True,
                    }
                ),
            ),
            "text_encoder": t5(WIDTH, "UMT5EncoderModel"),
            "vae": VAE_21,
        }
    ),
)

ENTRIES = (SKYREELS_DF,)
