"""A catalogue entry made small: its own parts, each class narrowed by what stands here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..models.spec import ModelSpec, Part

TEXT = 16
BLOCKS = (8, 8, 8, 8)
T5 = {"d_model": TEXT, "d_kv": 8, "d_ff": 16}
DIFFUSION = {"num_attention_heads": 2, "num_layers": 3}
WAN = {
    **DIFFUSION,
    "attention_head_dim": 12,
    "text_dim": TEXT,
    "freq_dim": 32,
    "ffn_dim": 32,
}
HUNYUAN = {**DIFFUSION, "attention_head_dim": 8, "rope_axes_dim": (4, 2, 2)}
FEW = {"layers_per_block": 1, "norm_num_groups": 2}

TEXT_ENCODERS: dict[str, dict[str, object]] = {
    "T5EncoderModel": T5,
    "UMT5EncoderModel": T5,
    "CLIPTextModel": {"hidden_size": TEXT, "intermediate_size": 16},
    "LlamaModel": {"hidden_size": TEXT, "head_dim": 16, "intermediate_size": 16},
    "Qwen2_5_VLTextModel": {
        "hidden_size": TEXT,
        "num_attention_heads": 1,
        "intermediate_size": 16,
        "rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3]},
    },
}
NARROW: dict[str, dict[str, object]] = {
    **TEXT_ENCODERS,
    "WanTransformer3DModel": WAN,
    "SkyReelsV2Transformer3DModel": WAN,
    "AutoencoderKLWan": {"base_dim": 8, "dim_mult": [1, 1, 1, 1], "num_res_blocks": 1},
    "CogVideoXTransformer3DModel": {
        **DIFFUSION,
        "attention_head_dim": 16,
        "time_embed_dim": 16,
        "text_embed_dim": TEXT,
    },
    "AutoencoderKLCogVideoX": {"block_out_channels": BLOCKS, **FEW},
    "LTXVideoTransformer3DModel": {
        **DIFFUSION,
        "attention_head_dim": 8,
        "cross_attention_dim": 16,
        "caption_channels": TEXT,
    },
    "AutoencoderKLLTXVideo": {
        "block_out_channels": BLOCKS,
        "decoder_block_out_channels": BLOCKS,
        "layers_per_block": (1,) * 5,
        "decoder_layers_per_block": (1,) * 5,
    },
    "MochiTransformer3DModel": {
        **DIFFUSION,
        "attention_head_dim": 8,
        "pooled_projection_dim": 16,
        "text_embed_dim": TEXT,
        "time_embed_dim": 16,
    },
    "AutoencoderKLMochi": {
        "encoder_block_out_channels": (32,) * 4,  # it normalises 32 groups
        "decoder_block_out_channels": (32,) * 4,
        "layers_per_block": (1,) * 5,
    },
    "LatteTransformer3DModel": {
        **DIFFUSION,
        "attention_head_dim": 8,
        "cross_attention_dim": 16,
        "caption_channels": TEXT,
    },
    "AutoencoderKL": {"block_out_channels": BLOCKS, **FEW},
    "AllegroTransformer3DModel": {
        **DIFFUSION,
        "attention_head_dim": 12,
        "cross_attention_dim": 24,
        "caption_channels": TEXT,
    },
    "AutoencoderKLAllegro": {
        "block_out_channels": (4, 4, 4, 4),
        **FEW,
        "sample_size": 128,  # the least that its tiles, which overlap by 120, fit into
    },
    "HunyuanVideoTransformer3DModel": {
        **HUNYUAN,
        "num_layers": 2,
        "num_single_layers": 2,
        "num_refiner_layers": 1,
        "text_embed_dim": TEXT,
        "pooled_projection_dim": TEXT,
    },
    "AutoencoderKLHunyuanVideo": {"block_out_channels": BLOCKS, **FEW},
    "HunyuanVideo15Transformer3DModel": {
        **HUNYUAN,
        "num_refiner_layers": 1,
        "text_embed_dim": TEXT,
        "text_embed_2_dim": TEXT,
        "image_embed_dim": 8,
    },
    "AutoencoderKLHunyuanVideo15": {
        "block_out_channels": (32,) * 5,  # each a multiple of the latents' channels
        "layers_per_block": 1,
    },
    "PreTrainedTokenizerFast": {},
    "ByT5Tokenizer": {},
    "ClassifierFreeGuidance": {},
}
SIZES = {  # height, width, frames; else the least of what the entry allows
    "wan2.2-ti2v-5b": (64, 64, 5),
    "ltx-video": (64, 64, 9),
    "allegro": (128, 128, 24),
    "latte-1": (32, 32, 16),
}


TEXT_WIDTHS = (
    *("text_dim", "text_embed_dim", "text_embed_2_dim", "caption_channels"),
    "pooled_projection_dim",
)


def narrowed(spec: ModelSpec, text: bool = True, **changes: object) -> ModelSpec:
    """The entry with few, narrow blocks at a small size, for any machine.

    Args:
        spec: The entry.
        text: Whether the embeddings of a prompt are narrow too.
        changes: Of other fields.
    """
    height, width, frames = SIZES.get(spec.name, (32, 32, 1 + spec.shape.frame_multiple))
    shape = replace(spec.shape, height=height, width=width, num_frames=frames)
    parts = {name: _narrow(part, text) for name, part in spec.parts.items()}
    return replace(spec, parts=parts, needs_cuda=False, **{"shape": shape, **changes})


def _narrow(part: Part, text: bool) -> Part:
    if not text and part.kind in TEXT_ENCODERS:
        return part
    less = {k: v for k, v in NARROW[part.kind].items() if text or k not in TEXT_WIDTHS}
    config: Mapping[str, object] = {**part.config, **less}
    if "decoder_base_dim" in part.config:
        config = {**config, "decoder_base_dim": 8}
    return Part(part.kind, config)
