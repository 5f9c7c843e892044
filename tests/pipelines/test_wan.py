"""`WanPipeline` itself, with random weights."""

import pytest
import torch

from bwcache import BWCacheConfig, CacheError, cached, predict
from tests.conftest import build_wan, run_wan


@pytest.mark.parametrize("scheduler", ["unipc", "euler"])
def test_threshold_zero_is_bit_identical(scheduler):
    pipe = build_wan(scheduler)
    plain = run_wan(pipe)
    with cached(pipe, BWCacheConfig(0.0)) as run:
        assert torch.equal(run_wan(pipe), plain)
    assert run.trace.num_steps == 8
    assert run.trace.num_blocks == 3
    assert all(len(step.distances) == 3 for step in run.trace.steps[1:])
    assert torch.equal(run_wan(pipe), plain)


@pytest.mark.parametrize("reuse", ["residual", "output"])
@pytest.mark.parametrize("gate", ["once", "recheck"])
def test_a_large_threshold_follows_the_pattern(wan, reuse, gate):
    plain = run_wan(wan)
    with cached(wan, BWCacheConfig(1e6, 2, reuse=reuse, gate=gate)) as run:
        first, second = run_wan(wan), run_wan(wan)
    assert "".join(action[0] for action in run.trace.schedule) == "ccrrcrrc"
    assert torch.equal(first, second)
    assert not torch.equal(first, plain)
    assert torch.isfinite(first).all()


def test_another_resolution_and_step_count_start_afresh(wan):
    with cached(wan, BWCacheConfig(1e6, 2)):
        alone = run_wan(wan, height=128)
    with cached(wan, BWCacheConfig(1e6, 2)) as run:
        run_wan(wan)
        assert torch.equal(run_wan(wan, height=128), alone)
        run_wan(wan, steps=5)
    assert [trace.num_steps for trace in run.traces] == [8, 8, 5]


def test_batch_and_no_guidance(wan):
    for changes in ({"num_videos_per_prompt": 2}, {"guidance_scale": 1.0}):
        with cached(wan, BWCacheConfig(1e6, 1)) as run:
            video = run_wan(wan, **changes)
        assert run.trace.steps_reused == 3
        assert torch.isfinite(video).all()


def test_stopping_part_way_leaves_the_pipeline_clean(wan):
    plain = run_wan(wan)

    def stop(record, latents):
        if record.step_index == 4:
            raise InterruptedError

    with pytest.raises(InterruptedError), cached(wan, BWCacheConfig(1e6), on_step=stop):
        run_wan(wan)
    assert torch.equal(run_wan(wan), plain)
    assert "forward" not in vars(wan.transformer.blocks[0])
    assert "step" not in vars(wan.scheduler)


def test_an_enabled_built_in_cache_is_refused(wan):
    from diffusers import FirstBlockCacheConfig

    wan.transformer.enable_cache(FirstBlockCacheConfig(threshold=0.1))
    try:
        with pytest.raises(CacheError, match="disable_cache"), cached(wan):
            pass
    finally:
        wan.transformer.disable_cache()


def test_a_built_in_cache_enabled_inside_is_refused_at_the_next_call(wan):
    from diffusers import FirstBlockCacheConfig

    plain = run_wan(wan)
    with cached(wan):
        wan.transformer.enable_cache(FirstBlockCacheConfig(threshold=0.1))
        try:
            with pytest.raises(CacheError, match="disable_cache"):
                run_wan(wan)
        finally:
            wan.transformer.disable_cache()
    assert torch.equal(run_wan(wan), plain)


def test_installing_after_a_context_was_set_and_beside_a_built_in_cache_later(wan):
    """Diffusers remembers which blocks have hooks; it must not remember ours."""
    from diffusers import FirstBlockCacheConfig

    plain = run_wan(wan)
    with cached(wan, BWCacheConfig(0.0)):
        assert torch.equal(run_wan(wan), plain)
    wan.transformer.enable_cache(FirstBlockCacheConfig(threshold=0.0))
    try:
        assert torch.equal(run_wan(wan), plain)
    finally:
        wan.transformer.disable_cache()


@pytest.mark.parametrize("quantile", [i / 10 for i in range(10)])
def test_predicted_schedule_equals_the_real_one(wan, quantile):
    with cached(wan, BWCacheConfig(0.0)) as measured:
        run_wan(wan, steps=10)
    values = sorted(x for x in measured.trace.indicators if x is not None)
    config = BWCacheConfig(values[int(quantile * len(values))] * 1.0001, 2)
    with cached(wan, config) as run:
        run_wan(wan, steps=10)
    assert predict(measured.trace, config).schedule == run.trace.schedule
    assert run.trace.steps_reused or quantile == 0
