"""Guidance branches that are estimated from a step's first one: by hand, and on real pipelines.

The toy's first branch gives 4 (t + 1) at step t, its second ten times that (see `tests/toy.py`).
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from diffusers import FasterCacheConfig as DiffusersFasterCache
from diffusers import apply_faster_cache

from bwcache import CacheError, ConfigError, FasterCacheConfig, MixCacheConfig, cached, predict
from bwcache.cache.branch_difference import BranchDifference, FirstBranch, low_frequencies
from bwcache.cache.call_answers import returned
from bwcache.cache.method import RunFacts, Seen
from bwcache.cache.methods.mixcache import BLOCKS, CHANGE, MISS
from bwcache.models import CATALOGUE, find
from bwcache.models.loading import load
from tests.conftest import build_wan, run_wan
from tests.pipelines import zoo_cog_ltx
from tests.toy import ToyPipeline, ToyTransformer

HOLD = FasterCacheConfig(3, active_from=0.0, weight=1.0)


# -- the estimate ----------------------------------------------------------------------------------


def estimated(own: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """What is given for a branch that was `own` where the first was 0, the first now being 5."""
    first, kept = FirstBranch(), BranchDifference()
    first.leave((torch.zeros_like(own),), True)
    assert kept.refusal(first) == "nothing is cached for this call yet"
    assert kept.leave(first, (own,)) is None
    first.begin_step()
    first.leave((torch.full_like(own, 5.0),), True)
    assert kept.refusal(first) is None
    (given,) = kept.give(first, low, high)
    return given


def test_low_and_high_frequencies_have_weights_of_their_own():
    """A flat difference is all low, a chequered one all high; packed tokens have no frequencies."""
    flat = torch.full((1, 2, 6, 6), 2.0)
    chequered = torch.tensor([1.0, -1.0]).repeat(3)[:, None] * torch.tensor([1.0, -1.0]).repeat(3)
    chequered = chequered.expand(1, 2, 6, 6)
    assert torch.allclose(estimated(flat, 1.5, 9.0), torch.full_like(flat, 8.0))
    assert torch.allclose(estimated(chequered, 9.0, 1.5), 5 + 1.5 * chequered, atol=1e-5)
    both = estimated(flat + chequered, 1.5, 0.5)
    assert torch.allclose(both, 8 + 0.5 * chequered, atol=1e-5)
    half = estimated(flat.bfloat16(), 1.5, 9.0)
    assert (half.dtype, float(half[0, 0, 0, 0])) == (torch.bfloat16, 8.0)
    tokens = torch.full((1, 6, 6), 2.0)
    assert torch.allclose(estimated(tokens, 9.0, 1.5), torch.full_like(tokens, 8.0))


def test_low_frequencies_are_those_in_a_circle():
    """Of 10 × 20 the radius is 2: a wave of two periods along a side is in, one of three is not."""
    at = torch.arange(20) / 20
    for periods, within in ((1, True), (2, True), (3, False)):
        wave = torch.cos(2 * torch.pi * periods * at).expand(1, 1, 10, 20)
        assert torch.allclose(low_frequencies(wave), wave * within, atol=1e-5), periods


def test_what_cannot_be_estimated_is_refused_with_the_reason():
    first, kept = FirstBranch(), BranchDifference()
    changing = torch.zeros(1, 1, 4, 4)
    first.leave((changing,), True)
    assert kept.leave(first, (torch.zeros(2, 1, 4, 4),)) is None
    assert kept.refusal(first) == "its guidance branches do not give tensors of one shape"
    kept.leave(first, (torch.ones(1, 1, 4, 4),))
    assert kept.refusal(first) is None
    changing.add_(1)
    assert kept.refusal(first) == "what the first guidance branch gave was altered in place"
    first.leave((torch.zeros(1, 1, 8, 4),), True)
    assert "changed shape" in kept.refusal(first)


@pytest.mark.parametrize(("computed", "ran", "known"), [(1, 1, 1), (0, 1, 0), (1, 0, 0)])
def test_only_two_whole_calls_tell_how_branches_differ(computed, ran, known):
    run = SimpleNamespace(first_call=True, first_branch=FirstBranch())
    branch = SimpleNamespace(call=None, difference=BranchDifference())
    returned(run, branch, torch.zeros(1, 1, 4, 4), bool(computed))
    run.first_call = False
    returned(run, branch, torch.ones(1, 1, 4, 4), bool(ran))
    assert len(branch.difference.tensors) == known


# -- FasterCache -----------------------------------------------------------------------------------


def test_fastercache_by_hand():
    """Steps 0 and 3 compute both: the second is 36 and then 144 above the first."""
    pipe = ToyPipeline(branches=2)
    with cached(pipe, HOLD) as run:
        assert pipe(6) == [4, 8, 12, 16, 20, 24]
    second = [float(outputs[1].flatten()[0]) for outputs in pipe.outputs]
    assert second == [40, 8 + 36, 12 + 36, 160, 20 + 144, 24 + 144]
    assert run.trace.letters == "CppCpp"
    assert [step.compute_share for step in run.trace.steps] == [1, 0.5, 0.5] * 2
    assert run.trace.branches == 2
    assert [block.calls for block in pipe.transformer.blocks] == [6 + 2] * 2


def test_fastercache_weighs_once_a_step_low_frequencies_first():
    config = FasterCacheConfig(4, active_from=0.25, turn=0.5, weight=1.5)
    state = config.begin(RunFacts(8, 3))
    plans = []
    for step in range(8):
        plan, state = config.decide(state, Seen(step, None, {}, step == 0))
        plans.append(plan.estimate)
    assert plans == [None, None, (1.5, 1), (2.25, 1), (2.25, 1.5), None, (1, 1.5), (1, 2.25)]


def test_guards_hold_for_branches_too():
    def letters(steps: int = 6, **more) -> str:
        pipe = ToyPipeline(branches=2)
        with cached(pipe, HOLD.having(**more)) as run:
            pipe(steps)
        return run.trace.letters

    assert letters(warm_up_steps=3) == "CCCppC"
    assert letters(max_consecutive=1) == "CpCpCp"
    assert letters(step_mask="CCCCRR") == "CCCCpp"
    assert letters(period=1) == "CCCCCC"


def test_it_is_foretold_from_an_uncached_run():
    pipe = ToyPipeline(branches=3)
    with cached(pipe, HOLD.having(period=1)) as run:
        pipe(6)
    found = predict(run.trace, HOLD)
    with cached(pipe, HOLD) as again:
        pipe(6)
    assert found.schedule == again.trace.schedule
    assert found.compute_share == pytest.approx(again.trace.compute_share)
    assert found.compute_share == pytest.approx((2 + 4 / 3) / 6)
    assert (found.exact, found.steps_reused) == (True, 0)


class WithText(ToyTransformer):
    """Its output depends on a text, not in proportion."""

    def forward(self, hidden_states, encoder_hidden_states):
        features = super().forward(hidden_states)
        return (torch.sin(features) * encoder_hidden_states + 0.1 * features,)


def test_the_estimate_is_that_of_diffusers():
    """Which takes both branches in one batch, the unconditional one first."""
    torch.manual_seed(0)
    steps, shape = 10, (1, 2, 3, 12, 10)
    latents = [torch.randn(shape) / 4 for _ in range(steps)]
    texts = torch.randn(shape), torch.randn(shape)  # conditional, unconditional
    ours, theirs, model, timestep = [], [], WithText(), [0]
    with cached(model, FasterCacheConfig(3, active_from=0.0, turn=0.5)) as run:
        run.begin(steps)
        for x in latents:
            ours.append([model(hidden_states=x, encoder_hidden_states=text)[0] for text in texts])
            run.step()
    assert run.trace.letters == "CppCppCppC"
    given = DiffusersFasterCache(
        unconditional_batch_skip_range=3,
        unconditional_batch_timestep_skip_range=(-1, 1001),
        low_frequency_weight_update_timestep_range=(500, 1001),
        high_frequency_weight_update_timestep_range=(-1, 501),
        current_timestep_callback=lambda: timestep[0],
    )
    apply_faster_cache(model, given)
    for step, x in enumerate(latents):
        timestep[0] = 1000 - 100 * step
        both = torch.cat([x, x]), torch.cat([texts[1], texts[0]])
        found = model(hidden_states=both[0], encoder_hidden_states=both[1])[0]
        theirs.append([found[1:], found[:1]])
    for step in range(steps):
        for mine, other in zip(ours[step], theirs[step], strict=True):
            assert torch.allclose(mine, other, atol=1e-5), step


def test_a_first_branch_that_is_altered_is_copied_from_then_on():
    """As by a pipeline that scales it in place: at step 0 nothing is kept, at step 1 there is."""

    class Altering(ToyTransformer):
        def forward(self, hidden_states):
            last, self.last = getattr(self, "last", None), super().forward(hidden_states).clone()
            if last is not None and hidden_states[0, 0, 0] >= 10:  # the second branch
                last.mul_(0)
            return self.last

    pipe = ToyPipeline(branches=2, transformer=Altering())
    with cached(pipe, HOLD) as run:
        pipe(4)
    assert [step.action for step in run.trace.steps] == ["compute", "compute", "partial", "compute"]
    assert "altered in place" in run.trace.steps[1].reason
    assert float(pipe.outputs[2][1].flatten()[0]) == 12 + 72


def test_gradients_do_not_pass_an_estimated_branch():
    pipe = ToyPipeline(branches=2)
    pipe.start = torch.ones(1, 4, 3, requires_grad=True)
    with pytest.raises(CacheError, match="gradients"), cached(pipe, HOLD):
        pipe(3)


def test_inference_mode_gives_the_same():
    pipe, found = build_wan("euler", layers=2), []
    for mode in (torch.no_grad, torch.inference_mode):
        with cached(pipe, FasterCacheConfig(3, active_from=0.0)) as run, mode():
            found.append(run_wan(pipe, steps=6))
        assert run.trace.letters == "CppCpp"
    assert torch.equal(*found)


def test_nothing_is_kept_behind_the_run():
    pipe, kept = build_wan("euler", layers=2), []

    def look(record, latents):
        kept.append([len(branch.replay_tensors) for branch in run.branches])

    with cached(pipe, FasterCacheConfig(3, active_from=0.0), on_step=look) as run:
        run_wan(pipe, steps=4)
        assert run.branches == []
    assert kept[0] == [0, 1]


# -- where it works --------------------------------------------------------------------------------


def calls_of(pipe, run) -> int:
    calls: list[int] = []
    handle = pipe.transformer.register_forward_hook(lambda *_: calls.append(1))
    try:
        run()
    finally:
        handle.remove()
    return len(calls)


def by_the_formula(pipe, make, period: int, first: int, steps: int):
    """What a pipeline gives whose second branch is reckoned here, after the formula alone."""
    transformer = pipe.transformer
    forward, seen = transformer.forward, {"calls": 0, "difference": None, "first": None}

    def reckoned(*args, **kwargs):
        step, second = divmod(seen["calls"], 2)
        seen["calls"] += 1
        past = step - first + 1  # steps since both were computed for sure
        if second and past > 0 and past % period:
            return (seen["first"] + seen["difference"],)
        (output,) = forward(*args, **kwargs)
        if second:
            seen["difference"] = output - seen["first"]
        else:
            seen["first"] = output
        return (output,)

    transformer.forward = reckoned
    try:
        return make()
    finally:
        del transformer.forward


def tinyworld():
    pipe, spec = load("tinyworld", "cpu"), find("tinyworld")
    shape = {"height": 64, "width": 64, "num_frames": 17}

    def make(steps):
        given = {**shape, **spec.call, "num_inference_steps": steps, "output_type": "latent"}
        noise = torch.Generator().manual_seed(0)
        return pipe(spec.examples[0], generator=noise, **given).frames

    return pipe, make


def tiny_wan():
    pipe = build_wan("unipc", layers=2)
    return pipe, lambda steps: run_wan(pipe, steps=steps)


@pytest.mark.parametrize("build", [tiny_wan, tinyworld])
def test_a_run_is_what_the_formula_says(build):
    pipe, make = build()
    config = FasterCacheConfig(3, active_from=0.25, weight=1.0)
    plain, found = make(8), []
    with cached(pipe, config) as run:
        calls = calls_of(pipe, lambda: found.append(make(8)))
    assert run.trace.letters == "CCppCppC"
    assert calls == 2 * 8 - 4
    assert torch.allclose(found[0], by_the_formula(pipe, lambda: make(8), 3, 2, 8), atol=1e-5)
    assert not torch.allclose(found[0], plain, atol=1e-4)
    assert torch.equal(make(8), plain)


def test_what_has_no_second_branch_is_refused_before_it_runs():
    pipe, made = build_wan("euler", layers=2), []

    def run(**more):
        with pytest.raises(CacheError, match="once a step"), cached(pipe, HOLD):
            run_wan(pipe, steps=4, **more)

    assert calls_of(pipe, lambda: made.append(run(guidance_scale=1.0))) == 0
    batched = zoo_cog_ltx.ROWS["cogvideox"]()
    with pytest.raises(CacheError, match="is given both in one call"), cached(batched.pipe, HOLD):
        made.append("entered")
    assert made == [None]


def test_a_pipeline_that_says_nothing_is_refused_after_one_step():
    pipe = ToyPipeline()
    with pytest.raises(CacheError, match="once a step"), cached(pipe, HOLD):
        pipe(4)
    assert pipe.transformer.blocks[0].calls == 1


@pytest.mark.parametrize("name", ["cogvideox-2b", "hunyuanvideo"])
def test_the_catalogue_knows_where_it_cannot_work(name):
    with pytest.raises(ConfigError, match="^method: got 'fastercache'"):
        CATALOGUE[name].check_method(HOLD)
    CATALOGUE[name].check_method(HOLD.having(period=1))
    CATALOGUE[name].check_method(MixCacheConfig())
    find("tinyworld").check_method(HOLD)


# -- MixCache-style --------------------------------------------------------------------------------


def plans(config, numbers, blocks: int = 4) -> tuple[list[str], list[int]]:
    """What each step does, and the interval, where these numbers are measured behind each."""
    state, asked, intervals = config.begin(RunFacts(20, blocks)), [], []
    last: dict = {}
    for step, found in enumerate(numbers):
        plan, state = config.decide(state, Seen(step, None, last, step == 0))
        asked.append(plan.reason.partition(" ")[0] if plan.reuses else "-")
        intervals.append(state.interval)
        last = found if asked[-1] == "-" else {}
    return asked, intervals


EVEN = MixCacheConfig(3, impacts=(1.0, 1.0, 1.0), penalty=1.0, warm_up_steps=0)


def measured(output: float, guidance: float | None, blocks=(0.4, 0.1, 0.2, 0.3)) -> dict:
    found = {CHANGE: (output,), BLOCKS: blocks}
    return found if guidance is None else {**found, MISS: (guidance,)}


def test_mixcache_picks_the_least_distance_times_impact():
    """Blocks are 0.15, the mean of the two least; nothing is known before step 2."""
    numbers = [{}, measured(0.2, 0.3)] + [measured(0.6, 0.9)] * 3
    assert plans(EVEN, numbers)[0] == ["-", "-", "block", "block", "-"]
    assert plans(EVEN.having(impacts=(0.5, 1.0, 1.0)), numbers)[0][2:4] == ["step", "step"]
    assert plans(EVEN.having(impacts=(1.0, 0.4, 1.0)), numbers)[0][2:4] == ["guidance", "guidance"]
    numbers = [{}, measured(0.2, None)] + [measured(0.6, None)] * 3
    assert plans(EVEN.having(impacts=(1.0, 0.0, 2.0)), numbers)[0][2:4] == ["step", "step"]


def test_mixcache_charges_for_repeating():
    """0.15 of blocks, then 0.18 of the step against 0.15 · 1.5."""
    numbers = [{}, measured(0.18, 0.9)] + [{}] * 3
    config = EVEN.having(penalty=1.5, period=4)
    assert plans(config, numbers)[0][:5] == ["-", "-", "block", "step", "block"]


def test_mixcache_adapts_its_interval():
    """Three steps on, 0.6 is 0.2 a step; 0.3 is 0.1, less than 0.75 of that, so that it grows."""
    steady = [{}, measured(0.2, 0.9)] + [measured(0.6, 0.9)] * 18
    assert plans(EVEN, steady)[1][-1] == 3
    falling = [{}, measured(0.2, 0.9), {}, {}, measured(0.3, 0.9), {}, {}]
    assert plans(EVEN, falling)[1][5] == 4
    rising = [{}, measured(0.2, 0.9), {}, {}, measured(0.9, 0.9), {}]
    assert plans(EVEN, rising) == (["-", "-", "block", "block", "-", "block"], [3] * 5 + [2])


@pytest.mark.parametrize("impacts", [(1.0,), (1.0, 1.0, -1.0)])
def test_mixcache_needs_three_impacts(impacts):
    with pytest.raises(ConfigError, match="^impacts: "):
        MixCacheConfig(impacts=impacts)


@pytest.mark.parametrize("build", [tiny_wan, tinyworld])
def test_each_granularity_of_mixcache_does_less_work(build):
    pipe, make = build()
    letter = {"step": "r", "guidance": "p", "block": "p"}
    share = {"step": 0.0, "guidance": 0.5, "block": 0.5}
    for place, kind in enumerate(letter):
        impacts = tuple(0.0 if i == place else 1.0 for i in range(3))
        config = MixCacheConfig(2, impacts=impacts, deviation=9.0, warm_up_steps=2, penalty=1.0)
        with cached(pipe, config) as run:
            make(6)
        assert run.trace.letters == f"CCC{letter[kind]}C{letter[kind]}", kind
        assert run.trace.steps[3].compute_share == share[kind]
        assert run.trace.steps[3].reason.startswith(f"{kind} granularity")


def test_mixcache_without_guidance_picks_among_the_others():
    pipe = build_wan("euler", layers=2)
    with cached(pipe, MixCacheConfig(3)) as run:
        run_wan(pipe, steps=10, guidance_scale=1.0)
    said = {step.reason.partition(" ")[0] for step in run.trace.steps if step.action != "compute"}
    assert said in ({"step"}, {"block"}, {"step", "block"})
