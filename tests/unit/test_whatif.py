"""What-if replays of recorded runs."""

import math
from dataclasses import replace

import pytest

from bwcache import BWCacheConfig, TraceError, cached, predict
from bwcache.cache.predict import reuse_starts_above
from bwcache.cache.trace import StepRecord, Trace
from tests.toy import ToyPipeline


def recorded(*indicators: float | None) -> Trace:
    """An uncached run of 1.0 s a step, 0.75 s of it in blocks, after 0.1 s of measuring."""
    steps = (
        StepRecord(i, "compute", "measured", value, None, 1.1, 0.75, 0.1)
        for i, value in enumerate(indicators)
    )
    return Trace(len(indicators), 2, {}, tuple(steps))


def test_schedule_and_seconds_by_hand():
    """δ = 0.4 triggers at step 2; R = 2; tail 1. Three reused steps save 0.75 s each."""
    trace = recorded(None, 0.5, 0.3, 0.2, 0.1, 0.1, 0.1, 0.1)
    found = predict(trace, BWCacheConfig(0.4, 2))
    assert "".join(action[0] for action in found.schedule) == "cccrrcrc"
    assert (found.trigger_step, found.steps_reused, found.exact) == (2, 3, True)
    assert found.predicted_seconds == pytest.approx(8.0 - 3 * 0.75)


def test_recheck_is_an_estimate_where_it_reuses():
    trace = recorded(None, 0.5, 0.3, 0.2, 0.1, 0.1)
    assert not predict(trace, BWCacheConfig(0.4, 2, gate="recheck")).exact
    assert predict(trace, BWCacheConfig(0.01, 2, gate="recheck")).exact


@pytest.mark.parametrize("threshold", [0, 0.13, 0.15, 0.18, 0.21, 0.26, 0.34, 0.51, 1.1, 3.0])
@pytest.mark.parametrize("interval", [1, 3, 0.1])
def test_prediction_equals_the_real_run(threshold, interval):
    pipe = ToyPipeline()
    with cached(pipe, BWCacheConfig(0.0)) as measured:
        pipe(12)
    config = BWCacheConfig(threshold, interval)
    with cached(pipe, config) as run:
        pipe(12)
    assert predict(measured.trace, config).schedule == run.trace.schedule
    assert predict(measured.trace, config).trigger_step == run.trace.trigger_step


def test_only_complete_uncached_runs_can_be_replayed():
    whole = recorded(None, 0.5, 0.3)
    with pytest.raises(TraceError, match="complete run"):
        predict(replace(whole, steps=whole.steps[:2]), BWCacheConfig())
    reused = replace(whole.steps[2], action="reuse")
    with pytest.raises(TraceError, match="without reuse"):
        predict(replace(whole, steps=(*whole.steps[:2], reused)), BWCacheConfig())


def test_where_reuse_starts():
    config = BWCacheConfig(tail_fraction=0.0)
    trace = recorded(None, 0.5, 0.3, math.nan, 0.4, 0.1)
    lowest = reuse_starts_above(trace, config)
    assert lowest == 0.3  # the last step's 0.1 has no step after it
    assert predict(trace, replace(config, threshold=lowest)).steps_reused == 0
    assert predict(trace, replace(config, threshold=lowest + 1e-9)).steps_reused > 0
    assert reuse_starts_above(recorded(None), config) is None
