"""Every video pipeline of diffusers, each with random weights: what must hold for all of them."""

import importlib
from itertools import chain
from pathlib import Path

import pytest
import torch

from bwcache import BWCacheConfig, CacheError, FasterCacheConfig, cached
from bwcache.cache.block_stacks import CALLED_PER_BRANCH
from tests.pipelines.tiny import Tiny

ZOOS = sorted(path.stem for path in Path(__file__).parent.glob("zoo_*.py"))
ROWS = dict(
    chain.from_iterable(
        importlib.import_module(f"tests.pipelines.{name}").ROWS.items() for name in ZOOS
    )
)


@pytest.fixture(params=ROWS, scope="module")
def row(request) -> tuple[Tiny, torch.Tensor]:
    """A pipeline, and the latents it gives without any hook."""
    tiny = ROWS[request.param]()
    return tiny, tiny.run()


def test_threshold_zero_is_bit_identical(row):
    tiny, plain = row
    with cached(tiny.pipe, BWCacheConfig(0.0)) as run:
        assert torch.equal(tiny.run(), plain)
    assert run.trace.steps_reused == 0
    assert len(run.trace.steps) == run.trace.num_steps
    measured = run.trace.steps[1:]
    assert sum(step.indicator is not None for step in measured) >= len(measured) - 1


@pytest.mark.parametrize("reuse", ["residual", "output", "forecast"])
def test_a_large_threshold_follows_the_pattern_and_the_second_run_equals_the_first(row, reuse):
    tiny, plain = row
    with cached(tiny.pipe, BWCacheConfig(1e6, 2, reuse=reuse)) as run:
        first, second = tiny.run(), tiny.run()
    pattern = "cc" + "rrc" * run.trace.num_steps
    refused = ("nothing is cached", "the features changed")
    for trace in run.traces:
        began = {each.expert: each.first_step for each in trace.experts}
        for step in trace.steps:  # each of two experts follows it from its own first step on
            letter = pattern[step.step_index - began.get(step.expert, 0)]
            assert step.action[0] == letter or step.reason.startswith(refused)
        assert trace.steps_reused >= trace.num_steps // 3
    assert torch.equal(first, second)
    assert torch.isfinite(first).all()
    assert not torch.equal(first, plain)


def test_an_exception_leaves_nothing_behind(row):
    tiny, plain = row
    before = tiny.insides()

    def stop(record, latents):
        if record.step_index == 2:
            raise InterruptedError

    config = BWCacheConfig(1e6)
    with pytest.raises(InterruptedError), cached(tiny.pipe, config, on_step=stop) as run:
        tiny.run()
    assert run.branches == []
    assert tiny.insides() == before
    assert torch.equal(tiny.run(), plain)


def test_a_reused_step_runs_no_block(row):
    tiny, _ = row
    calls, per_step = [], []
    handles = [block.register_forward_hook(lambda *_: calls.append(1)) for block in tiny.blocks]

    def count(record, latents):
        per_step.append((record.action, len(calls)))
        calls.clear()

    try:
        with cached(tiny.pipe, BWCacheConfig(1e6, 2), on_step=count):
            tiny.run()
    finally:
        for handle in handles:
            handle.remove()
    assert all((action == "reuse") == (ran == 0) for action, ran in per_step)


LISTS = ("Cosmos3OmniTransformer",)  # what these give is no tensor that could be estimated


def test_a_guidance_branch_is_estimated_or_the_pipeline_is_refused(row):
    tiny, plain = row
    name = type(tiny.transformers[0]).__name__
    calls: list[int] = []
    handles = [each.register_forward_hook(lambda *_: calls.append(1)) for each in tiny.transformers]
    try:
        with cached(tiny.pipe, FasterCacheConfig(2, active_from=0.0)) as run:
            given = tiny.run()
    except CacheError:
        assert name not in CALLED_PER_BRANCH or name in LISTS
        assert len(calls) <= 2  # those of one step, where nobody says it before
    else:
        assert name in CALLED_PER_BRANCH
        if name in LISTS:  # nothing is estimated, and each step says why
            assert all(step.action == "compute" and step.reason for step in run.trace.steps)
            assert torch.equal(given, plain)
            return
        assert {step.action for step in run.trace.steps[1::2]} == {"partial"}
        assert len(calls) == 1.5 * sum(len(trace.steps) for trace in run.traces)
        assert torch.isfinite(given).all()
        assert not torch.equal(given, plain)
    finally:
        for handle in handles:
            handle.remove()
    assert torch.equal(tiny.run(), plain)
