"""The seam on real pipelines: spans of blocks on all, and two methods against diffusers' own."""

import pytest
import torch
from diffusers.hooks import FirstBlockCacheConfig as DiffusersFirstBlockCache
from diffusers.hooks import MagCacheConfig as DiffusersMagCache

from bwcache import BWCacheConfig, FirstBlockCacheConfig, MagCacheConfig, Span, cached
from tests.conftest import build_wan, run_wan
from tests.methods.fixed import (
    Fixed,
    all_but_first,
    every_block,
    odd_blocks,
    singly,
    whole_stack,
)
from tests.pipelines.test_rows import ROWS

# something fresh enters between their blocks, which a replay of the whole stack cannot see
FRESH_BETWEEN_BLOCKS = {"consisid", "wan-vace", "wan-vace-last", "wan-animate"}
ROUNDING = 1e-5  # of the mean size of the latents


@pytest.mark.parametrize("name", ROWS)
def test_spans_of_blocks_on_every_pipeline(name):
    tiny = ROWS[name]()
    plain = tiny.run()
    before = tiny.insides()
    ran, per_step = [], []
    handles = [
        block.register_forward_hook(lambda *_, index=index: ran.append(index))
        for index, block in enumerate(tiny.blocks)
    ]

    def count(record, latents):
        per_step.append((record.blocks, sorted(set(ran))))
        ran.clear()

    def latents(*method):
        per_step.clear()
        with cached(tiny.pipe, Fixed(*method), on_step=count):
            found = tiny.run()
        assert torch.isfinite(found).all()
        for blocks, indices in per_step:
            second = len(tiny.transformers) > 1 and indices and indices[0] >= len(blocks)
            shift = len(tiny.blocks) - len(blocks) if second else 0
            assert [i + shift for i, letter in enumerate(blocks) if letter == "C"] == indices
        return found

    try:
        whole = latents(whole_stack, lambda blocks: (Span(),))
        each = latents(every_block, singly)
        latents(odd_blocks, singly)
        latents(all_but_first, lambda blocks: (Span(1),))
    finally:
        for handle in handles:
            handle.remove()
    with cached(tiny.pipe, BWCacheConfig(1e6, 2)) as run:
        paper = tiny.run()
    if run.trace.schedule == ["compute"] * 2 + (["reuse"] * 2 + ["compute"]) * 9:
        assert torch.equal(whole, paper)
    off = float((each - whole).abs().max()) / float(plain.abs().mean())
    if name in FRESH_BETWEEN_BLOCKS:
        assert off > ROUNDING
    else:
        assert off < ROUNDING
    assert tiny.insides() == before
    assert torch.equal(tiny.run(), plain)


ONE_BRANCH = {"steps": 12, "guidance_scale": 1.0}  # diffusers lets each branch decide for itself


@pytest.mark.parametrize("threshold", [0.02, 0.05, 0.1, 0.2, 0.4])
def test_first_block_cache_is_that_of_diffusers(threshold):
    pipe, other = build_wan("euler", layers=6), build_wan("euler", layers=6)
    with cached(pipe, FirstBlockCacheConfig(threshold)) as run:
        ours = run_wan(pipe, **ONE_BRANCH)
    other.transformer.enable_cache(DiffusersFirstBlockCache(threshold=threshold))
    assert torch.equal(ours, run_wan(other, **ONE_BRANCH))
    assert ("Crrrrr" in {step.blocks for step in run.trace.steps}) == (threshold >= 0.1)
    assert set(run.trace.schedule) <= {"compute", "partial"}


RATIOS = (1.0, 1.02, 1.01, 0.99, 1.03, 0.98, 0.97, 1.0, 0.96, 0.95, 0.93, 0.9)


@pytest.mark.parametrize(
    ("threshold", "longest", "retention"),
    [(0.06, 3, 0.2), (0.12, 3, 0.1), (0.5, 4, 0.2), (0.02, 2, 0.3)],
)
@pytest.mark.parametrize("steps", [12, 9])
def test_magcache_is_that_of_diffusers(threshold, longest, retention, steps):
    pipe, other = build_wan("euler", layers=6), build_wan("euler", layers=6)
    call = {**ONE_BRANCH, "steps": steps}
    with cached(pipe, MagCacheConfig(threshold, longest, retention, RATIOS)) as run:
        ours = run_wan(pipe, **call)
    given = DiffusersMagCache(
        threshold=threshold,
        max_skip_steps=longest,
        retention_ratio=retention,
        num_inference_steps=steps,
        mag_ratios=torch.tensor(RATIOS),
    )
    other.transformer.enable_cache(given)
    assert torch.equal(ours, run_wan(other, **call))
    assert run.trace.steps_reused


@pytest.mark.parametrize("config", [FirstBlockCacheConfig(0.1), MagCacheConfig(ratios=RATIOS)])
def test_one_plan_a_step_holds_for_both_guidance_branches(config):
    pipe = build_wan("euler", layers=6)
    plain = run_wan(pipe, steps=12)
    with cached(pipe, config) as run:
        guided = run_wan(pipe, steps=12)
        again = run_wan(pipe, steps=12)
    assert torch.equal(guided, again)
    assert not torch.equal(guided, plain)
    assert {step.compute_share for step in run.trace.steps} <= {0.0, 1 / 6, 1.0}
    assert torch.equal(run_wan(pipe, steps=12), plain)
