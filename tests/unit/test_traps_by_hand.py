"""Traps whose arithmetic is done by hand, numbered as in `tests/pipelines/test_traps.py`.

See `tests/toy.py` for its rules: step t sees t + 1, and gives four times that.
"""

import math

import pytest

from bwcache import BWCacheConfig, cached
from tests.toy import NamingTransformer, ToyPipeline, ToyScheduler


def actions(run) -> str:
    return "".join(action[0] for action in run.trace.schedule)


def test_4_a_named_branch_replays_its_own_where_another_is_left_out():
    """The prompt's branch sees ten times as much. δ = 0.4 triggers at step 3, which saw 4.

    Step 4 sees 5, so the prompt's branch gives 50 + 3·40, and would give 50 + 3·4 by call order.
    """
    pipe = ToyPipeline(transformer=NamingTransformer())
    empty, prompt = ("uncond", lambda x: x), ("cond", lambda x: 10 * x)
    pipe.calls = lambda step: [prompt] if step == 4 else [empty, prompt]
    with cached(pipe, BWCacheConfig(0.4, 2, 0.0)) as run:
        pipe(6)
    assert actions(run) == "ccccrr"
    given = [[float(output.mean()) for output in outputs] for outputs in pipe.outputs]
    assert given[3:] == [[16, 160], [170], [6 + 12, 60 + 120]]


def test_5_a_scheduler_put_in_inside_is_followed():
    pipe = ToyPipeline()
    before = pipe.scheduler
    with cached(pipe, BWCacheConfig(0.4, 2, 0.0)) as run:
        pipe.scheduler = ToyScheduler()
        assert pipe(6) == [4, 8, 12, 16, 5 + 12, 6 + 12]
    assert len(run.trace.steps) == 6
    assert not {"step", "set_timesteps"} & {*vars(before), *vars(pipe.scheduler)}


@pytest.mark.parametrize(("gate", "expected"), [("once", "ccccrrcr"), ("recheck", "ccccrrcc")])
def test_8_branches_on_both_sides_of_the_threshold_decide_together(gate, expected):
    """Step t: 1/t in one branch, 1/(t + 10) in the other; their mean is first below 0.25 at t = 3.

    Step 6 compares with step 3: 3/4 and 3/14, of which only the second is below.
    """
    pipe = ToyPipeline()
    pipe.calls = lambda step: [(None, lambda x: x), (None, lambda x: x + 10)]
    with cached(pipe, BWCacheConfig(0.25, 2, 0.0, gate=gate)) as run:
        pipe(8)
    assert actions(run) == expected
    assert run.trace.indicators[3] == pytest.approx((1 / 3 + 1 / 13) / 2)
    assert [block.calls for block in pipe.transformer.blocks] == [2 * expected.count("c")] * 2


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("branches", [1, 2])
def test_9_features_that_are_no_number_start_no_reuse(value, branches):
    """δ = 0.9 triggers at step 2. Step 5 goes wrong, which steps 5 and 6 measure.

    So 6 and 7 are computed, 8 as the pattern says; step 9 sees 10 and adds 8's 3·9 to it.
    """
    pipe, now = ToyPipeline(branches), []
    pipe.before_step = lambda step, latents: now.append(step) or latents

    def spoil(block, args, output):
        return output * value if now[-1] == 5 else output

    pipe.transformer.blocks[1].register_forward_hook(spoil)
    with cached(pipe, BWCacheConfig(0.9, 2, 0.0)) as run:
        pipe(10)
    assert actions(run) == "cccrrccccr"
    assert pipe.predictions[6:] == [28, 32, 36, 10 + 27]


def test_9_another_shape_is_computed_and_then_replayed_as_it_is():
    pipe = ToyPipeline()
    pipe.before_step = lambda step, latents: latents[:, :2] if step == 3 else latents
    with cached(pipe, BWCacheConfig(0.9, 2, 0.0)) as run:
        assert pipe(6) == [4, 8, 12, 16, 5 + 12, 24]
    assert actions(run) == "ccccrc"
    assert run.trace.steps[3].reason == "the features changed shape or type"


def test_9_a_step_that_was_not_planned_is_computed():
    """Six steps where four are announced; the pattern would reuse the third, fourth and sixth."""
    pipe = ToyPipeline()
    pipe.before_step = lambda step, latents: setattr(pipe, "_num_timesteps", 4) or latents
    with cached(pipe, BWCacheConfig(1e6, 2, 0.0)) as run:
        assert pipe(6) == [4, 8, 3 + 6, 4 + 6, 20, 24]
    assert actions(run) == "ccrrcc"
    assert run.trace.steps[5].reason == "step 6 of 4"
