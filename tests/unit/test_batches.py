"""The videos of one call are reused together, and the least similar one decides; by hand.

Video 0 of the toy sees t + 1, as ever, and changes by 1/t. Video 1 sees 100 more, so that it
changes by 1/(t + 100): alone it would trigger at once.
"""

import pytest
import torch

from bwcache import BWCacheConfig, FirstBlockCacheConfig, Probe, cached
from bwcache.cache.probes import Samples, Shares, finished
from tests.methods.fixed import Fixed
from tests.toy import ToyPipeline

CONFIG = BWCacheConfig(0.4, 2, 0.0)


def batch(*starts: float) -> torch.Tensor:
    return torch.cat([torch.full((1, 4, 3), start) for start in starts])


@pytest.mark.parametrize("tokens", [None, 2, 3, 128])
@pytest.mark.parametrize("starts", [(1.0, 101.0), (101.0, 1.0), (101.0, 51.0, 1.0)])
def test_the_least_similar_video_decides(starts, tokens):
    """Together they would change by 3/(1 + t) hundredths or so, and trigger at step 1."""
    pipe = ToyPipeline()
    pipe.start = batch(*starts)
    config = BWCacheConfig(0.4, 2, 0.0, indicator_tokens=tokens)
    if tokens is not None and tokens < len(starts):
        return
    with cached(pipe, config) as run:
        pipe(8)
    assert run.trace.letters == "CCCCrrCr"
    assert run.trace.indicators[1:4] == pytest.approx([1, 1 / 2, 1 / 3])


@pytest.mark.parametrize("branches_together", [False, True])
def test_guidance_branches_of_a_video_count_as_one(branches_together):
    """Two videos, two branches each, in one call (all of the first branch first) or in two.

    Video 0's branches change by 1/t and 1/(t + 10), of which the mean is taken; in one call they
    are summed up first, as ever: 2 of 2t + 10.
    """
    pipe = ToyPipeline()
    pipe.start = batch(1.0, 101.0)
    both = [lambda x: x, lambda x: x + 10]
    together = [(None, lambda x: torch.cat([seen(x) for seen in both]))]
    apart = [(None, seen) for seen in both]
    pipe.calls = lambda step: together if branches_together else apart
    with cached(pipe, BWCacheConfig(0.0)) as run:
        pipe(5)
    expected = [
        2 / (2 * t + 10) if branches_together else (1 / t + 1 / (t + 10)) / 2 for t in range(1, 4)
    ]
    assert run.trace.indicators[1:4] == pytest.approx(expected)


def test_one_video_is_measured_as_ever():
    pipe = ToyPipeline()
    pipe.calls = lambda step: [(None, lambda x: torch.cat([x, x + 10]))]
    with cached(pipe, CONFIG) as run:
        pipe(4)
    assert run.trace.indicators[1] == pytest.approx(2 / 12)


def test_a_first_block_decides_by_the_least_similar_video():
    pipe = ToyPipeline()
    pipe.start = batch(101.0, 1.0)
    with cached(pipe, FirstBlockCacheConfig(0.26)) as run:
        pipe(5)
    assert [step.blocks for step in run.trace.steps] == ["CC", "CC", "CC", "CC", "Cr"]


def test_a_batch_that_is_no_multiple_of_the_videos_is_measured_whole():
    pipe = ToyPipeline()
    pipe.scheduler.step = lambda output, t, latents: type(
        "Output", (), {"prev_sample": latents[:3] + 1}
    )()
    pipe.start = batch(1.0, 1.0, 1.0)
    pipe.calls = lambda step: [(None, lambda x: x[:2])]
    with cached(pipe, CONFIG) as run:
        pipe(5)
    assert run.trace.indicators[1:4] == pytest.approx([1, 1 / 2, 1 / 3])


@pytest.mark.parametrize("metric", ["relative_l1", "change", "size", "cosine"])
@pytest.mark.parametrize("against", ["measured", "neighbour"])
def test_sums_of_shares_make_the_numbers_of_the_whole(metric, against):
    torch.manual_seed(0)
    whole, parts = (Samples(None, metric, against) for _ in range(2))
    for _ in range(2):
        whole.begin()
        parts.begin(Shares())
        for _ in range(3):
            features = torch.randn(2, 5, 4)
            whole.take(features)
            parts.take(features)
        numbers, sums = whole.read(), parts.read()
        whole.settle()
        parts.settle()
    assert torch.allclose(finished(sums, metric)[:, 0], numbers)


@pytest.mark.parametrize(("metric", "expected"), [("change", 3.0), ("size", 12.0), ("cosine", 1.0)])
def test_other_metrics_are_those_of_the_least_similar(metric, expected):
    """Block 0 gives twice what it sees: video 1 sees three times as much, and changes as much."""
    probe = Probe("x", "output", (0,), "measured", metric, tokens=None)
    method, pipe = Fixed(measuring=lambda blocks: (probe,)), ToyPipeline()
    pipe.start = batch(1.0, 2.0)
    pipe.scheduler.step = lambda output, t, latents: type(
        "Output", (), {"prev_sample": latents + torch.tensor([0.5, 1.5]).reshape(2, 1, 1)}
    )()
    with cached(pipe, method) as run:
        pipe(4)
    found = run.trace.steps[2].numbers["x"][0]
    assert found == pytest.approx(expected if metric != "size" else 2 * (2 + 1.5 * 2))
