"""What was handed out does nothing after leaving; entering is atomic; leftovers can be removed."""

import copy
import threading
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from bwcache import BWCacheConfig, CacheError, ConfigError, cached, disable, enable
from bwcache.cache.install import remove_leftovers
from bwcache.cache.methods.bwcache_plus import BWCachePlusConfig
from bwcache.cache.refusals import GATES
from bwcache.cache.wrapped_method import WrappedMethod
from tests.conftest import again, run_wan
from tests.toy import NamingTransformer, ToyPipeline, ToyTransformer

pytestmark = pytest.mark.faults
CONFIG = BWCacheConfig(1e6, 2, 0.0)
BY_CALLS = BWCachePlusConfig(work_share=0.5)
UNCACHED = [4, 8, 12, 16, 20, 24]


def is_clean(pipe) -> bool:
    modules = [m for part in (pipe.transformer, pipe.transformer_2) if part for m in part.modules()]
    return (
        not any(isinstance(vars(m).get("_compiled_call_impl"), GATES) for m in modules)
        and not any(m._forward_pre_hooks or m._forward_hooks for m in modules)
        and not any(
            isinstance(value, WrappedMethod)
            for owner in (pipe, pipe.scheduler, *modules)
            for value in vars(owner).values()
        )
    )


COPIES = {
    "deep copy of the pipeline": copy.deepcopy,
    "deep copy of its transformer": lambda pipe: ToyPipeline(
        transformer=copy.deepcopy(pipe.transformer)
    ),
    "shallow copy of the pipeline": copy.copy,
    "shallow copy of its transformer": lambda pipe: ToyPipeline(
        transformer=copy.copy(pipe.transformer)
    ),
    "deep copy of a block": lambda pipe: _with_block(copy.deepcopy(pipe.transformer.blocks[0])),
    "deep copy of its scheduler": lambda pipe: _with_scheduler(copy.deepcopy(pipe.scheduler)),
    "a deep copy's deep copy": lambda pipe: copy.deepcopy(copy.deepcopy(pipe)),
}


def _with_block(block) -> ToyPipeline:
    pipe = ToyPipeline()
    pipe.transformer.blocks[0] = block
    return pipe


def _with_scheduler(scheduler) -> ToyPipeline:
    pipe = ToyPipeline()
    pipe.scheduler = scheduler
    return pipe


@pytest.mark.parametrize("config", [CONFIG, BY_CALLS])
@pytest.mark.parametrize("when", ["before a run", "after a run", "in a run"])
@pytest.mark.parametrize("how", COPIES)
def test_a_copy_made_inside_acts_on_nothing_after_leaving(how, when, config):
    pipe, copies = ToyPipeline(transformer=NamingTransformer()), []

    def keep(*_):
        copies.append(COPIES[how](pipe))

    with cached(pipe, config, on_step=keep if when == "in a run" else None):
        if when != "before a run":
            pipe(6)
        if when != "in a run":
            keep()
    assert copies[0](6) == UNCACHED
    assert is_clean(pipe)
    assert pipe(6) == UNCACHED
    with cached(pipe, config) as run:
        assert pipe(6) != UNCACHED
    assert run.trace.steps_reused
    assert copies[-1](6) == UNCACHED
    with cached(copies[0], config) as run:  # it can be cached itself
        assert copies[0](6) != UNCACHED


def test_a_real_pipelines_copies(wan):
    pipe = again(wan)
    plain = run_wan(pipe, 4)
    with cached(pipe, CONFIG):
        pipes = [copy.deepcopy(pipe), again(pipe)]
        pipes[1].transformer = copy.deepcopy(pipe.transformer)
        pipes[1].scheduler = copy.deepcopy(pipe.scheduler)
        run_wan(pipe, 4)
    for other in pipes:
        assert torch.equal(run_wan(other, 4), plain)
    assert torch.equal(run_wan(pipe, 4), plain)
    with cached(pipe, CONFIG) as run:
        run_wan(pipe, 4)
    assert run.trace.steps_reused


def test_what_was_taken_out_of_it_inside_does_nothing_after_leaving():
    pipe = ToyPipeline(transformer=NamingTransformer())
    with cached(pipe, CONFIG) as run:
        pipe(6)
        step, set_timesteps = pipe.scheduler.step, pipe.scheduler.set_timesteps
        context = pipe.transformer.cache_context
        hooks = list(pipe.transformer._forward_pre_hooks.values())
    set_timesteps(3)
    assert float(step(None, None, torch.ones(1)).prev_sample) == 2
    with context("cond"):
        pass
    for hook in hooks:
        hook(pipe.transformer, (torch.ones(1),), {})
    assert is_clean(pipe)
    assert len(run.traces) == 1


@pytest.mark.parametrize("times", [2, 8])
def test_of_threads_that_enter_at_once_one_gets_in(times):
    pipe, inside, refused = ToyPipeline(), [], []
    ready, over = threading.Barrier(times), threading.Barrier(times)

    def enter():
        ready.wait()
        try:
            with cached(pipe, CONFIG):
                inside.append(1)
                over.wait()
        except CacheError as error:
            refused.append(str(error))
            over.wait()

    for _ in range(20):
        threads = [threading.Thread(target=enter) for _ in range(times)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert is_clean(pipe)
    assert len(inside) == 20
    assert len(refused) == 20 * (times - 1)
    assert all("cached already" in text for text in refused)
    assert pipe(6) == UNCACHED


def test_threads_that_come_and_go_leave_nothing():
    pipe, counts = ToyPipeline(), []

    def churn():
        for _ in range(50):
            try:
                with cached(pipe, CONFIG):
                    counts.append(1)
            except CacheError:
                pass

    threads = [threading.Thread(target=churn) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts
    assert is_clean(pipe)


def twice() -> ToyTransformer:
    transformer = ToyTransformer()
    transformer.blocks.append(transformer.blocks[0])
    return transformer


@pytest.mark.parametrize(
    ("pipe", "blocks"),
    [
        (ToyPipeline(), ("blocks", "blocks")),
        (ToyPipeline(transformer=twice()), None),
        (ToyPipeline(transformer=twice()), "blocks"),
    ],
)
def test_a_block_listed_twice_is_refused(pipe, blocks):
    with (
        pytest.raises(CacheError, match="DoublingBlock is listed twice"),
        cached(pipe, CONFIG, blocks=blocks),
    ):
        pass
    assert is_clean(pipe)
    pipe(6)


def test_two_transformers_with_the_same_blocks_are_refused():
    first, second = ToyTransformer(), ToyTransformer()
    second.blocks = nn.ModuleList([nn.Identity(), first.blocks[0]])
    second.blocks[0] = ToyTransformer().blocks[0]
    pipe = ToyPipeline(transformer=first, transformer_2=second, switch_at=3)
    with pytest.raises(CacheError, match="listed twice"), cached(pipe, CONFIG):
        pass
    assert is_clean(pipe)


def test_one_transformer_under_both_names_is_one():
    transformer = ToyTransformer()
    pipe = ToyPipeline(transformer=transformer, transformer_2=transformer, switch_at=3)
    with cached(pipe, CONFIG) as run:
        pipe(6)
    assert run.trace.steps_reused
    assert is_clean(pipe)


@pytest.mark.parametrize("config", [CONFIG, BY_CALLS])
def test_leftovers_nobody_knows_of_can_be_removed(config):
    pipe = ToyPipeline(transformer=NamingTransformer())
    held = cached(pipe, config)
    held.__enter__()
    whole = [gate] if (gate := pipe.transformer._compiled_call_impl) else []
    assert len(whole) == (config is BY_CALLS)
    gates = [*whole, *(block._compiled_call_impl for block in pipe.transformer.blocks)]
    assert remove_leftovers() == 1
    for gate in gates:  # as a broken worker may leave them
        gate.put()
    with pytest.raises(CacheError, match="remove_leftovers"), cached(pipe, CONFIG):
        pass
    assert remove_leftovers(pipe) == 1
    assert is_clean(pipe)
    assert pipe(6) == UNCACHED
    held.__exit__(None, None, None)
    assert remove_leftovers(pipe) == 0


def test_a_leftover_is_removed_whatever_was_done_to_the_pipeline():
    pipes = [ToyPipeline(), ToyPipeline()]
    held = [cached(pipe, CONFIG) for pipe in pipes]
    for each in held:
        each.__enter__()
    del pipes[0].scheduler.step
    pipes[0].transformer.blocks[0]._compiled_call_impl = None
    assert remove_leftovers() == 2
    for pipe in pipes:
        assert remove_leftovers(pipe) == 0
        assert pipe(6) == UNCACHED


def test_a_wrapper_around_ours_stays_and_ours_is_silent():
    pipe, calls = ToyPipeline(), []
    with cached(pipe, CONFIG):
        ours = pipe.scheduler.step

        def theirs(*given):
            calls.append(1)
            return ours(*given)

        pipe.scheduler.step = theirs
    assert pipe(6) == UNCACHED
    assert len(calls) == 6


# -- clear errors ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "config", [0.15, "bwcache", {"threshold": 0.15}, BWCacheConfig, [0.1], object(), (), True, b"x"]
)
def test_what_is_no_config_is_refused(config):
    pipe = ToyPipeline()
    with (
        pytest.raises(ConfigError, match="^config: got .*; allowed is a method's config"),
        cached(pipe, config),
    ):
        pass
    with pytest.raises(ConfigError, match="^config"):
        enable(pipe, config)
    assert is_clean(pipe)


@pytest.mark.parametrize("more", [{"blocks": 5}, {"blocks": [1]}, {"on_step": 3}])
def test_other_arguments_of_the_wrong_kind_are_refused(more):
    pipe = ToyPipeline()
    with (
        pytest.raises(ConfigError, match=f"^{next(iter(more))}: got"),
        cached(pipe, CONFIG, **more),
    ):
        pass
    assert is_clean(pipe)


def test_gradients_through_a_reused_step():
    pipe = ToyPipeline()
    pipe.start = torch.ones(1, 4, 3, requires_grad=True)
    with (
        pytest.raises(CacheError, match="gradients cannot pass a step that is reused"),
        cached(pipe, CONFIG),
    ):
        pipe(6)
    assert is_clean(pipe)
    with torch.no_grad(), cached(pipe, CONFIG) as run:
        pipe(6)
    assert run.trace.steps_reused
    with cached(pipe, BWCacheConfig(0.0)):  # what reuses nothing lets gradients pass
        pipe(3)
    pipe.outputs[0][0].sum().backward()
    assert float(pipe.start.grad[0, 0, 0]) == 4


RE_ENTRIES = {
    "the pipeline": lambda pipe, run: pipe(3),
    "its transformer": lambda pipe, run: pipe.transformer(torch.ones(1, 4, 3)),
    "its scheduler's step": lambda pipe, run: pipe.scheduler.step(None, None, torch.ones(1)),
    "its scheduler's set_timesteps": lambda pipe, run: pipe.scheduler.set_timesteps(3),
    "run.begin": lambda pipe, run: run.begin(3),
    "run.step": lambda pipe, run: run.step(),
    "cached": lambda pipe, run: cached(pipe, CONFIG).__enter__(),
    "disable": lambda pipe, run: disable(pipe),
}


@pytest.mark.parametrize("what", RE_ENTRIES)
def test_re_entering_from_on_step(what):
    pipe, said, held = ToyPipeline(), [], SimpleNamespace()

    def on_step(record, latents):
        try:
            RE_ENTRIES[what](pipe, held.run)
        except CacheError as error:
            said.append(str(error))

    held.run = enable(pipe, CONFIG, on_step=on_step)
    pipe(6)
    assert len(said) == 6
    assert all("on_step" in text or "cached already" in text for text in said)
    assert len(held.run.trace.steps) == 6  # the run went on as if nothing had been
    disable(pipe)
    assert is_clean(pipe)


def test_an_error_from_on_step_ends_the_run_and_the_next_one_works():
    pipe = ToyPipeline()
    with cached(pipe, CONFIG, on_step=lambda *_: pipe(2)):
        for _ in range(2):
            with pytest.raises(CacheError, match="on_step"):
                pipe(6)
    assert is_clean(pipe)
    assert pipe(6) == UNCACHED
