"""What stands between a method's plan and the blocks, against arithmetic done by hand.

The toy's step t sees t + 1; each of its blocks doubles what it is given (see `tests/toy.py`).
"""

import math

import pytest
import torch

from bwcache import CacheError, ConfigError, Method, Plan, Probe, Span, cached
from bwcache.cache.ask import ask, start
from bwcache.cache.knob import Knob
from bwcache.cache.letters import letters
from bwcache.cache.method import FEATURES, RunFacts
from bwcache.cache.methods import METHODS, find_method, from_dict
from tests.methods.fixed import Fixed, all_but_first, every_block, odd_blocks, singly
from tests.toy import ToyPipeline, ToyTransformer

FOUR = [16 * (t + 1) for t in range(6)]  # of four blocks that double


def toy(blocks: int = 4, **more) -> ToyPipeline:
    return ToyPipeline(transformer=ToyTransformer(blocks), **more)


def test_every_block_singly_is_the_whole_stack():
    """Step 1 sees 2: the residuals are 2, 4, 8 and 16, in all 30. Steps 2 and 3 see 3 and 4."""
    pipe = toy()
    with cached(pipe, Fixed(every_block, singly)) as run:
        assert pipe(5) == [16, 32, 3 + 30, 4 + 30, 80]
    assert [step.blocks for step in run.trace.steps] == ["CCCC", "CCCC", "rrrr", "rrrr", "CCCC"]
    assert run.trace.schedule == ["compute", "compute", "reuse", "reuse", "compute"]
    assert [step.compute_share for step in run.trace.steps] == [1, 1, 0, 0, 1]


def test_the_odd_blocks():
    """Blocks 0 and 2 double; blocks 1 and 3 add what they last added, 4 and 16."""
    pipe = toy()
    with cached(pipe, Fixed(odd_blocks, singly)) as run:
        assert pipe(5)[2:4] == [(3 * 2 + 4) * 2 + 16, (4 * 2 + 4) * 2 + 16]
    assert [step.blocks for step in run.trace.steps[2:4]] == ["CrCr", "CrCr"]
    assert run.trace.schedule[2] == "partial"
    assert run.trace.steps[2].compute_share == 0.5
    assert run.trace.compute_share == pytest.approx((1 + 1 + 0.5 + 0.5 + 1) / 5)


def test_all_but_the_first_block():
    """The rest of the stack added 28 to 4 at step 1."""
    pipe = toy()
    with cached(pipe, Fixed(all_but_first, lambda blocks: (Span(1),))) as run:
        assert pipe(4)[2:] == [3 * 2 + 28, 4 * 2 + 28]
    assert [step.blocks for step in run.trace.steps[2:]] == ["Crrr", "Crrr"]
    assert [block.calls for block in pipe.transformer.blocks] == [4, 2, 2, 2]


def test_all_but_the_first_and_the_last_two():
    pipe = toy()
    middle = Span(1, -2)
    with cached(pipe, Fixed(lambda t, n: (middle,) * (t == 2), lambda n: (middle,))) as run:
        assert pipe(4)[2] == (3 * 2 + 4) * 4
    assert run.trace.steps[2].blocks == "CrCC"


def test_a_span_that_is_not_kept_is_computed_with_the_reason():
    pipe = toy()
    with cached(pipe, Fixed(every_block, lambda blocks: (Span(),))) as run:
        assert pipe(5) == FOUR[:5]
    assert run.trace.steps[2].reason == "this span is not kept"
    assert run.trace.schedule == ["compute"] * 5


def test_one_span_may_be_refused_and_another_reused():
    """Block 3's residual is not kept: it runs."""
    pipe = toy()
    with cached(pipe, Fixed(every_block, lambda blocks: singly(blocks)[:3])) as run:
        assert pipe(4)[2] == (3 + 2 + 4 + 8) * 2
    assert run.trace.steps[2].blocks == "rrrC"


def test_what_is_computed_in_part_is_not_kept_whole():
    """At step 2 block 1 is replayed, so the whole stack's residual of that step is none to keep."""

    def spans(step, blocks):
        return {2: (Span(1, 2),), 3: (Span(),)}.get(step, ())

    pipe = toy()
    with cached(pipe, Fixed(spans, lambda blocks: (Span(), Span(1, 2)))) as run:
        assert pipe(5)[3] == FOUR[3]
    assert [step.blocks for step in run.trace.steps] == ["CCCC", "CCCC", "CrCC", "CCCC", "CCCC"]
    assert run.trace.steps[3].reason == "the last block did not run, so there is nothing to replay"


class Asking(Method):
    """Asks again before some blocks, and keeps what it was told."""

    name, title = "asking", "Asking"

    def __init__(self, *untils, probes, spans=()):
        self.untils, self._probes, self.spans, self.told = untils, probes, spans, []

    def as_dict(self):
        return {}

    def probes(self, run):
        return self._probes

    def kept(self, run):
        return (Span(2),)

    def begin(self, run):
        return None

    def decide(self, state, seen):
        self.told.append((seen.step, seen.block, dict(seen.numbers)))
        later = [b for b in self.untils if seen.block is None or b > seen.block]
        if later:
            return Plan(until=later[0]), None
        return Plan(self.spans if seen.step > 1 else (), reason="asked"), None


def test_a_method_is_asked_again_with_what_its_blocks_measured():
    """Each block changes by 1/t; the third and fourth are replayed on what the first two say."""
    probe = Probe("change", "output", (0, 1), tokens=None)
    method, pipe = Asking(1, 2, probes=(probe,), spans=(Span(2),)), toy()
    with cached(pipe, method) as run:
        # the last two blocks added 3 · 8 at step 1, where the second gave 8
        assert pipe(4) == [16, 32, 3 * 4 + 24, 4 * 4 + 24]
    assert [told[:2] for told in method.told[:6]] == [
        *((0, None), (0, 1), (0, 2)),
        *((1, None), (1, 1), (1, 2)),
    ]
    assert method.told[1][2] == {}  # there was nothing to compare with at step 0
    assert method.told[4][2] == {"change": (1.0,)}
    assert method.told[5][2] == {"change": (1.0,)}
    # step 2 compares with step 1; step 3 too, the last one in which all blocks ran
    assert method.told[7][2] == {"change": (pytest.approx(1 / 2),)}
    assert method.told[10][2] == {"change": (pytest.approx(2 / 2),)}
    assert [step.blocks for step in run.trace.steps] == ["CCCC", "CCCC", "CCrr", "CCrr"]


def test_within_a_step_the_first_branch_decides_for_all():
    probe = Probe("change", "output", (0,), tokens=None, first_branch=True)
    method = Asking(1, probes=(probe,), spans=(Span(2),))
    pipe = toy(branches=2)
    with cached(pipe, method) as run:
        pipe(4)
    first, second = pipe.outputs[3]
    assert (float(first.flatten()[0]), float(second.flatten()[0])) == (4 * 4 + 24, 40 * 4 + 240)
    assert len(method.told) == 4 * 2
    assert run.trace.steps[3].compute_share == 0.5


@pytest.mark.parametrize(
    ("metric", "against", "expected"),
    [
        ("relative_l1", "computed", [None, (1.0,), (0.5,), (1.0,)]),
        ("relative_l1", "measured", [None, (1.0,), (0.5,), (1 / 3,)]),
        ("change", "measured", [None, (2.0,), (2.0,), (2.0,)]),
        ("size", "measured", [(2.0,), (4.0,), (6.0,), (8.0,)]),
        ("cosine", "measured", [None, (1.0,), (1.0,), (1.0,)]),
    ],
)
def test_metrics_and_what_they_compare_with(metric, against, expected):
    """Block 0 gives 2, 4, 6, 8; steps 2 and 3 replay two blocks, so step 1 is the last computed."""
    probe = Probe("x", "output", (0,), against, metric, tokens=None)
    method, pipe = Asking(1, probes=(probe,), spans=(Span(2),)), toy()
    with cached(pipe, method):
        pipe(4)
    found = [numbers.get("x") for step, block, numbers in method.told if block == 1]
    assert found == [None if x is None else pytest.approx(x) for x in expected]


def test_neighbours_in_one_call():
    """Each block's output against that of the block before it: it has doubled."""
    probe = Probe("x", "output", (0, 1, 2), "neighbour", tokens=None)
    method, pipe = Asking(3, probes=(probe,)), toy()
    with cached(pipe, method):
        pipe(2)
    assert method.told[1] == (0, 3, {"x": (1.0, 1.0)})


def test_residuals_and_arguments_and_the_call_itself():
    """Block 1 is given 2(t + 1) and adds as much; the call sees t + 1 and gives 16 times that."""
    probes = tuple(
        Probe(of, of, (1,) if "call" not in of else (0,), "measured", "size", tokens=None)
        for of in ("residual", "hidden_states", "call_input", "call_output")
    )
    method, pipe = Asking(2, probes=probes), toy()
    with cached(pipe, method) as run:
        pipe(3)
    assert method.told[1][2] == {"residual": (2.0,), "hidden_states": (2.0,), "call_input": (1.0,)}
    assert method.told[2][2] == {"call_output": (16.0,)}
    assert run.trace.steps[1].numbers == {
        "residual": (4.0,),
        "hidden_states": (4.0,),
        "call_input": (2.0,),
        "call_output": (32.0,),
    }


@pytest.mark.parametrize(("first_branch", "expected"), [(True, 16.0), (False, 88.0)])
def test_a_call_is_measured_in_the_first_branch_or_in_all(first_branch, expected):
    """Four blocks give 16 more each step, of the second branch 160 more."""
    probe = Probe("x", "call_output", (0,), "measured", "change", None, first_branch)
    pipe = toy(branches=2)
    with cached(pipe, Asking(probes=(probe,))) as run:
        pipe(3)
    assert run.trace.steps[1].numbers == {"x": (expected,)}


def test_what_a_replayed_block_would_have_said_is_missing_within_the_step():
    """Asked at block 1, block 1 alone is replayed: at block 3 nothing of this call is compared."""

    class Midway(Asking):
        def kept(self, run):
            return (Span(1, 2),)

        def decide(self, state, seen):
            plan, state = super().decide(state, seen)
            spans = (Span(1, 2),) if seen.step == 2 and seen.block == 1 else ()
            return Plan(spans, plan.until, "asked"), state

    method, pipe = Midway(1, 3, probes=(Probe("change", "output", (2,), tokens=None),)), toy()
    with cached(pipe, method) as run:
        pipe(3)
    assert [step.blocks for step in run.trace.steps] == ["CCCC", "CCCC", "CrCC"]
    said = {(step, block): set(numbers) for step, block, numbers in method.told}
    assert "change" in said[1, 3]
    assert "change" not in said[2, 3]


def test_an_argument_that_the_blocks_do_not_have_is_refused():
    probe = Probe("x", "temb", (0,))
    pipe = toy()
    with pytest.raises(CacheError, match="measures temb"), cached(pipe, Asking(1, probes=(probe,))):
        pass
    assert pipe(2) == FOUR[:2]


def test_numbers_that_are_not_finite_stop_reuse_whatever_the_method_says():
    """Step 3's features are not a number; it still wants to reuse everything."""
    probe = Probe("x", "output", (0,), "measured", tokens=None)
    spans = lambda step, blocks: (Span(),) if step in (5, 6, 7) else ()  # noqa: E731
    method = Fixed(spans, measuring=lambda blocks: (probe,))
    pipe = toy()
    pipe.before_step = lambda step, latents: latents * math.nan if step == 4 else latents
    with cached(pipe, method) as run:
        pipe(8)
    assert run.trace.schedule == ["compute"] * 8
    assert "finite" in run.trace.steps[5].reason
    assert "x" not in method.asked[5].numbers


def test_a_second_expert_with_other_blocks_is_computed_first():
    pipe = toy(transformer_2=ToyTransformer(3), switch_at=3)
    method = Fixed(lambda step, blocks: (Span(),) if step > 1 else ())
    with cached(pipe, method) as run:
        assert pipe(5) == [16, 32, 3 + 30, 4 * 8, 5 + 28]
    assert [step.blocks for step in run.trace.steps] == ["CCCC", "CCCC", "rrrr", "CCC", "rrr"]


def test_every_replay_is_kept_only_where_the_method_asks_for_it():
    for keeping, count in ((lambda n: (), 0), (lambda n: (Span(),), 1), (singly, 4)):
        pipe, kept = toy(), []

        def look(record, latents, kept=kept):
            kept.append([len(branch.replay_tensors) for branch in run.branches])

        with cached(pipe, Fixed(keeping=keeping), on_step=look) as run:
            pipe(3)
        assert kept[0] == [count]


# -- the description of a method ------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS.values(), ids=list(METHODS))
def test_each_method_says_what_it_is(method):
    assert method.name
    assert method.title
    assert method.about.endswith(".")
    assert method.source
    for knob in method.knobs():
        assert knob.title
        assert knob.everybody.endswith(".")
        assert knob.expert.endswith(".")
        assert knob.allowed
        if knob.name not in method.calibrated:
            knob.check(knob.default)


@pytest.mark.parametrize("method", METHODS.values(), ids=list(METHODS))
def test_its_settings_survive_json(method):
    given = {"ratios": (1.0, 0.9)} if "ratios" in method.calibrated else {}
    config = method(**given)
    assert from_dict(method.name, config.as_dict()) == config


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("number", "0.25", 0.25),
        ("whole", "3", 3),
        ("steps", "2", 2),
        ("steps", "0.1", 0.1),
        ("count", "all", None),
        ("count", "5", 5),
        ("numbers", "1, 0.5", (1.0, 0.5)),
    ],
)
def test_a_setting_is_read_from_text(kind, text, value):
    found = Knob("x", kind, value, "", "", "").read(text)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *(("number", bad) for bad in ("", "x", "nan", "inf", "-1", "1e999")),
        *(("whole", bad) for bad in ("", "1.5", "x", "-1")),
        *(("steps", bad) for bad in ("0", "1.0", "-2", "²", "nan", "x")),
        *(("count", bad) for bad in ("0", "-1", "none", "1.5")),
        *(("numbers", bad) for bad in ("1,,2", "1,nan", "x")),
    ],
)
def test_a_text_that_is_no_such_setting_is_refused_in_one_line(kind, text):
    with pytest.raises(ConfigError) as caught:
        Knob("x", kind, None, "", "", "").read(text)
    assert str(caught.value).startswith("x: got ")
    assert "allowed is" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_method_or_setting_is_refused():
    with pytest.raises(ConfigError, match="method: got 'x'; allowed is bwcache"):
        find_method("x")
    with pytest.raises(ConfigError, match="one of threshold"):
        from_dict("first_block_cache", {"thresold": 1})


def test_letters_and_spans():
    assert letters(Plan((Span(1, -1),)), 4) == "CrrC"
    assert letters(Plan((Span(3, 2),)), 4) == "CCCC"
    assert Span().of(5) == (0, 5)
    assert Span(9).of(5) == (5, 5)


def test_asking_keeps_what_is_finite_and_drops_the_rest():
    method = Fixed(lambda step, blocks: (Span(),))
    asked = start(method, RunFacts(4, 2))
    plan, asked = ask(asked, 1, None, {FEATURES: (1.0, math.inf), "own": (2.0,)})
    assert not plan.reused
    assert dict(method.asked[-1].numbers) == {"own": (2.0,)}
    plan, asked = ask(asked, 2, None, {})
    assert not plan.reused  # nothing has been measured since
    plan, asked = ask(asked, 3, None, {FEATURES: (1.0, 1.0)})
    assert plan.reused


def test_results_do_not_require_grad_and_leave_inputs_alone():
    pipe = toy()
    start_value = torch.ones(1, 4, 3)
    pipe.start = start_value
    with cached(pipe, Fixed(every_block, singly)):
        pipe(5)
    assert torch.equal(start_value, torch.ones(1, 4, 3))
