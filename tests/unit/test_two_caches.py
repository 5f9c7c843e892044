"""A second cache on the same blocks: refused before, inside, and however it gets between them."""

from functools import partial
from unittest.mock import patch

import pytest
import torch
from torch import nn

from bwcache import BWCacheConfig, CacheError, cached
from tests.toy import ToyPipeline

CONFIG = BWCacheConfig(0.4, 2, 0.0)
UNCACHED = [4, 8, 12, 16, 20, 24, 28, 32]


class Blocks(nn.Module):
    """A shell around all blocks, which decides by itself what runs."""

    def __init__(self, blocks: nn.ModuleList):
        super().__init__()
        self.inner = blocks

    def forward(self, hidden_states, *args, **kwargs):
        for block in self.inner:
            hidden_states = block(hidden_states, *args, **kwargs)
        return hidden_states


class Around(nn.Module):
    """A shell around one block that has something of its own."""

    def __init__(self, block: nn.Module):
        super().__init__()
        self.block, self.scale = block, nn.Parameter(torch.ones(()))

    def forward(self, hidden_states):
        return self.block(hidden_states)


def replace_lists(pipe) -> None:
    """For good."""
    pipe.transformer.blocks = nn.ModuleList([Blocks(pipe.transformer.blocks)])


def replace_while_called(pipe, forward_name: str = "forward") -> None:
    """Whenever the transformer is called, as cache-dit does it."""
    transformer, forward = pipe.transformer, pipe.transformer.forward
    lists = nn.ModuleList([Blocks(transformer.blocks)])

    def new_forward(self, *args, **kwargs):
        with patch.object(self, "blocks", lists):
            return forward(*args, **kwargs)

    transformer.forward = partial(new_forward, transformer)


def mark(pipe) -> None:
    """What cache-dit leaves on a transformer."""
    pipe.transformer._is_cached = True


def insides(pipe) -> list:
    parts = [pipe.scheduler, pipe.transformer, *pipe.transformer.modules()]
    return [sorted(vars(part)) for part in parts] + [len(pipe.transformer._forward_pre_hooks)]


@pytest.mark.parametrize("other", [replace_lists, replace_while_called, mark])
def test_one_that_was_there_before_is_refused_and_nothing_is_half_installed(other):
    pipe = ToyPipeline()
    other(pipe)
    expected, before = pipe(8), insides(pipe)
    with pytest.raises(CacheError, match="cache") as caught, cached(pipe, CONFIG):
        pipe(8)
    assert "two-caches" in str(caught.value)
    assert insides(pipe) == before
    assert pipe(8) == expected == UNCACHED


@pytest.mark.parametrize("other", [replace_lists, replace_while_called, mark])
def test_one_that_comes_inside_is_refused_at_the_next_call(other):
    pipe = ToyPipeline()
    with cached(pipe, CONFIG) as run:
        pipe(4)
        other(pipe)
        with pytest.raises(CacheError, match="cache") as caught:
            pipe(8)
    assert "two-caches" in str(caught.value)
    assert run.branches == []
    assert pipe(8) == UNCACHED


def test_a_shell_that_stands_in_the_list_from_the_start_is_refused():
    pipe = ToyPipeline()
    replace_lists(pipe)
    with pytest.raises(CacheError, match="Blocks stands in transformer.blocks"):
        cached(pipe, CONFIG).__enter__()
    assert pipe(8) == UNCACHED


def test_a_shell_around_one_block_of_a_strangers_is_a_block():
    pipe = ToyPipeline()
    pipe.transformer.blocks[0] = Around(pipe.transformer.blocks[0])
    with cached(pipe, CONFIG):
        assert pipe(8)[4] == 5 + 12
