"""diffusers' own caches through `built_in`: what goes wrong with them is guarded or mended."""

import pytest
import torch
from diffusers import (
    FasterCacheConfig,
    FirstBlockCacheConfig,
    PyramidAttentionBroadcastConfig,
    TaylorSeerCacheConfig,
)

from bwcache import BWCacheConfig, CacheError, built_in, cached
from tests.conftest import build_wan, run_wan
from tests.pipelines import zoo_cog_ltx

MIDDLE = {"spatial_attention_timestep_skip_range": (-1, 1001)}
PAB = PyramidAttentionBroadcastConfig(
    spatial_attention_block_skip_range=2,
    current_timestep_callback=lambda: 500,
    **MIDDLE,
)
FASTER = FasterCacheConfig(
    spatial_attention_block_skip_range=2, current_timestep_callback=lambda: 500, **MIDDLE
)


def calls_of(module: torch.nn.Module, run) -> int:
    """How often a module runs."""
    calls = []
    handle = module.register_forward_hook(lambda *_: calls.append(1))
    try:
        run()
    finally:
        handle.remove()
    return len(calls)


def test_taylorseer_does_nothing_by_default_and_something_here():
    pipe = build_wan("euler", layers=2)
    ffn = pipe.transformer.blocks[1].ffn.net[0]  # a hooked module's own hooks run in any case
    pipe.transformer.enable_cache(TaylorSeerCacheConfig(cache_interval=3))
    run_wan(pipe, steps=8)
    assert calls_of(ffn, lambda: run_wan(pipe, steps=8)) == 16
    pipe.transformer.disable_cache()
    plain = run_wan(pipe, steps=8)
    with built_in(pipe, TaylorSeerCacheConfig(cache_interval=3)):
        assert calls_of(ffn, lambda: run_wan(pipe, steps=8)) < 16
    assert torch.equal(run_wan(pipe, steps=8), plain)


def test_one_that_would_do_nothing_is_refused():
    pipe = build_wan("euler", layers=2)
    plain = run_wan(pipe, steps=4)
    nothing = TaylorSeerCacheConfig(cache_identifiers=["no_such_module"])
    with pytest.raises(CacheError, match="would do nothing"), built_in(pipe, nothing):
        pass
    with cached(pipe, BWCacheConfig(0.0)):  # nothing of it is left
        assert torch.equal(run_wan(pipe, steps=4), plain)


@pytest.mark.parametrize(("config", "said"), [(PAB, "PABConfig"), (FASTER, "IndexError")])
def test_those_that_mix_branches_or_fail_are_refused_where_they_do(config, said):
    pipe = build_wan("euler", layers=2)
    with pytest.raises(CacheError, match=said), built_in(pipe, config):
        pass
    batched = zoo_cog_ltx.cogvideox()
    with built_in(batched.pipe, PAB):
        assert torch.isfinite(batched.run()).all()
    assert not batched.pipe.transformer.is_cache_enabled


def test_an_error_in_the_run_leaves_no_hook():
    pipe = build_wan("euler", layers=2)
    plain = run_wan(pipe, steps=4)
    with (
        pytest.raises(ZeroDivisionError),
        built_in(pipe, FirstBlockCacheConfig(threshold=0.1)),
    ):
        raise ZeroDivisionError
    with cached(pipe, BWCacheConfig(0.0)):
        assert torch.equal(run_wan(pipe, steps=4), plain)


def test_first_block_cache_does_not_reuse_on_what_is_not_a_number():
    """From step 4 on the first block gives none: diffusers' own replays the others from then on."""
    pipe = build_wan("euler", layers=3)
    first, last, calls = pipe.transformer.blocks[0].attn1, pipe.transformer.blocks[2].ffn, []

    def spoil(module, args, output):
        calls.append(1)
        return output * float("nan") if len(calls) > 8 else output

    config, count = FirstBlockCacheConfig(threshold=0.0), {}
    for name in ("own", "guarded"):
        calls.clear()
        handle = first.register_forward_hook(spoil)
        try:
            if name == "own":
                pipe.transformer.enable_cache(config)
                count[name] = calls_of(last, lambda: run_wan(pipe, steps=8))
                pipe.transformer.disable_cache()
            else:
                with built_in(pipe, config):
                    count[name] = calls_of(last, lambda: run_wan(pipe, steps=8))
        finally:
            handle.remove()
    assert count == {"own": 8, "guarded": 15}  # all but the first such call
