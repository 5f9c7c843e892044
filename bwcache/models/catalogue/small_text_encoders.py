"""Narrow text encoders: the published output width, hardly any work. Their words are TinyWorld's.

A text encoder runs before the denoising loop, so with these only end-to-end seconds and memory are
below the real ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ..spec import Part

T5_BILLIONS = 4.762  # parameters of the published T5 encoder (XXL), of width 4096
WORDS = 512  # more than TinyWorld's tokenizer or a byte tokenizer has
# The first tokens are an instruction's and are dropped by their number, which here are fewer: with
# the padding in front it is that which is dropped.
WORDS_LAST = Part("PreTrainedTokenizerFast", MappingProxyType({"padding_side": "left"}))
ONE_HEAD = {"d_kv": 64, "d_ff": 256, "num_layers": 1, "num_heads": 1}


def t5(width: int, kind: str = "T5EncoderModel") -> Part:
    """A T5 encoder of one layer."""
    return _part(kind, {"vocab_size": WORDS, "d_model": width, **ONE_HEAD})


def language_model(kind: str, width: int, **more: object) -> Part:
    """A decoder of which the hidden states two layers before its last are taken."""
    narrow = {
        "vocab_size": WORDS,
        "hidden_size": width,
        "intermediate_size": 256,
        "num_hidden_layers": 2,
        "pad_token_id": 0,
        "bos_token_id": None,
        "eos_token_id": None,
    }
    return _part(kind, {**narrow, **more})


def clip(width: int) -> Part:
    """CLIP's text model of one layer."""
    narrow = {
        "vocab_size": WORDS,
        "hidden_size": width,
        "intermediate_size": 256,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "bos_token_id": 0,
        "eos_token_id": 1,
    }
    return _part("CLIPTextModel", narrow)


def _part(kind: str, config: Mapping[str, object]) -> Part:
    return Part(kind, MappingProxyType(dict(config)))
