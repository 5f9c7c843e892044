import pytest
import torch

from bwcache.errors import ConfigError
from bwcache.tinyworld.grammar import words
from bwcache.tinyworld.text import (
    MAX_WORDS,
    TEXT_DIM,
    build_text_encoder,
    build_tokenizer,
    check_prompt,
    encode,
    unknown_words,
)


def test_every_word_has_a_token_of_its_own():
    tokenizer = build_tokenizer()
    ids = tokenizer(" ".join(words())).input_ids
    assert tokenizer.unk_token_id not in ids
    assert len(set(ids)) == len(words()) + 1  # and the end mark


def test_case_and_punctuation_do_not_matter():
    tokenizer = build_tokenizer()
    plain = tokenizer("a red circle on a white background").input_ids
    assert tokenizer("A RED circle, on a white background.").input_ids == plain


def test_strangers_are_named_in_order_and_once():
    assert unknown_words("A fluffy cat and a red fluffy circle!") == ["fluffy", "cat"]
    assert unknown_words("A red circle, moving left.") == []


def test_a_strange_prompt_is_refused_with_the_known_words():
    with pytest.raises(ConfigError, match="fluffy cat") as caught:
        check_prompt("a fluffy cat")
    assert "circle" in str(caught.value)


def test_a_prompt_of_too_many_words_is_refused():
    with pytest.raises(ConfigError, match="words"):
        check_prompt("red " * MAX_WORDS)


def test_padding_is_zero_and_does_not_reach_the_words():
    torch.manual_seed(0)
    tokenizer, encoder = build_tokenizer(), build_text_encoder().eval()
    alone = encode(tokenizer, encoder, ["a red circle"])
    both = encode(tokenizer, encoder, ["a red circle", "a blue square bouncing"])
    assert both.shape == (2, MAX_WORDS, TEXT_DIM)
    assert torch.equal(both[0, 4:], torch.zeros(MAX_WORDS - 4, TEXT_DIM))
    torch.testing.assert_close(alone[0], both[0])
