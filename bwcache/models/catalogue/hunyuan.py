"""HunyuanVideo's entries. Sources: model cards, configs and diffusers' conversion scripts."""

from __future__ import annotations

from types import MappingProxyType

from ..spec import ModelSpec, Part, Shape, Weights
from .small_text_encoders import WORDS_LAST, clip, language_model, t5

LICENCE = "Tencent Hunyuan Community (not for the EU, the UK and South Korea)"
EXAMPLES = (
    "A cat walks on the grass, realistic",
    "A potter shapes a bowl on a spinning wheel, warm light from a window, shallow focus",
)

HUNYUANVIDEO = ModelSpec(
    name="hunyuanvideo",
    title="HunyuanVideo",
    about="13 billion parameters, guidance distilled: at the smaller of its sizes, 544 × 960.",
    weights=Weights(
        source="hunyuanvideo-community/HunyuanVideo",
        licence=LICENCE,
        licence_url="https://huggingface.co/tencent/HunyuanVideo/blob/main/LICENSE",
        dtypes=MappingProxyType({"default": "float16", "transformer": "bfloat16"}),
        parameters=MappingProxyType(
            {"transformer": 12.821, "text_encoder": 7.505, "text_encoder_2": 0.123, "vae": 0.246}
        ),
    ),
    pipeline="HunyuanVideoPipeline",
    shape=Shape(height=544, width=960, num_frames=129, fps=24),
    vae_tiling=True,
    scheduler="FlowMatchEulerDiscreteScheduler",
    scheduler_options=MappingProxyType({"shift": 7.0}),
    call=MappingProxyType({"guidance_scale": 6.0}),  # an input of the model, not a second branch
    activations_gb=16.0,
    branches="none",
    examples=EXAMPLES,
    parts=MappingProxyType(
        {
            "transformer": Part("HunyuanVideoTransformer3DModel"),
            "tokenizer": WORDS_LAST,
            "text_encoder": language_model(
                "LlamaModel", 4096, num_attention_heads=1, num_key_value_heads=1, head_dim=64
            ),
            "text_encoder_2": clip(768),
            "vae": Part("AutoencoderKLHunyuanVideo"),
        }
    ),
)

HUNYUANVIDEO_15 = ModelSpec(
    name="hunyuanvideo-1.5",
    title="HunyuanVideo 1.5",
    about="8 billion parameters: 480p, five seconds at 24 frames a second.",
    weights=Weights(
        source="hunyuanvideo-community/HunyuanVideo-1.5-Diffusers-480p_t2v",
        licence=LICENCE,
        licence_url="https://huggingface.co/tencent/HunyuanVideo-1.5/blob/main/LICENSE",
        parameters=MappingProxyType(
            {"transformer": 8.327, "text_encoder": 7.071, "text_encoder_2": 0.219, "vae": 1.261}
        ),
    ),
    pipeline="HunyuanVideo15Pipeline",
    shape=Shape(height=480, width=848, num_frames=121, fps=24),
    vae_tiling=True,
    scheduler="FlowMatchEulerDiscreteScheduler",
    scheduler_options=MappingProxyType({"shift": 5.0}),
    activations_gb=12.0,
    examples=EXAMPLES,
    parts=MappingProxyType(
        {
            "transformer": Part(
                "HunyuanVideo15Transformer3DModel", MappingProxyType({"task_type": "t2v"})
            ),
            "tokenizer": WORDS_LAST,
            "text_encoder": language_model(
                "Qwen2_5_VLTextModel", 3584, num_attention_heads=28, num_key_value_heads=1
            ),
            "tokenizer_2": Part("ByT5Tokenizer"),
            "text_encoder_2": t5(1472),
            "vae": Part("AutoencoderKLHunyuanVideo15"),
            "guider": Part("ClassifierFreeGuidance", MappingProxyType({"guidance_scale": 6.0})),
        }
    ),
)

ENTRIES = (HUNYUANVIDEO, HUNYUANVIDEO_15)
