"""Sampling and relative L1, by hand."""

import pytest
import torch

from bwcache.cache import probes as similarity
from bwcache.cache.methods.bwcache import evenly_spaced
from bwcache.cache.probes import Samples, relative_l1, sample_tokens

TOKENS = torch.arange(20.0).reshape(2, 5, 2)  # ten tokens of two channels, over a batch of two


@pytest.mark.parametrize(
    ("wanted", "first_channels"),
    [
        (None, [0, 2, 4, 6, 8, 10, 12, 14, 16, 18]),
        (10, [0, 2, 4, 6, 8, 10, 12, 14, 16, 18]),
        (5, [0, 6, 12, 18]),  # a stride of 2 would miss every other column: it becomes 3
        (3, [0, 10]),  # 4 becomes 5
        (1, [0]),  # 10 becomes 11
    ],
)
def test_tokens_are_strided_by_odd_primes_over_the_whole_batch(wanted, first_channels):
    assert sample_tokens(TOKENS, wanted)[:, 0].tolist() == first_channels


def test_any_layout_gives_the_same_sample():
    turned = TOKENS.transpose(1, 2).contiguous().transpose(1, 2)
    assert torch.equal(sample_tokens(turned, 5), sample_tokens(TOKENS, 5))
    assert sample_tokens(TOKENS.flatten(0, 1), 5).shape == (4, 2)


def test_blocks_are_evenly_spaced_with_both_ends():
    assert evenly_spaced(8, 3) == [0, 4, 7]
    assert evenly_spaced(8, None) == evenly_spaced(8, 99) == list(range(8))


def test_relative_l1():
    """(1 + 1) / (2 + 2), and (0 + 3) / (1 + 2)."""
    previous = torch.tensor([[[2.0, -2.0]], [[1.0, -2.0]]])
    current = torch.tensor([[[3.0, -1.0]], [[1.0, 1.0]]])
    assert relative_l1(current, previous).tolist() == [0.5, 1.0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("together", [True, False])
def test_samples_give_the_same_ratio_time_after_time(dtype, together, monkeypatch):
    """Kept as one tensor or block by block, and whatever becomes of the features afterwards."""
    if not together:
        monkeypatch.setattr(similarity, "STACKED_AT_MOST", 0)
    torch.manual_seed(0)
    steps = torch.randn(4, 3, 5, 2).to(dtype)  # steps, blocks, tokens, channels
    samples = Samples(None)
    assert ratios(samples, *steps[0]) is None
    assert len(samples.tensors) == 2 * (1 if together else 3)
    for before, after in zip(range(3), range(1, 4), strict=True):
        found = ratios(samples, *steps[after].clone())
        assert torch.allclose(found, relative_l1(steps[after], steps[before]))


def ratios(samples: Samples, *blocks: torch.Tensor) -> torch.Tensor | None:
    """Of a call whose blocks give these features, which are overwritten afterwards."""
    samples.begin()
    for features in blocks:
        given = features.clone()
        samples.take(given)
        given.zero_()
    return samples.compare()


def test_blocks_of_different_sizes():
    samples, one, other = Samples(None), torch.ones(2, 3), torch.ones(4, 5)
    ratios(samples, one, other)
    assert ratios(samples, one * 2, other * 4).tolist() == [1.0, 3.0]


@pytest.mark.parametrize("changed", [(1, 0), (0, 1)])
def test_another_shape_or_number_is_not_compared_and_the_next_call_is(changed):
    one, other = torch.ones(2, 3), torch.ones(4, 5)
    samples = Samples(None)
    ratios(samples, one, one)
    second = [other if place else one * 3 for place in changed]
    assert ratios(samples, *second) is None
    assert ratios(samples, *(2 * x for x in second)).tolist() == [1.0, 1.0]
    assert ratios(samples, one) is None
    assert ratios(samples, one * 4).tolist() == [3.0]


def test_a_call_that_broke_off_counts_no_more():
    samples, one = Samples(None), torch.ones(2, 3)
    ratios(samples, one, one)
    samples.begin()
    samples.take(one * 9)
    assert ratios(samples, one * 2, one * 2).tolist() == [1.0, 1.0]
    samples.begin()
    assert samples.compare() is None
    assert ratios(samples, one * 4, one * 4).tolist() == [1.0, 1.0]
