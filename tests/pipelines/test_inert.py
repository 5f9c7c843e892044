"""Real pipelines in which nothing would be cached, and nobody would say so."""

from itertools import pairwise

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, WanVideoToVideoPipeline

from bwcache import BWCacheConfig, CacheError, cached
from tests.conftest import build_wan, run_wan
from tests.pipelines.combined import FREELY, actions, pattern
from tests.pipelines.parts import clip
from tests.pipelines.zoo_hunyuan import hunyuan_t2v
from tests.pipelines.zoo_wan import wan21_t2v


def replaced(forward):
    """What ahead-of-time compilation puts in a forward's place: the same without the modules."""

    def compiled(*args, **kwargs):
        with torch.no_grad():
            sample = kwargs.get("hidden_states", args[0] if args else None)
            return (sample * 0.5,)

    return compiled


@pytest.mark.parametrize("inside", [False, True])
def test_a_replaced_forward_is_refused_at_the_first_step(inside):
    tiny = wan21_t2v()
    own = tiny.pipe.transformer.forward
    tiny.run()
    before = tiny.insides()
    if not inside:
        tiny.pipe.transformer.forward = replaced(own)
    with cached(tiny.pipe, FREELY) as run:
        tiny.pipe.transformer.forward = replaced(own)
        with pytest.raises(CacheError, match=r"none of its blocks was reached.*compile") as caught:
            tiny.run()
        assert len(run.branches) <= 1
    assert "docs/troubleshooting.md#nothing-is-cached" in str(caught.value)
    del tiny.pipe.transformer.forward
    assert tiny.insides() == before


@pytest.mark.parametrize("build", [wan21_t2v, hunyuan_t2v])
@pytest.mark.parametrize("inside", [False, True])
def test_a_compiled_forward_is_refused(build, inside):
    tiny = build()
    transformer = tiny.pipe.transformer
    if not inside:
        transformer.forward = torch.compile(transformer.forward, backend="eager")
        with pytest.raises(CacheError, match="compile"), cached(tiny.pipe, FREELY):
            pass
        return
    with cached(tiny.pipe, FREELY):
        transformer.forward = torch.compile(transformer.forward, backend="eager")
        with pytest.raises(CacheError, match="compile"):
            tiny.run()


def test_a_forward_that_is_wrapped_and_goes_through_the_blocks_is_cached():
    """As somebody does it to log what a transformer is called with."""
    tiny, seen = wan21_t2v(), []
    forward = tiny.pipe.transformer.forward
    tiny.pipe.transformer.forward = lambda *args, **kwargs: (
        seen.append(1) or forward(*args, **kwargs)
    )
    with cached(tiny.pipe, FREELY) as run:
        tiny.run()
    assert actions(run) == pattern(6)
    assert len(seen) == 12


def sampler(pipe, steps: int, end_step=lambda latents: None) -> torch.Tensor:
    """A loop of somebody's own: the transformer, Euler steps, no scheduler."""
    latents = torch.randn(1, 32, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    text = torch.randn(1, 8, 512, generator=torch.Generator().manual_seed(1))
    text = text[..., : pipe.transformer.config.text_dim]
    sigmas = torch.linspace(1, 0, steps + 1)
    with torch.no_grad():
        for now, after in pairwise(sigmas):
            velocity = pipe.transformer(latents, now[None] * 1000, text, return_dict=False)[0]
            latents = latents + (after - now) * velocity
            end_step(latents)
    return latents


def test_an_own_sampler_is_refused_at_its_second_step_and_works_once_it_tells_its_steps():
    pipe = build_wan()
    plain = sampler(pipe, 6)
    pipe.scheduler.set_timesteps(6)
    with cached(pipe, FREELY) as run:
        with pytest.raises(CacheError, match="run.step"):
            sampler(pipe, 6)
        assert len(run.branches) == 1
        run.begin(6)
        reused = sampler(pipe, 6, run.step)
        assert actions(run) == pattern(6)
    assert not torch.equal(reused, plain)
    with cached(pipe.transformer, BWCacheConfig(0.0)) as run:
        run.begin(6, levels=[1 - step / 6 for step in range(6)])
        assert torch.equal(sampler(pipe, 6, run.step), plain)
    assert [step.indicator is None for step in run.trace.steps] == [True] + [False] * 5


def video_to_video(pipe, **call) -> torch.Tensor:
    """Six of eight steps are run."""
    arguments = {
        "video": clip(9),
        "prompt": "a red circle",
        "height": 32,
        "width": 32,
        "num_inference_steps": 8,
        "strength": 0.8,
        "max_sequence_length": 24,
        "output_type": "latent",
        "generator": torch.Generator().manual_seed(0),
    }
    return pipe(**{**arguments, **call}).frames


def of_wan(scheduler=None):
    """A second pipeline with the transformer of the first."""
    tiny = wan21_t2v()
    more = {} if scheduler is None else {"scheduler": scheduler}
    other = WanVideoToVideoPipeline.from_pipe(tiny.pipe, **more)
    other.set_progress_bar_config(disable=True)
    return tiny, other


def test_a_second_pipeline_with_the_same_scheduler_is_cached_by_its_own_steps():
    tiny, other = of_wan()
    plain = video_to_video(other)
    with cached(tiny.pipe, BWCacheConfig(0.0)) as run:
        tiny.run()
        assert torch.equal(video_to_video(other), plain)
    assert [trace.num_steps for trace in run.traces] == [6, 6]
    assert [len(trace.steps) for trace in run.traces] == [6, 6]


def test_a_second_pipeline_with_a_scheduler_of_its_own_is_refused_at_its_second_step():
    tiny, other = of_wan(FlowMatchEulerDiscreteScheduler(shift=2.0))
    with cached(tiny.pipe, FREELY) as run:
        tiny.run()
        with pytest.raises(CacheError, match="second pipeline"):
            video_to_video(other)
        assert len(run.branches) <= 2
    with cached(other, FREELY) as run:
        video_to_video(other)
    assert run.trace.steps_reused


def test_a_second_pipeline_that_runs_first_is_refused_too():
    tiny, other = of_wan(FlowMatchEulerDiscreteScheduler(shift=2.0))
    plain = tiny.run()
    with cached(tiny.pipe, BWCacheConfig(0.0)):
        with pytest.raises(CacheError, match="second pipeline|outside a run"):
            video_to_video(other)
        assert torch.equal(tiny.run(), plain)


def test_a_pipeline_of_another_transformer_and_this_scheduler_is_refused():
    tiny, stranger = wan21_t2v(), build_wan()
    stranger.scheduler = tiny.pipe.scheduler
    with cached(tiny.pipe, FREELY), pytest.raises(CacheError, match="never called"):
        run_wan(stranger)
