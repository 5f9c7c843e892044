"""Compiled blocks keep their graphs under caching; a transformer compiled as a whole is refused."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext

import pytest
import torch
from torch._dynamo.utils import counters

from bwcache import BWCacheConfig, CacheError, cached
from tests.pipelines.combined import FREELY, actions, builds, entered, orders, pattern
from tests.pipelines.zoo_cog_ltx import cogvideox
from tests.pipelines.zoo_wan import wan21_t2v


class Backend:
    """Compiles nothing; counts the graphs that it is given, and how often they run."""

    def __init__(self):
        torch._dynamo.reset()
        counters.clear()
        self.graphs = self.calls = 0

    def __call__(self, graph: torch.fx.GraphModule, inputs: list) -> Callable:
        self.graphs += 1

        def run(*args):
            self.calls += 1
            return graph(*args)

        return run

    def set_up(self, pipe) -> None:
        pipe.transformer.compile_repeated_blocks(backend=self, fullgraph=True)


@pytest.fixture(autouse=True)
def _nothing_compiled_left() -> Iterator[None]:
    yield
    torch._dynamo.reset()


@builds
@orders
def test_compiled_blocks_keep_their_graphs(build, inside):
    """As many graphs as without caching, none broken, none made anew on entering again.

    Three steps of two branches with four blocks are reused.
    """
    plain, backend = build(), Backend()
    backend.set_up(plain.pipe)
    expected = plain.run()
    graphs, calls = backend.graphs, backend.calls

    tiny, backend = build(), Backend()
    with entered(tiny, backend.set_up, inside, FREELY) as run:
        tiny.run()
    assert actions(run) == pattern(6)
    assert (backend.graphs, backend.calls) == (graphs, calls - 3 * 2 * 4)
    for caching in (True, True, False):
        backend.calls = 0
        with cached(tiny.pipe, BWCacheConfig(0.0)) if caching else nullcontext():
            assert torch.equal(tiny.run(), expected)
        assert (backend.graphs, backend.calls) == (graphs, calls)
    assert not counters["graph_break"]
    assert tiny.insides() == plain.insides()


def test_blocks_compiled_inside_stay_compiled_where_nothing_ran_after():
    tiny, backend = wan21_t2v(), Backend()
    with cached(tiny.pipe):
        backend.set_up(tiny.pipe)
    tiny.run()
    assert backend.calls == 6 * 2 * 4


def compile_whole(pipe, by_method: bool) -> None:
    if by_method:
        pipe.transformer.compile(backend="eager")
    else:
        pipe.transformer = torch.compile(pipe.transformer, backend="eager")


@pytest.mark.parametrize("by_method", [True, False])
def test_a_compiled_transformer_is_refused_with_the_way_out(by_method):
    pipe = wan21_t2v().pipe
    compile_whole(pipe, by_method)
    with pytest.raises(CacheError, match="compile_repeated_blocks"), cached(pipe):
        pass


def test_a_transformer_that_cannot_compile_repeated_blocks_is_told_another_way_out():
    """Diffusers knows no repeated blocks of CogVideoX and nine others; the method raises there."""
    pipe = cogvideox().pipe
    pipe.transformer.compile()
    way_out = r"for block in pipe.transformer.transformer_blocks: block.compile\(\)"
    with pytest.raises(CacheError, match=way_out), cached(pipe):
        pass


@pytest.mark.parametrize("by_method", [True, False])
def test_a_transformer_compiled_inside_is_refused_too(by_method):
    tiny = wan21_t2v()
    with cached(tiny.pipe):
        compile_whole(tiny.pipe, by_method)
        with pytest.raises(CacheError, match="compile_repeated_blocks"):
            tiny.run()
