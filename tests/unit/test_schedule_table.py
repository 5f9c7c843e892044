"""The table of schedules says at every threshold what `predict` says there."""

import math
import random
from collections import Counter
from dataclasses import dataclass, replace
from itertools import pairwise, product

import pytest

from bwcache.cache.method import Method
from bwcache.cache.methods.bwcache import BWCacheConfig
from bwcache.cache.predict import Prediction, predict
from bwcache.cache.schedule_table import LETTERS, choices, schedule_table
from bwcache.cache.trace import StepRecord, Trace
from bwcache.errors import TraceError

ODD = (math.nan, math.inf, None)  # measured and not finite, or nothing to compare with


def recorded(*indicators: float | None) -> Trace:
    """An uncached run of 1.0 s a step, 0.75 s of it in blocks, after 0.1 s of measuring."""
    steps = (
        StepRecord(i, "compute", "measured", value, None, 1.1, 0.75, 0.1)
        for i, value in enumerate(indicators)
    )
    return Trace(len(indicators), 2, {}, tuple(steps))


def thresholds_worth_asking(trace: Trace) -> list[float]:
    """At, just below and just above every measurement, between them, at 0 and far beyond."""
    measured = sorted(x for x in trace.indicators if x is not None and math.isfinite(x))
    near = [math.nextafter(x, side) for x in measured for side in (0.0, math.inf)]
    between = [(low + high) / 2 for low, high in pairwise(measured)]
    return [0.0, *measured, *near, *between, 3.0, 1e6]


def compare_everywhere(trace: Trace, config: BWCacheConfig) -> Counter:
    table, found = schedule_table(trace, config), Counter()
    for settings, threshold in product(
        choices(config, trace.num_steps), thresholds_worth_asking(trace)
    ):
        expected = predict(trace, replace(config, threshold=threshold, **settings))
        schedule = table.lookup(settings, threshold)
        assert schedule.letters == "".join(LETTERS[one] for one in expected.schedule)
        assert schedule.exact == expected.exact
        assert schedule.seconds == expected.predicted_seconds
        found[schedule.letters] += 1
    return found


@pytest.mark.parametrize("tail_fraction", [0.0, 0.5])
def test_every_short_run_is_looked_up_as_it_is_predicted(tail_fraction):
    """Every order of falling, rising and equal indicators, with measurements that failed."""
    values, seen = (0.1, 0.2, math.nan), Counter()
    for indicators in product(values, repeat=5):
        trace = recorded(None, *indicators)
        seen += compare_everywhere(trace, BWCacheConfig(0.2, 2, tail_fraction))
    assert len(seen) > 4


@pytest.mark.parametrize("seed", range(8))
def test_so_is_a_run_that_falls_and_rises(seed):
    chance = random.Random(seed)
    steps = chance.randint(2, 60)
    indicators = [
        0.02 + 0.3 * (2 * i / steps - 1) ** 2 * chance.uniform(0.5, 1.5) for i in range(steps)
    ]
    odd = [chance.choice(ODD) if chance.random() < 0.05 else value for value in indicators]
    interval = chance.choice([1, 5, 12, 0.1, 0.29])
    trace = recorded(None, *odd[1:])
    compare_everywhere(trace, BWCacheConfig(0.1, interval, chance.choice([0.1, 0.5])))


def test_schedules_change_only_at_measurements_and_few_do():
    trace = recorded(None, 0.5, 0.3, 0.2, 0.25, 0.1, 0.4, 0.6)
    table = schedule_table(trace, BWCacheConfig())
    assert set(table.thresholds) <= set(trace.indicators)
    for row in table.rows:
        places = [schedule.changes_below for schedule in row.schedules]
        assert places == sorted(set(places))
        assert places[0] == 0
        assert len(set(row.schedules)) == len(places)


def test_the_rows_are_the_intervals_and_gates_with_the_runs_own():
    whole = choices(BWCacheConfig(reuse_interval=5), 30)
    assert [one["reuse_interval"] for one in whole[::2]] == [1, 2, 3, 4, 5, 6, 8]
    assert {one["gate"] for one in whole} == {"once", "recheck"}
    share = choices(BWCacheConfig(reuse_interval=0.1), 30)
    assert [one["reuse_interval"] for one in share[::2]] == [1, 2, 0.1, 4, 6, 8]
    assert [one["reuse_interval"] for one in choices(BWCacheConfig(), 4)[::2]] == [0.1, 2, 3]


def test_a_row_that_is_not_there_is_not_guessed():
    table = schedule_table(recorded(None, 0.5, 0.3), BWCacheConfig())
    with pytest.raises(KeyError):
        table.lookup({"reuse_interval": 99, "gate": "once"}, 0.1)


def test_only_complete_uncached_runs_have_a_table():
    whole = recorded(None, 0.5, 0.3)
    with pytest.raises(TraceError):
        schedule_table(replace(whole, steps=whole.steps[:2]), BWCacheConfig())


@dataclass(frozen=True)
class AccumulatingConfig(Method):
    """A method that reuses until its measurements sum up to the threshold, as TeaCache does."""

    threshold: float = 0.0


def accumulate(trace: Trace, config: AccumulatingConfig) -> Prediction:
    schedule, total = [], 0.0
    for step in trace.steps:
        total += step.indicator or 0.0
        reuses = step.step_index > 0 and total < config.threshold
        schedule.append("reuse" if reuses else "compute")
        total = total if reuses else 0.0
    reused = schedule.count("reuse")
    return Prediction(schedule, None, reused, 0.0, False, 1 - reused / len(schedule))


def test_a_method_without_interval_and_gate_that_changes_between_measurements():
    trace = recorded(None, 0.5, 0.3, 0.2, 0.1, 0.1, 0.4)
    config = AccumulatingConfig()
    assert choices(config, 7) == [{}]
    table = schedule_table(trace, config, forecast=accumulate)
    assert len({schedule.letters for schedule in table.rows[0].schedules}) > 5
    for threshold in (0.0, 0.05, 0.15, 0.25, 0.35, 0.55, 0.75, 0.9, 1.05, 1.15, 1.3, 1.7, 9.0):
        expected = accumulate(trace, AccumulatingConfig(threshold))
        letters = "".join(LETTERS[one] for one in expected.schedule)
        assert table.lookup({}, threshold).letters == letters, threshold
