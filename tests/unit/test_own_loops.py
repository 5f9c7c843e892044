"""Loops that tell their steps themselves, and such as tell nothing; by hand, see `toy.py`."""

import pytest
import torch

from bwcache import BWCacheConfig, CacheError, cached, disable, enable
from bwcache.cache.install import remove_leftovers
from tests.toy import NamingTransformer, ToyPipeline, ToyScheduler, ToyTransformer

UNCACHED = [4, 8, 12, 16, 20, 24, 28, 32]
REPLAYED = [4, 8, 12, 16, 5 + 12, 6 + 12, 28, 8 + 21]
CONFIG = BWCacheConfig(0.4, 2, 0.0)


class Timed(ToyTransformer):
    """One that is told its timestep."""

    def forward(self, hidden_states, timestep):
        return super().forward(hidden_states)


def loop(transformer, steps: int, end_step=lambda latents: None, **call) -> list[float]:
    """A sampler of somebody's own: no scheduler."""
    latents, found = torch.ones(1, 4, 3), []
    for step in range(steps):
        given = {name: torch.tensor(steps - step) for name in call}
        found.append(float(transformer(latents, **given).flatten()[0]))
        latents = latents + 1
        end_step(latents)
    return found


@pytest.mark.parametrize("bare", [False, True])
def test_a_loop_that_tells_its_steps_is_cached(bare):
    pipe = ToyPipeline()
    with cached(pipe.transformer if bare else pipe, CONFIG) as run:
        run.begin(8)
        assert loop(pipe.transformer, 8, run.step) == REPLAYED
        assert run.branches == []
        assert loop(pipe.transformer, 8, run.step) == REPLAYED  # what follows is another video
        run.begin(5)
        assert loop(pipe.transformer, 5, run.step) == REPLAYED[:5]
    assert [trace.num_steps for trace in run.traces] == [8, 8, 5]
    assert loop(pipe.transformer, 8) == UNCACHED


def test_telling_a_step_twice_counts_it_once():
    pipe = ToyPipeline()
    with cached(pipe, CONFIG) as run:
        pipe.scheduler.set_timesteps(8)
        latents = torch.ones(1, 4, 3)
        for timestep in pipe.scheduler.timesteps:
            pipe.transformer(latents)
            latents = pipe.scheduler.step(None, timestep, latents).prev_sample
            run.step(latents)
    assert "".join(run.trace.letters) == "CCCCrrCr"


def test_a_loop_that_tells_nothing_is_refused_at_its_second_step_and_nothing_grows():
    pipe = ToyPipeline(transformer=Timed())
    pipe.scheduler.set_timesteps(8)
    with cached(pipe, CONFIG) as run:
        with pytest.raises(CacheError, match="run.step()") as caught:
            loop(pipe.transformer, 8, timestep=0)
        assert len(run.branches) == 1
    assert "steps-not-told" in str(caught.value)
    assert loop(pipe.transformer, 8, timestep=0) == UNCACHED


def test_a_loop_without_timesteps_is_refused_before_much_has_grown():
    pipe = ToyPipeline()
    pipe.scheduler.set_timesteps(8)
    with cached(pipe, CONFIG) as run:
        with pytest.raises(CacheError, match="run.step()"):
            loop(pipe.transformer, 100)
        assert len(run.branches) <= 16


def test_a_named_branch_that_comes_again_at_another_timestep_is_another_step():
    pipe = ToyPipeline(transformer=NamingTransformer())
    pipe.scheduler.set_timesteps(8)
    pipe.transformer.forward = lambda hidden_states, timestep: hidden_states * 2
    with cached(pipe, CONFIG), pytest.raises(CacheError, match="none of its blocks"):
        pipe.transformer(torch.ones(1, 4, 3), timestep=torch.tensor(1))


def test_another_loop_after_the_run_is_refused_too():
    pipe = ToyPipeline(transformer=Timed())
    pipe.calls = lambda step: []
    with cached(pipe, CONFIG) as run:
        pipe.scheduler.set_timesteps(2)
        loop(pipe.transformer, 2, lambda x: pipe.scheduler.step(None, 1, x), timestep=0)
        assert len(run.trace.steps) == 2
        with pytest.raises(CacheError, match="another step"):
            loop(pipe.transformer, 4, timestep=0)
        assert run.branches == []


def test_many_calls_of_one_step_are_many_guidance_branches():
    pipe = ToyPipeline(transformer=Timed())
    with cached(pipe, CONFIG) as run:
        run.begin(2)
        for step in range(2):
            for _ in range(20):
                pipe.transformer(torch.ones(1, 4, 3), torch.tensor(step))
            run.step()
    assert run.trace.letters == "CC"


def test_a_step_without_a_call_of_the_transformer_is_refused():
    """As with a transformer that was compiled ahead of time and is called by itself."""
    pipe = ToyPipeline()
    whole = pipe.transformer
    with cached(pipe, CONFIG):
        pipe.scheduler.set_timesteps(4)
        output = whole.forward(torch.ones(1, 4, 3))
        with pytest.raises(CacheError, match="never called as a module") as caught:
            pipe.scheduler.step(output, 4, output)
    assert "nothing-is-cached" in str(caught.value)
    assert pipe(8) == UNCACHED


def test_a_transformer_called_outside_a_run_is_one_clear_sentence():
    pipe = ToyPipeline()
    with cached(pipe, CONFIG), pytest.raises(CacheError, match="outside a run"):
        pipe.transformer(torch.ones(1, 4, 3))
    with cached(pipe.transformer, CONFIG), pytest.raises(CacheError, match="run.begin"):
        pipe.transformer(torch.ones(1, 4, 3))


def test_a_call_after_the_run_computes_and_keeps_nothing():
    pipe = ToyPipeline()
    with cached(pipe, BWCacheConfig(1e6, 2, 0.0)) as run:
        pipe(4)
        assert float(pipe.transformer(torch.ones(1, 4, 3)).max()) == 4
        assert run.branches == []
        assert len(run.trace.steps) == 4


@pytest.mark.parametrize("steps", [0, -1, 2.5, True, "8"])
def test_a_number_of_steps_that_is_none_is_refused(steps):
    with cached(ToyPipeline()) as run, pytest.raises(CacheError, match="num_steps"):
        run.begin(steps)


def test_levels_that_do_not_fit_are_refused():
    with cached(ToyPipeline()) as run, pytest.raises(CacheError, match="3 given for 4"):
        run.begin(4, [1.0, 0.5, 0.1])


def test_enable_and_disable():
    pipe = ToyPipeline()
    run = enable(pipe, CONFIG)
    assert pipe(8) == REPLAYED
    with pytest.raises(CacheError, match="cached already"):
        enable(pipe, CONFIG)
    with pytest.raises(CacheError, match="cached already"), cached(pipe, CONFIG):
        pass
    assert run.trace.letters == "CCCCrrCr"
    disable(pipe)
    assert pipe(8) == UNCACHED
    with pytest.raises(CacheError, match="enable"):
        disable(pipe)
    enable(pipe.transformer, CONFIG)
    assert remove_leftovers() == 1
    disable(pipe)
    assert pipe(8) == UNCACHED


class Bare(ToyScheduler):
    """Returns the latents by themselves."""

    def step(self, prediction, timestep, latents):
        return latents + 1


class Unpacking(ToyPipeline):
    """Takes what its scheduler returns as it is."""

    def __call__(self, steps):
        self.scheduler.set_timesteps(steps)
        latents, found = self.start, []
        for timestep in self.scheduler.timesteps:
            output = self.transformer(latents)
            found.append(float(output.flatten()[0]))
            latents = self.scheduler.step(output, timestep, latents)
        return found


def test_a_scheduler_that_returns_a_bare_tensor():
    pipe, seen = Unpacking(), []
    pipe.scheduler = Bare()
    with cached(pipe, CONFIG, on_step=lambda record, latents: seen.append(float(latents.max()))):
        assert pipe(8) == REPLAYED
    assert seen == [2, 3, 4, 5, 6, 7, 8, 9]
