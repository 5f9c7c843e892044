"""Two transformers that take turns: each decides by its own steps; by hand, see `toy.py`."""

import pytest

from bwcache import (
    BWCacheConfig,
    ConfigError,
    FirstBlockCacheConfig,
    MagCacheConfig,
    cached,
    predict,
)
from bwcache.cache.trace import Trace
from tests.toy import ToyPipeline, ToyTransformer


def two(switch_at: int = 8) -> ToyPipeline:
    return ToyPipeline(transformer_2=ToyTransformer(3), switch_at=switch_at)


def test_the_seconds_trigger_is_measured_by_its_own_steps():
    """δ = 0.3 triggers at step 4 with 1/4; the second begins at 8 and measures 1/9 at its second.

    It would have been replayed from its second step on, by the first one's pattern.
    """
    pipe = two()
    with cached(pipe, BWCacheConfig(0.3, 2, 0.0)) as run:
        predictions = pipe(14)
    assert run.trace.letters == "CCCCCrrCCCrrCr"
    assert predictions[8:] == [72, 80, 11 + 70, 12 + 70, 104, 14 + 91]
    assert [step.expert for step in run.trace.steps] == [0] * 8 + [1] * 6
    assert run.trace.steps[9].indicator == pytest.approx(1 / 9)
    first, second = run.trace.experts
    assert (first.first_step, first.num_blocks, first.state) == (0, 2, {"trigger_step": 4})
    assert (second.first_step, second.num_blocks, second.state) == (8, 3, {"trigger_step": 9})
    assert run.trace.trigger_step == 4
    assert "expert 1   from step 8, triggered at step 9" in str(run.trace)


def test_a_second_that_stays_above_its_threshold_is_never_replayed():
    """Each step of the second changes by 1/9 at least in this run of eleven."""
    pipe = two()
    with cached(pipe, [BWCacheConfig(0.3, 2, 0.0), BWCacheConfig(0.05, 2, 0.0)]) as run:
        pipe(11)
    assert run.trace.letters == "CCCCCrrCCCC"
    assert [each.config["threshold"] for each in run.trace.experts] == [0.3, 0.05]
    assert run.trace.experts[1].state == {"trigger_step": None}


def test_each_may_have_a_method_of_its_own():
    pipe = two()
    with cached(pipe, [BWCacheConfig(0.3, 2, 0.0), FirstBlockCacheConfig(0.2)]) as run:
        pipe(11)
    assert [each.method for each in run.trace.experts] == ["bwcache", "first_block_cache"]
    assert [step.blocks for step in run.trace.steps[8:]] == ["CCC", "Crr", "CCC"]


def test_magcache_begins_anew():
    """Its first step is computed, and counts for no replayed one."""
    pipe = two(4)
    with cached(pipe, MagCacheConfig(1.0, 2, 0.1, (1.0,) * 10)) as run:
        pipe(10)
    assert run.trace.letters == "CrrCCrrCrr"


@pytest.mark.parametrize("threshold", [0.0, 0.05, 0.11, 0.2, 0.3, 0.9])
def test_the_schedule_is_predicted_for_each(threshold):
    pipe = two()
    with cached(pipe, BWCacheConfig(0.0)) as measured:
        pipe(14)
    config = BWCacheConfig(threshold, 2, 0.5)
    with cached(pipe, config) as run:
        pipe(14)
    trace = Trace.from_dict(measured.trace.as_dict() | {"steps": list_of(measured.trace)})
    found = predict(trace, config)
    assert found.schedule == run.trace.schedule
    assert found.exact
    assert found.trigger_step == run.trace.trigger_step
    assert predict(trace, [config, config]).schedule == run.trace.schedule


def list_of(trace: Trace) -> list[dict]:
    """The steps as a file has them."""
    steps = [dict(step) for step in trace.as_dict()["steps"]]
    for step in steps:
        step["distances"] = None if step["distances"] is None else list(step["distances"])
    return steps


def test_as_many_settings_as_transformers():
    with pytest.raises(ConfigError, match="config"), cached(two(), [BWCacheConfig()] * 3):
        pass
    with pytest.raises(ConfigError, match="config"), cached(ToyPipeline(), [BWCacheConfig()] * 2):
        pass


def test_a_run_of_one_transformer_has_no_experts():
    pipe = two(99)
    with cached(pipe, BWCacheConfig(0.3, 2, 0.0)) as run:
        pipe(8)
    assert run.trace.experts == ()
