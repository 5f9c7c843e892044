"""Caches of others on diffusers' own transformers."""

import sys
from types import ModuleType

import pytest
from torch import nn

from bwcache import CacheError, cached
from tests.pipelines.combined import FREELY
from tests.pipelines.zoo_hunyuan import hunyuan_t2v
from tests.pipelines.zoo_wan import wan21_t2v
from tests.unit.test_two_caches import Around


@pytest.mark.parametrize("build", [wan21_t2v, hunyuan_t2v])
def test_a_block_that_is_not_diffusers_own_is_refused(build):
    """As wrappers put it there that know of one block, or of all."""
    tiny = build()
    plain = tiny.run()
    name = "blocks" if build is wan21_t2v else "transformer_blocks"
    blocks = getattr(tiny.pipe.transformer, name)
    own = blocks[1]

    class Shell(Around):
        def forward(self, hidden_states, *args, **kwargs):
            return self.block(hidden_states, *args, **kwargs)

    blocks[1] = Shell(own)
    with pytest.raises(CacheError, match=f"Shell stands in transformer.{name}"):
        cached(tiny.pipe, FREELY).__enter__()
    blocks[1] = own
    with cached(tiny.pipe, FREELY):
        setattr(tiny.pipe.transformer, name, nn.ModuleList(blocks))
        with pytest.raises(CacheError, match="replaced by another wrapper"):
            tiny.run()
    assert (tiny.run() == plain).all()


def test_cache_dit_is_known_by_its_name():
    """Its package is not installed here: what it puts on a transformer is built by hand."""
    package = ModuleType("cache_dit")
    exec("def new_forward(*args, **kwargs): pass", vars(package))
    package.new_forward.__module__ = "cache_dit.caching.cache_adapters.cache_adapter"
    tiny = wan21_t2v()
    tiny.pipe.transformer.forward = package.new_forward
    with pytest.raises(CacheError, match="cache of cache_dit.*disable_cache"):
        cached(tiny.pipe, FREELY).__enter__()


@pytest.mark.skipif("cache_dit" not in sys.modules, reason="an optional peer, not installed here")
def test_cache_dit_itself():  # pragma: no cover - run where it is installed
    cache_dit = sys.modules["cache_dit"]
    tiny = wan21_t2v()
    cache_dit.enable_cache(tiny.pipe)
    with pytest.raises(CacheError, match="cache_dit"):
        cached(tiny.pipe, FREELY).__enter__()
