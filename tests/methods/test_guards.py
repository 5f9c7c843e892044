"""What holds for every method: warm-up, the longest stretch, the mask; live and predicted alike."""

import pytest

from bwcache import (
    SAFE,
    BWCacheConfig,
    ConfigError,
    FirstBlockCacheConfig,
    MagCacheConfig,
    Span,
    cached,
    predict,
)
from bwcache.cache.methods import METHODS, from_dict
from tests.methods.fixed import Fixed, every_block, singly
from tests.toy import ToyPipeline

MAG = {"ratios": (1.0,) * 12, "threshold": 9.0, "max_skip_steps": 99, "retention_ratio": 0.0}
METHODS_THAT_REUSE = {
    "bwcache": lambda **more: BWCacheConfig(1e6, 99, 0.0, **more),
    "recheck": lambda **more: BWCacheConfig(1e6, 99, 0.0, gate="recheck", **more),
    "first_block_cache": lambda **more: FirstBlockCacheConfig(1e6, **more),
    "magcache": lambda **more: MagCacheConfig(**MAG, **more),
}
every_method = pytest.mark.parametrize("make", METHODS_THAT_REUSE.values(), ids=METHODS_THAT_REUSE)


def letters(config, steps: int = 12) -> str:
    """The schedule, where partly reused counts as reused."""
    pipe = ToyPipeline()
    with cached(pipe, config) as run:
        pipe(steps)
    return run.trace.letters.replace("p", "r")


@every_method
@pytest.mark.parametrize(("warm_up", "steps"), [(0, 0), (4, 4), (0.25, 3), (0.99, 11), (40, 40)])
def test_the_first_steps_are_computed(make, warm_up, steps):
    found = letters(make(warm_up_steps=warm_up))
    least = max(steps, 1 if found[1] == "r" else 2)
    assert found == "C" * min(12, least) + "r" * (12 - least)


@every_method
@pytest.mark.parametrize("most", [1, 2, 3])
def test_no_more_steps_in_a_row_are_reused_than_allowed(make, most):
    found = letters(make(max_consecutive=most))
    assert max(map(len, found.split("C"))) == most
    assert "r" * (most + 1) not in found
    assert found.lstrip("C").startswith("r" * most + "C" + "r")


@every_method
def test_a_mask_computes_reuses_and_leaves_alone(make):
    assert letters(make(step_mask="CCCCRCC"))[:7] == "CCCCrCC"
    assert letters(make(step_mask="CCCCRCC"))[-1] == "r"
    assert letters(make(step_mask="????????C"))[8] == "C"


def test_a_mask_reuses_what_the_method_would_not():
    config = BWCacheConfig(1e-9, 1, 0.0, step_mask="CCRRC")
    pipe = ToyPipeline()
    with cached(pipe, config) as run:
        assert pipe(6) == [4, 8, 3 + 6, 4 + 6, 20, 24]
    assert run.trace.steps[2].reason == "the step mask says so"


def test_a_mask_cannot_reuse_a_first_step_nor_what_is_not_kept():
    assert letters(BWCacheConfig(1e6, 1, step_mask="RRRR"), 4) == "Crrr"
    assert letters(BWCacheConfig(0.0, step_mask="CRRR"), 4) == "CCCC"


def test_a_methods_own_spans_follow_the_mask():
    pipe = ToyPipeline()
    method = Fixed(every_block, singly, step_mask="CCCR")
    with cached(pipe, method) as run:
        pipe(4)
    assert run.trace.letters == "CCCr"


@pytest.mark.parametrize("warm_up", [0, 3, 0.5])
@pytest.mark.parametrize("most", [None, 1, 2])
@pytest.mark.parametrize("mask", ["", "CCCCCCR?C", "???CRR"])
@pytest.mark.parametrize("gate", ["once", "recheck"])
def test_predicted_as_it_happens(warm_up, most, mask, gate):
    guards = {"warm_up_steps": warm_up, "max_consecutive": most, "step_mask": mask}
    config = BWCacheConfig(0.2, 3, 0.5, gate=gate, **guards)
    pipe = ToyPipeline()
    with cached(pipe, BWCacheConfig(0.0)) as measured:
        pipe(12)
    with cached(pipe, config) as run:
        pipe(12)
    found = predict(measured.trace, config)
    if found.exact:
        assert found.schedule == run.trace.schedule
    assert from_dict("bwcache", config.as_dict()) == config


def test_a_trigger_falls_behind_the_warm_up():
    """Step 5 is the last of six, and measures 1/5: the tail is floor(5 / 2) steps."""
    pipe = ToyPipeline()
    with cached(pipe, BWCacheConfig(1e6, 2, 0.5, warm_up_steps=6)) as run:
        pipe(12)
    assert run.trace.trigger_step == 5
    assert run.trace.letters == "CCCCCCrrCrCC"


@pytest.mark.parametrize("method", METHODS.values(), ids=list(METHODS))
@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("warm_up_steps", -1),
        ("warm_up_steps", 1.0),
        ("warm_up_steps", True),
        ("max_consecutive", 0),
        ("max_consecutive", 1.5),
        ("step_mask", "CRX"),
        ("step_mask", "crc"),
        ("step_mask", None),
    ],
)
def test_wrong_guards_are_refused_by_every_method(method, name, wrong):
    given = {"ratios": (1.0,)} if "ratios" in method.calibrated else {}
    with pytest.raises(ConfigError, match=f"^{name}: got "):
        method(**given, **{name: wrong})


def test_guards_are_given_by_name_and_stand_behind_a_methods_own():
    assert BWCacheConfig(0.4, 2, 0.0).warm_up_steps == 0
    names = [knob.name for knob in BWCacheConfig.knobs()]
    assert names[0] == "threshold"
    assert names[-3:] == ["warm_up_steps", "max_consecutive", "step_mask"]
    assert [*BWCacheConfig().as_dict()][-3:] == names[-3:]


def test_numbers_that_are_not_finite_are_noticed_in_the_warm_up():
    """Step 3 is not a number: it is measured at steps 3 and 4, and 5 is the first to reuse."""
    pipe = ToyPipeline()
    pipe.before_step = lambda step, latents: latents * (float("nan") if step == 3 else 1)
    pipe.scheduler.step = lambda output, t, latents: type(
        "Output", (), {"prev_sample": latents.nan_to_num(4.0) + 1}
    )()
    with cached(pipe, BWCacheConfig(1e6, 1, 0.0, warm_up_steps=4)) as run:
        pipe(8)
    assert run.trace.letters[:6] == "CCCCCC"


# -- the default -----------------------------------------------------------------------------------


def test_what_cached_does_without_a_config():
    """Reuse begins behind a fifth of the steps, and never twice in a row, whatever is measured."""
    pipe = ToyPipeline()
    with cached(pipe) as run:
        pipe(20)
    assert run.trace.config == SAFE.as_dict()
    assert run.trace.letters[:8] == "CCCCCCCC"  # 1/7 is the first below 0.15
    assert "rr" not in run.trace.letters
    assert not run.trace.warnings
    quiet = ToyPipeline()
    quiet.scheduler.step = lambda output, t, latents: type("Output", (), {"prev_sample": latents})()
    with cached(quiet) as run:
        quiet(20)
    assert run.trace.letters.startswith("CCCCr")
    assert "rr" not in run.trace.letters
    assert run.trace.steps_reused <= 8


def test_an_early_trigger_and_few_steps_are_said():
    pipe = ToyPipeline()
    with cached(pipe, BWCacheConfig(1e6, 2, 0.0)) as run:
        pipe(30)
        (early,) = run.trace.warnings
        assert "Reuse began with step 3 of 30" in early
        assert early in str(run.trace)
        pipe(8)
        (few,) = run.trace.warnings
        assert "With 8 steps there is little to skip" in few
    with cached(pipe, BWCacheConfig(1e6, 2, 0.0, warm_up_steps=0.2)) as run:
        pipe(30)
    assert not run.trace.warnings
    with cached(pipe, Fixed(lambda step, n: (Span(),) if step == 2 else ())) as run:
        pipe(40)
    assert "early-trigger" in run.trace.warnings[0]
