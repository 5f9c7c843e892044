"""TinyWorld's transformer: a small one of diffusers' own class, or of that with long skips."""

from __future__ import annotations

import json
from pathlib import Path

from diffusers import WanTransformer3DModel

from .long_skips import LongSkipWanTransformer3DModel
from .text import TEXT_DIM

FLOW_SHIFT = 2.0  # of the scheduler that a newly trained model is exported with


def build_transformer(
    layers: int = 8,
    heads: int = 5,
    z_dim: int = 12,
    text_dim: int = TEXT_DIM,
    long_skips: int = 0,
) -> WanTransformer3DModel:
    """A Wan transformer over single latent cells: 3.1 M parameters with 8 blocks of width 160.

    Args:
        layers: Its blocks.
        heads: Of each block's attention, 32 numbers wide.
        z_dim: Numbers of a latent cell.
        text_dim: Numbers of an embedded word.
        long_skips: How many of the last blocks are given an early block's output, too.
    """
    shape = {
        "patch_size": (1, 1, 1),
        "num_attention_heads": heads,
        "attention_head_dim": 32,
        "in_channels": z_dim,
        "out_channels": z_dim,
        "text_dim": text_dim,
        "freq_dim": 64,
        "ffn_dim": 96 * heads,
        "num_layers": layers,
        "rope_max_seq_len": 32,
    }
    if long_skips:
        return LongSkipWanTransformer3DModel(long_skips, **shape)
    return WanTransformer3DModel(**shape)


def transformer_class(folder: Path) -> type[WanTransformer3DModel]:
    """The class of a saved transformer.

    Args:
        folder: Its own, with its `config.json`.

    Raises:
        OSError, ValueError: The file cannot be read.
    """
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return LongSkipWanTransformer3DModel if config.get("long_skips") else WanTransformer3DModel
