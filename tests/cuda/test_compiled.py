"""Blocks really compiled for the device, with CUDA graphs too."""

from collections.abc import Iterator
from contextlib import nullcontext

import pytest
import torch
from torch._dynamo.utils import counters

from bwcache import BWCacheConfig, FirstBlockCacheConfig, cached
from tests.cuda.on_device import on, same
from tests.pipelines.combined import FREELY, actions, pattern
from tests.pipelines.zoo_hunyuan import hunyuan_t2v
from tests.pipelines.zoo_wan import wan21_t2v


@pytest.fixture(autouse=True)
def _nothing_compiled_left() -> Iterator[None]:
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()


@pytest.mark.parametrize("build", [wan21_t2v, hunyuan_t2v])
def test_compiled_blocks(build, device):
    """Once compiled they stay so: threshold 0 equals the compiled run, no graph is broken."""
    tiny = on(build(), device)
    tiny.pipe.transformer.compile_repeated_blocks(fullgraph=True)
    tiny.run()
    plain = tiny.run()
    graphs = counters["stats"]["unique_graphs"]
    before = tiny.insides()
    for config in (BWCacheConfig(0.0), FREELY, None):
        with cached(tiny.pipe, config) if config else nullcontext() as run:
            video = tiny.run()
        if config is FREELY:
            assert actions(run) == pattern(run.trace.num_steps)
            assert not same(video, plain)
        else:
            assert same(video, plain)
        assert tiny.insides() == before
    assert not counters["graph_break"]
    assert counters["stats"]["unique_graphs"] == graphs


METHODS = {
    "measure": BWCacheConfig(0.0),
    "residual": BWCacheConfig(1e6, 2),
    "output": BWCacheConfig(1e6, 2, reuse="output"),
    "forecast": BWCacheConfig(1e6, 2, reuse="forecast"),
    "first block": FirstBlockCacheConfig(1e6),
}


@pytest.mark.parametrize("name", METHODS)
def test_cuda_graphs_own_their_outputs(name, cuda):
    """`mode="reduce-overhead"` writes every call's output to the same place; what is kept between
    steps must be our own copy, so that the result is that of blocks without graphs."""
    method = METHODS[name]
    expected_of, tiny = on(wan21_t2v(), cuda), on(wan21_t2v(), cuda)
    # without it each block's call begins anew, and overwrites what it is given, caching or not
    tiny.pipe.transformer.register_forward_pre_hook(
        lambda *_: torch.compiler.cudagraph_mark_step_begin()
    )
    with cached(expected_of.pipe, method):
        expected = expected_of.run()
    tiny.pipe.transformer.compile_repeated_blocks(mode="reduce-overhead", fullgraph=True)
    for _ in range(2):
        tiny.run()  # CUDA graphs are recorded in the second and third call
    plain = tiny.run()
    with cached(tiny.pipe, method) as run:
        first, second = tiny.run(), tiny.run()
    assert same(first, second)
    torch.testing.assert_close(first, expected, rtol=1e-3, atol=1e-3)
    if name == "measure":
        assert same(first, plain)
    else:
        assert run.trace.steps_reused or "partial" in run.trace.schedule
    assert same(tiny.run(), plain)
