import torch

from bwcache.tinyworld.grammar import words
from bwcache.tinyworld.text import (
    MAX_WORDS,
    TEXT_DIM,
    build_text_encoder,
    build_tokenizer,
    encode,
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


def test_padding_is_zero_and_does_not_reach_the_words():
    torch.manual_seed(0)
    tokenizer, encoder = build_tokenizer(), build_text_encoder().eval()
    alone = encode(tokenizer, encoder, ["a red circle"])
    both = encode(tokenizer, encoder, ["a red circle", "a blue square bouncing"])
    assert both.shape == (2, MAX_WORDS, TEXT_DIM)
    assert torch.equal(both[0, 4:], torch.zeros(MAX_WORDS - 4, TEXT_DIM))
    torch.testing.assert_close(alone[0], both[0])
