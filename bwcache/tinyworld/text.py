"""TinyWorld's language for a transformer: a word tokenizer and a small UMT5 encoder.

Knows words; knows nothing of pictures.
"""

from __future__ import annotations

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast, UMT5Config, UMT5EncoderModel

from .grammar import words

MAX_WORDS = 24  # tokens of a padded caption, the end mark included
TEXT_DIM = 128


def build_tokenizer() -> PreTrainedTokenizerFast:
    """One token a word, lower-cased, punctuation dropped, closed by an end mark."""
    vocabulary = {token: i for i, token in enumerate(["<pad>", "</s>", "<unk>", *words()])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation("removed")]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", vocabulary["</s>"])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )


def build_text_encoder(dim: int = TEXT_DIM, layers: int = 4) -> UMT5EncoderModel:
    """UMT5 with random weights, about 0.7 M parameters with four layers of width 128."""
    return UMT5EncoderModel(
        UMT5Config(
            vocab_size=64,
            d_model=dim,
            d_kv=16,
            d_ff=2 * dim,
            num_layers=layers,
            num_heads=dim // 16,
            dropout_rate=0.0,
        )
    )


def encode(tokenizer, text_encoder, captions: list[str]) -> torch.Tensor:
    """Embeddings `[B, MAX_WORDS, TEXT_DIM]`, zero after the end mark, as `WanPipeline` does."""
    tokens = tokenizer(
        captions,
        padding="max_length",
        max_length=MAX_WORDS,
        truncation=True,
        return_tensors="pt",
    ).to(text_encoder.device)
    hidden_states = text_encoder(tokens.input_ids, tokens.attention_mask).last_hidden_state
    return hidden_states * tokens.attention_mask[..., None].to(hidden_states.dtype)
