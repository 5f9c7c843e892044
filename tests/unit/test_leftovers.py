"""What would stay or say nothing clear: stopped pipelines, saving, copies; by hand (`toy.py`)."""

import copy
import io

import pytest
import torch

from bwcache import BWCacheConfig, CacheError, cached
from tests.toy import NamingTransformer, ToyPipeline

CONFIG = BWCacheConfig(1e6, 2, 0.0)
UNCACHED = [4, 8, 12, 16, 20, 24]


class Bar:
    """A progress bar, as far as a pipeline uses one."""

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def close(self):
        self.closed = True


class Stoppable(ToyPipeline):
    """Goes on without computing once it is told to stop, as diffusers' pipelines do."""

    _interrupt = False

    def progress_bar(self):
        return Bar()

    def __call__(self, steps, at_end=lambda step: None):
        self.scheduler.set_timesteps(steps)
        latents = self.start
        with self.progress_bar():
            for step, timestep in enumerate(self.scheduler.timesteps):
                if self._interrupt:
                    continue
                output = self.transformer(latents)
                latents = self.scheduler.step(output, timestep, latents).prev_sample
                at_end(step)
        self.decode()

    def decode(self):
        """Where memory is needed."""


@pytest.mark.parametrize("told_in", ["on_step", "at the step's end"])
def test_a_pipeline_told_to_stop_keeps_nothing_while_it_decodes(told_in):
    pipe, kept = Stoppable(), []

    def stop(step):
        if step == 2 and not kept:
            pipe._interrupt = True

    on_step = (lambda record, latents: stop(record.step_index)) if told_in == "on_step" else None
    with cached(pipe, CONFIG, on_step=on_step) as run:
        pipe.decode = lambda: kept.append(run.branches)
        pipe(6, at_end=(lambda step: None) if on_step else stop)
        assert kept == [[]]
        assert len(run.trace.steps) == 3
        pipe._interrupt = False
        pipe(6)
        assert run.trace.letters == "CCrrCr"
    assert "progress_bar" not in vars(pipe)


def test_a_bar_that_is_closed_again_when_it_is_deleted_frees_nothing_of_the_next_run():
    pipe, bars = Stoppable(), []
    make = Stoppable.progress_bar
    pipe.progress_bar = lambda: bars.append(make(pipe)) or bars[-1]
    with cached(pipe, CONFIG) as run:
        pipe(6)
        pipe(6, at_end=lambda step: bars[0].close())
    assert run.trace.letters == "CCrrCr"


def test_what_cannot_be_saved_inside_says_so():
    pipe = ToyPipeline(transformer=NamingTransformer())
    with cached(pipe, CONFIG):
        for part in (pipe.transformer, pipe.scheduler):
            with pytest.raises(CacheError, match="save_pretrained") as caught:
                torch.save(part, io.BytesIO())
            assert "\n" not in str(caught.value)
        torch.save(pipe.transformer.state_dict(), io.BytesIO())
    torch.save(pipe.transformer, io.BytesIO())


def test_a_copy_made_inside_is_not_cached_and_tells_nothing():
    pipe = ToyPipeline(transformer=NamingTransformer())
    with cached(pipe, CONFIG) as run:
        pipe(3)
        other = copy.deepcopy(pipe.transformer)
        latents = torch.ones(1, 4, 3)
        assert float(other(latents).max()) == 4
        with other.cache_context("cond"):
            assert float(other(latents).max()) == 4
        assert pipe(6) == [4, 8, 3 + 6, 4 + 6, 20, 6 + 15]
    assert [len(trace.steps) for trace in run.traces] == [3, 6]
    assert float(other(latents).max()) == 4
    assert pipe(6) == UNCACHED


def test_whole_pipelines_are_copied_inside():
    pipe = ToyPipeline(transformer=NamingTransformer())
    with cached(pipe, CONFIG) as run:
        other = copy.deepcopy(pipe)
        assert other(6) == UNCACHED
        assert pipe(6)[2] == 3 + 6
    assert len(run.traces) == 1
