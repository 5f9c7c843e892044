"""BWCache+: where its computed steps lie, its closed loop, and what holds around it; by hand."""

import json
from copy import deepcopy
from itertools import pairwise

import pytest
import torch

from bwcache import BWCacheConfig, BWCachePlusConfig, CacheError, ConfigError, cached, predict
from bwcache.cache.ask import ask, start
from bwcache.cache.method import RunFacts
from bwcache.cache.methods.bwcache_plus import MISS, START, computed_steps
from bwcache.cache.trace import Trace
from tests.conftest import build_wan, run_wan
from tests.pipelines import zoo_cog_ltx, zoo_hunyuan, zoo_wan

LOOP = BWCachePlusConfig("tolerance", tolerance=0.04)


def shifted(shift: float, steps: int) -> list[float]:
    """Flow matching's sigmas at a flow shift."""
    even = [1 - i / steps for i in range(steps)]
    return [shift * x / (1 + (shift - 1) * x) for x in even]


def letters(method, noise, misses=(), first=0) -> str:
    """A run's schedule, where the n-th computed step's forecast missed by the n-th of `misses`."""
    asked, found, numbers = (
        start(method, RunFacts(len(noise), 2, (), first, noise=tuple(noise))),
        "",
        {},
    )
    misses = iter(misses)
    for step in range(first, len(noise)):
        plan, asked = ask(asked, step, None, numbers)
        found += "r" if plan.reused else "C"
        missed = next(misses, 0.0) if found[-1] == "C" and step > first else None
        numbers = {} if missed is None else {MISS: (missed,)}
    return found


def test_each_computed_step_has_so_many_times_the_signal_of_the_last():
    """Four of 16 steps lie above 0.95: the start is 0.24 · 4/16 = 0.06, and from it to 1.06 are
    2.872 in the logarithm, for four stretches and a half: 0.638 each, to a signal of 0.0536. The
    steps from 4 on have 0.0625 and more of it, by the twelfth root of 16 each: step 4 is nearest.

    A twentieth of noise is left for the last step, less than an average one takes: 14 is the last
    that is computed, and 15 what comes behind all, with a signal of 0.95. From step 4 it is 2.721
    away, 0.231 a step: a third is 3.9 steps, so step 8; of 1.797 from there the half is 3.9 steps,
    so step 12; then 14.
    """
    noise = [1.0, 0.9999, 0.9998, 0.9997]
    noise += [1 - 0.0625 * 16 ** (i / 12) for i in range(11)] + [0.05]
    assert START == 0.24
    assert computed_steps(noise, 5) == (0, 4, 8, 12, 14)


def test_the_more_of_a_run_is_nearly_noise_the_less_of_it_is_computed_there():
    """Where many steps are crowded at pure noise, some are passed by."""
    few, many = (computed_steps(shifted(shift, 30), 10) for shift in (2.0, 5.0))
    assert sum(shifted(2.0, 30)[step] > 0.95 for step in few) == 3  # steps 0, 1 and 2
    assert sum(shifted(5.0, 30)[step] > 0.95 for step in many) == 3  # 0, 3 and 5 of seven
    assert many[:3] == (0, 3, 5)
    assert computed_steps([0.5, 0.4, 0.3, 0.2], 2)[0] == 0  # begins with half of the signal


@pytest.mark.parametrize("steps", [2, 3, 7, 20, 30, 50, 200])
@pytest.mark.parametrize("shift", [1.0, 2.0, 5.0, 17.0])
def test_so_many_steps_are_computed_on_any_grid(steps, shift):
    for count in range(1, steps + 1):
        found = computed_steps(shifted(shift, steps), count)
        assert len(found) == count
        assert list(found) == sorted(set(found))
        assert found[0] == 0
        assert found[-1] < steps


def test_stretches_grow_where_steps_are_even_and_less_so_on_a_large_shift():
    small, large = (computed_steps(shifted(shift, 30), 10) for shift in (2.0, 5.0))
    gaps = [[b - a for a, b in pairwise(each)] for each in (small, large)]
    assert gaps[0][2:-1] == sorted(gaps[0][2:-1])
    assert max(gaps[1]) < max(gaps[0])


def test_where_the_first_stretch_leaves_steps_out_no_later_one_is_a_single_step():
    assert computed_steps(shifted(5.0, 20), 8) == (0, 2, 4, 6, 9, 13, 17, 19)
    assert computed_steps(shifted(5.0, 30), 10) == (0, 3, 5, 7, 10, 14, 18, 23, 27, 29)
    found = computed_steps(shifted(5.0, 50), 20)  # by the ratio alone it would be 2, 3, 4, 5, 6, 8
    assert found[:10] == (0, 2, 4, 6, 8, 10, 12, 14, 17, 20)
    assert computed_steps(shifted(2.0, 20), 8) == (0, 1, 2, 3, 5, 8, 13, 18)  # leaves none out
    assert computed_steps(shifted(5.0, 20), 15)[:5] == (0, 1, 2, 3, 4)  # too many for it


@pytest.mark.parametrize("steps", [10, 20, 30, 50, 200])
def test_the_last_step_is_computed_where_it_takes_much_noise(steps):
    """A step of `steps` takes one part on average; at a flow shift of 5 the last takes nearly 5."""
    count = 2 * steps // 5
    assert computed_steps(shifted(1.0, steps), count)[-1] == steps - 2
    assert computed_steps(shifted(2.0, steps), count)[-1] == steps - 2
    assert computed_steps(shifted(5.0, steps), count)[-1] == steps - 1


@pytest.mark.parametrize(
    ("steps", "settings", "correction"),
    [
        (15, {"work_share": 0.4}, 1.0),  # six computed steps
        (14, {"work_share": 0.35}, 0.0),  # five
        (15, {"work_share": 0.4, "correction": 0.3}, 0.3),
        (50, {"step_mask": "C" * 5 + "R" * 45}, 0.0),  # what is computed is the mask's
        (50, {"step_mask": "C" * 5 + "?" * 45}, 1.0),
        (50, {"step_mask": "C" * 5}, 1.0),  # what follows is left to the method
        (30, {"work_share": 0.1, "warm_up_steps": 10}, 1.0),
        (12, {"schedule": "tolerance"}, 1.0),  # nobody knows how many
    ],
)
def test_fewer_than_six_computed_steps_make_up_for_nothing(steps, settings, correction):
    assert BWCachePlusConfig(**settings).forecast_correction(RunFacts(steps, 2)) == correction


def test_heuns_repeated_levels():
    sigmas = shifted(3.0, 12)
    noise = [sigmas[0], *(x for sigma in sigmas[1:] for x in (sigma, sigma))]
    assert len(set(computed_steps(noise, 9))) == 9


def test_without_noise_levels_stretches_grow_too():
    config = BWCachePlusConfig(work_share=0.4)
    assert config.begin(RunFacts(30, 2)).computed == computed_steps(shifted(1.0, 30), 12)


def test_a_second_expert_begins_with_two_computed_steps():
    noise = tuple(shifted(3.0, 20))
    config = BWCachePlusConfig(work_share=0.4)
    whole = computed_steps(noise, 8)
    second = config.begin(RunFacts(20, 2, (), 9, noise=noise)).computed
    assert second == tuple(sorted({9, 10} | {x for x in whole if x >= 9}))


def test_the_closed_loop_by_hand():
    """A miss counts by the share of noise that goes until the end of the next stretch.

    At step 3 that is 0.5 − 0.4 = 0.1; at step 5, for a stretch of two, it is 0.3 − 0.1 = 0.2.
    """
    noise = [1.0, 0.8, 0.65, 0.5, 0.4, 0.3, 0.2, 0.1]
    # 0.1 at step 3 counts 0.01, a quarter of τ: twice the stretch, and again at step 5
    assert letters(LOOP, noise, [0, 0, 0.1]) == "CCCCrCrr"
    # 0.5 counts 0.05, more than τ: no stretch; and so it goes on
    assert letters(LOOP, noise, [0, 0, 0.5, 0.5, 0.5, 0.5, 0.5]) == "CCCCCCCC"
    # 0.9 at step 5 counts 0.18: 2 · √(0.04 / 0.18) is less than one step
    assert letters(LOOP, noise, [0, 0, 0.1, 0.9]) == "CCCCrCCr"


def test_a_loop_that_misses_nothing_grows_by_a_step_at_a_time():
    """Stretches of 2, 3, 4 and 5 steps behind the first four."""
    found = letters(LOOP, [1 - i / 24 for i in range(24)], [0.0] * 24)
    assert found.startswith("CCCCrCrrCrrrCrrrrC")


def test_nothing_is_forecast_before_the_first_line():
    assert letters(LOOP, [1 - i / 9 for i in range(9)]).startswith("CCCCr")


@pytest.mark.parametrize(
    "config",
    [BWCachePlusConfig(work_share=1.0), BWCachePlusConfig("tolerance", tolerance=0.0)],
)
@pytest.mark.parametrize("scheduler", ["unipc", "euler"])
def test_what_computes_everything_is_bit_identical(config, scheduler):
    pipe = build_wan(scheduler)
    plain = run_wan(pipe)
    with cached(pipe, config) as run:
        assert torch.equal(run_wan(pipe), plain)
        assert not run.branches
    assert config.only_measures
    assert run.trace.letters == "CCCCCCCC"


ROWS = {**zoo_cog_ltx.ROWS, **zoo_hunyuan.ROWS, **zoo_wan.ROWS}
CHOSEN = ["wan2.1-t2v", "wan2.2-t2v", "wan2.1-i2v", "wan2.2-ti2v", "wan-v2v", "cogvideox"]
CHOSEN += ["hunyuanvideo", "ltx"]


@pytest.mark.parametrize("name", CHOSEN)
def test_on_real_pipelines(name):
    """No module of the transformer is called in a reused step, and all is as it was behind it."""
    tiny = ROWS[name]()
    plain, before = tiny.run(), tiny.insides()
    called, during = [], []
    handles = [
        module.register_forward_hook(lambda *_: called.append(1))
        for transformer in tiny.transformers
        for module in transformer.modules()
    ]

    def count(record, latents):
        during.append((record.action, len(called)))
        called.clear()

    with cached(tiny.pipe, BWCachePlusConfig(work_share=0.5), on_step=count) as run:
        found = tiny.run()
        assert not run.branches
    for handle in handles:
        handle.remove()
    assert torch.isfinite(found).all()
    assert not torch.equal(found, plain)
    assert {calls for action, calls in during if action == "reuse"} == {0}
    assert all(calls for action, calls in during if action == "compute")
    assert "since" not in "".join(step.reason for step in run.trace.steps)
    assert len(run.trace.noise) == run.trace.num_steps
    assert tiny.insides() == before
    assert torch.equal(tiny.run(), plain)


def test_the_what_if_of_a_budget_is_exact_and_of_the_loop_is_none():
    pipe = build_wan()
    with cached(pipe, BWCacheConfig(0.0)) as measured:
        run_wan(pipe, steps=12)
    for share in (0.3, 0.5, 1.0):
        config = BWCachePlusConfig(work_share=share)
        with cached(pipe, config) as run:
            run_wan(pipe, steps=12)
        found = predict(Trace.from_dict(again(measured.trace)), config)
        assert found.exact
        assert found.schedule == run.trace.schedule
    with pytest.raises(ValueError, match="cannot be told"):
        predict(measured.trace, LOOP)
    unrecorded = {**again(measured.trace), "noise": None}
    assert not predict(Trace.from_dict(unrecorded), BWCachePlusConfig()).exact


def again(trace: Trace) -> dict:
    """A trace as a file gives it back."""
    return json.loads(json.dumps(trace.as_dict()))


def test_the_loop_measures_its_own_misses():
    pipe = build_wan()
    with cached(pipe, LOOP) as run:
        run_wan(pipe, steps=12)
        run_wan(pipe, steps=12)
    first, second = run.traces
    assert first.schedule == second.schedule
    assert first.letters[:4] == "CCCC"
    assert all(set(step.numbers) == {MISS} for step in second.steps[1:4])
    assert all(not step.numbers for step in second.steps if step.action == "reuse")


class Stop(Exception):
    pass


def test_an_exception_leaves_nothing_behind():
    pipe = build_wan()
    plain = run_wan(pipe)

    def stop(record, latents):
        if record.action == "reuse":
            raise Stop

    with pytest.raises(Stop), cached(pipe, BWCachePlusConfig(), on_step=stop):
        run_wan(pipe)
    assert torch.equal(run_wan(pipe), plain)
    assert pipe.transformer._compiled_call_impl is None


def test_a_copy_made_meanwhile_is_not_cached():
    pipe = build_wan()
    with cached(pipe, BWCachePlusConfig()):
        run_wan(pipe)
        copied = deepcopy(pipe.transformer)
    assert copied._compiled_call_impl is None


def test_compiling_the_whole_transformer_inside_is_refused():
    pipe = build_wan()
    with cached(pipe, BWCachePlusConfig()):
        pipe.transformer.compile()
        with pytest.raises(CacheError, match="whole transformer is compiled"):
            run_wan(pipe)


def test_offloaded_weights_do_not_move_in_a_reused_step():
    from accelerate.hooks import ModelHook, add_hook_to_module, remove_hook_from_module

    moved = []

    class Moving(ModelHook):
        def pre_forward(self, module, *args, **kwargs):
            moved.append(1)
            return args, kwargs

    pipe, steps = build_wan(), []
    add_hook_to_module(pipe.transformer, Moving())

    def count(record, latents):
        steps.append((record.action, len(moved)))
        moved.clear()

    with cached(pipe, BWCachePlusConfig(), on_step=count):
        run_wan(pipe)
    remove_hook_from_module(pipe.transformer)
    assert set(steps) == {("compute", 2), ("reuse", 0)}


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"work_share": 0.0}, "work_share"),
        ({"work_share": float("nan")}, "work_share"),
        ({"tolerance": -1.0}, "tolerance"),
        ({"reach": 3}, "reach"),
        ({"correction": 1.5}, "correction"),
        ({"schedule": "none"}, "schedule"),
    ],
)
def test_bad_settings_are_refused(settings, field):
    with pytest.raises(ConfigError, match=f"^{field}: "):
        BWCachePlusConfig(**settings)
