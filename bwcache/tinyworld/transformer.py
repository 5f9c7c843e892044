"""TinyWorld's transformer: a small one of diffusers' own class."""

from __future__ import annotations

from diffusers import WanTransformer3DModel

from .text import TEXT_DIM

FLOW_SHIFT = 2.0


def build_transformer(layers: int = 8, heads: int = 4) -> WanTransformer3DModel:
    """A Wan transformer over single latent cells: 2.0 M parameters with 8 blocks of width 128."""
    return WanTransformer3DModel(
        patch_size=(1, 1, 1),
        num_attention_heads=heads,
        attention_head_dim=32,
        in_channels=32,
        out_channels=32,
        text_dim=TEXT_DIM,
        freq_dim=64,
        ffn_dim=96 * heads,
        num_layers=layers,
        rope_max_seq_len=32,
    )
