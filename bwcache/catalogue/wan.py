"""Wan's entries."""

from __future__ import annotations

from types import MappingProxyType

from ..spec import ModelSpec

WAN = (
    ModelSpec(
        name="wan2.1-t2v-1.3b",
        title="Wan 2.1 T2V 1.3B",
        about="The smallest Wan text-to-video model: 480p, 81 frames.",
        licence="Apache-2.0",
        licence_url="https://huggingface.co/Wan-AI/Wan2.1-T2V-1.3B-Diffusers",
        source="Wan-AI/Wan2.1-T2V-1.3B-Diffusers",
        pipeline="WanPipeline",
        dtypes=MappingProxyType({"default": "bfloat16", "vae": "float32"}),
        scheduler="UniPCMultistepScheduler",
        scheduler_options=MappingProxyType({"flow_shift": 3.0}),
        call=MappingProxyType({"guidance_scale": 5.0}),
        parameters=MappingProxyType({"transformer": 1.42, "text_encoder": 5.68, "vae": 0.127}),
        activations_gb=6.0,
        indicator_blocks=15,
        indicator_tokens=256,
        examples=("A cat walks on the grass, realistic style",),
        random_builder="bwcache.wan:build_random",
    ),
)
