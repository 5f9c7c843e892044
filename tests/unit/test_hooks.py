"""The hooks on a toy pipeline, against arithmetic done by hand. See `toy.py` for its rules."""

import math
from types import SimpleNamespace

import pytest
import torch

from bwcache import BWCacheConfig, CacheError, cached
from bwcache.cache.install import remove_leftovers
from bwcache.cache.scheduler_watch import _Timesteps
from tests.toy import NamingTransformer, ToyPipeline

UNCACHED = [4, 8, 12, 16, 20, 24, 28, 32]


def config(**changes) -> BWCacheConfig:
    """δ = 0.4 is first undercut by 1/3, at step 3; then two steps are reused after each."""
    return BWCacheConfig(**{"threshold": 0.4, "reuse_interval": 2, "tail_fraction": 0.0, **changes})


def test_threshold_zero_measures_and_changes_nothing():
    pipe = ToyPipeline()
    with cached(pipe, config(threshold=0)) as run:
        assert pipe(8) == UNCACHED
    assert run.trace.schedule == ["compute"] * 8
    assert run.trace.indicators[0] is None
    assert run.trace.indicators[1:] == pytest.approx([1 / t for t in range(1, 8)])
    assert run.trace.steps[4].distances == pytest.approx((0.25, 0.25))


@pytest.mark.parametrize(
    ("reuse", "replayed"),
    [
        # Step 3 saw 4 and gave 16, so its residual is 12. Steps 4 and 5 see 5 and 6.
        # Step 6 computes 7 * 4 = 28, residual 21; step 7 sees 8.
        ("residual", [17, 18, 28, 29]),
        ("output", [16, 16, 28, 28]),
    ],
)
def test_what_is_replayed(reuse, replayed):
    pipe = ToyPipeline()
    with cached(pipe, config(reuse=reuse)) as run:
        assert pipe(8) == UNCACHED[:4] + replayed
    assert run.trace.schedule == ["compute"] * 4 + ["reuse", "reuse", "compute", "reuse"]
    assert run.trace.trigger_step == 3
    assert [step.indicator for step in run.trace.steps[4:6]] == [None, None]
    # Step 6 compares with step 3, the last one computed: (28 - 16) / 16.
    assert run.trace.steps[6].indicator == pytest.approx(0.75)


def test_reused_steps_run_no_block():
    pipe = ToyPipeline()
    with cached(pipe, config()):
        pipe(8)
    assert [block.calls for block in pipe.transformer.blocks] == [5, 5]


def test_branches_share_one_decision_and_keep_their_own_features():
    """The second branch sees ten times the first; both change by 1/t, and replay their own."""
    pipe = ToyPipeline(branches=2)
    with cached(pipe, config()) as run:
        assert pipe(6) == [4, 8, 12, 16, 17, 18]
    assert run.trace.indicators[1:4] == pytest.approx([1, 1 / 2, 1 / 3])
    assert [block.calls for block in pipe.transformer.blocks] == [8, 8]


def test_every_call_starts_afresh():
    pipe = ToyPipeline()
    with cached(pipe, config()) as run:
        first = pipe(8)
        assert pipe(5) == first[:5]
        assert pipe(8) == first
    assert [trace.num_steps for trace in run.traces] == [8, 5, 8]


def test_a_run_that_fails_leaves_nothing_behind():
    pipe = ToyPipeline()

    def fail(step, latents):
        if step == 5:
            raise ZeroDivisionError
        return latents

    with cached(pipe, config()) as run:
        first = pipe(8)
        pipe.before_step = fail
        with pytest.raises(ZeroDivisionError):
            pipe(8)
        assert len(run.trace.steps) == 5
        pipe.before_step = lambda step, latents: latents
        assert pipe(8) == first


def test_on_step_sees_every_step_and_can_end_the_run():
    pipe, seen = ToyPipeline(), []

    def watch(record, latents):
        seen.append((record.step_index, float(latents.flatten()[0])))
        if record.step_index == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError), cached(pipe, config(), on_step=watch):
        pipe(8)
    assert seen == [(0, 2.0), (1, 3.0), (2, 4.0)]
    assert pipe(8) == UNCACHED


@pytest.mark.parametrize("error", [None, ValueError])
def test_leaving_restores_the_pipeline(error):
    pipe = ToyPipeline()

    def insides():
        parts = [pipe.scheduler, pipe.transformer, *pipe.transformer.blocks]
        return [sorted(vars(part)) for part in parts] + [len(pipe.transformer._forward_pre_hooks)]

    pipe(8)
    before = insides()
    try:
        with cached(pipe, config()) as run:
            pipe(8)
            assert insides() != before
            if error:
                raise error
    except ValueError:
        pass
    assert insides() == before
    assert run.branches == []
    assert pipe(8) == UNCACHED


def test_what_was_never_left_is_taken_out_and_leaving_it_late_does_no_harm():
    pipe = ToyPipeline(transformer=NamingTransformer())
    parts = [pipe.scheduler, pipe.transformer, *pipe.transformer.blocks]
    pipe(5)
    before = [sorted(vars(part)) for part in parts]
    cut_short = cached(pipe, config())
    run = cut_short.__enter__()
    pipe.before_step = lambda step, latents: latents * (1 / (3 - step))
    with pytest.raises(ZeroDivisionError):
        pipe(5)
    pipe.before_step = lambda step, latents: latents
    assert run.branches
    assert remove_leftovers() == 1
    assert [sorted(vars(part)) for part in parts] == before
    assert not pipe.transformer._forward_pre_hooks
    assert run.branches == []
    with cached(pipe, config()) as anew:
        cut_short.__exit__(None, None, None)
        assert pipe(8)[4] == 17
    assert anew.trace.steps_reused == 3
    assert pipe(8) == UNCACHED
    assert remove_leftovers() == 0


def test_a_changed_shape_computes_and_says_so():
    pipe = ToyPipeline()
    pipe.before_step = lambda step, latents: latents[:, :2] if step == 4 else latents
    with cached(pipe, config()) as run:
        assert pipe(6)[4] == 20
    assert run.trace.steps[4].action == "compute"
    assert "changed shape" in run.trace.steps[4].reason


def test_not_a_number_computes():
    """δ = 0.9 triggers at step 2. Step 5 measures what went wrong at step 3: no more reuse."""
    pipe = ToyPipeline()
    pipe.before_step = lambda step, latents: latents * math.nan if step == 3 else latents
    with cached(pipe, config(threshold=0.9)) as run:
        pipe(8)
    assert run.trace.schedule == ["compute"] * 3 + ["reuse"] * 2 + ["compute"] * 3
    assert all("finite" in step.reason for step in run.trace.steps[6:])


def test_entering_twice_is_refused_with_the_way_out():
    pipe = ToyPipeline()
    with cached(pipe, config()):
        with pytest.raises(CacheError, match="leave the other"), cached(pipe, config()):
            pass
        assert pipe(8)[:4] == UNCACHED[:4]
    assert pipe(8) == UNCACHED


def test_not_a_pipeline():
    with pytest.raises(CacheError, match="WanPipeline"), cached(object(), config()):
        pass


def test_no_trace_before_the_first_call():
    with cached(ToyPipeline()) as run, pytest.raises(CacheError, match="call the pipeline"):
        _ = run.trace


@pytest.mark.parametrize(("blocks", "tokens"), [(1, None), (None, 2), (1, 1), (5, 500)])
def test_sampling_keeps_the_ratio_of_uniform_features(blocks, tokens):
    pipe = ToyPipeline()
    with cached(pipe, config(indicator_blocks=blocks, indicator_tokens=tokens)) as run:
        assert pipe(8)[4] == 17
    assert run.trace.indicators[1:4] == pytest.approx([1, 1 / 2, 1 / 3])
    assert len(run.trace.steps[1].distances) == min(blocks or 2, 2)


def test_measuring_waits_for_the_device_once_a_step(monkeypatch):
    """Reading numbers back happens once for each measured step, not once a block."""
    reads = []
    to_list = torch.Tensor.tolist
    monkeypatch.setattr(torch.Tensor, "tolist", lambda x: reads.append(x.shape) or to_list(x))
    monkeypatch.setattr(torch.Tensor, "item", lambda x: pytest.fail("a host read of its own"))
    pipe = ToyPipeline(branches=2)
    with cached(pipe, config(threshold=0)):
        pipe(8)
    assert reads == [(8,)] * 2 + [(2,)] * 7  # noise levels and timesteps, once; then the distances


def test_timesteps_are_read_from_the_device_once_a_run(monkeypatch):
    class Scheduler:
        timesteps = torch.tensor([900.0, 500.5, 100.0])

    read = _Timesteps()
    assert read.value_of(torch.tensor(7), Scheduler) == 7.0  # of no list that is known
    assert read.value_of(3, Scheduler) == 3.0
    assert read.value_of(None, Scheduler) is None
    assert read.value_of(torch.ones(2), Scheduler) is None
    assert read.value_of(Scheduler.timesteps[0], None) == 900.0
    assert read.value_of(Scheduler.timesteps[0].long(), Scheduler) == 900.0
    reads = []
    tolist = torch.Tensor.tolist
    monkeypatch.setattr(torch.Tensor, "tolist", lambda self: reads.append(1) or tolist(self))
    monkeypatch.setattr(torch.Tensor, "__float__", lambda self: reads.append(2) or self.item())
    for scheduler in (Scheduler, SimpleNamespace(timesteps=Scheduler.timesteps[1:])):
        found = [read.value_of(timestep, scheduler) for timestep in scheduler.timesteps]
        assert found == [900.0, 500.5, 100.0][-len(found) :]
    assert reads == [1, 1]
