"""LTX-Video's entry. Sources: the repository's model card and configs."""

from __future__ import annotations

from types import MappingProxyType

from ..spec import ModelSpec, Part, Shape, Weights
from .small_text_encoders import T5_BILLIONS, t5

LTX_VIDEO = ModelSpec(
    name="ltx-video",
    title="LTX-Video",
    about="Small and fast, version 0.9: 480 × 704, nearly seven seconds at 24 frames a second.",
    weights=Weights(
        source="Lightricks/LTX-Video",
        licence="LTX-Video Open Weights",
        licence_url="https://huggingface.co/Lightricks/LTX-Video",
        parameters=MappingProxyType(
            {"transformer": 1.923, "text_encoder": T5_BILLIONS, "vae": 0.419}
        ),
    ),
    pipeline="LTXPipeline",
    shape=Shape(height=480, width=704, num_frames=161, fps=24, size_multiple=32, frame_multiple=8),
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
    activations_gb=8.0,
    branches="batch",
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

ENTRIES = (LTX_VIDEO,)
