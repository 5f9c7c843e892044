"""The search for a setting, with an uncached run written by hand and trials that are arithmetic."""

import itertools
import math

import pytest

from bwcache.cache.methods.bwcache import BWCacheConfig
from bwcache.cache.predict import predict
from bwcache.cache.trace import StepRecord, Trace
from bwcache.errors import ConfigError
from bwcache.explore.candidates import INTERVALS, candidates, distinct_thresholds
from bwcache.explore.search import BLOCKS, MOST_TRIALS, NOTHING, Goal, Measured, Search, recommend

FALLING = [
    None,
    0.4,
    0.3,
    0.2,
    0.15,
    0.1,
    0.08,
    0.09,
    0.07,
    0.06,
    0.05,
    0.04,
    0.05,
    0.06,
    0.07,
    0.1,
]
CONFIG = BWCacheConfig()


def uncached(indicators=FALLING, seconds: float = 1.0, outside: float = 0.1) -> Trace:
    """A run whose every step takes a second, a tenth of it outside of the blocks."""
    steps = tuple(
        StepRecord(i, "compute", "", value, None, seconds, seconds - outside)
        for i, value in enumerate(indicators)
    )
    return Trace(len(steps), 4, {}, steps)


def measure(candidate, trace, slowdown: float = 1.0) -> Measured:
    """Sixty dB where nothing is reused, three less for each step that is, one for each in a row."""
    runs = max(len(run) for run in candidate.schedule.split("C"))
    seconds = candidate.seconds * slowdown
    decibels = 60 - 3 * candidate.schedule.count("r") - runs
    return Measured(seconds, trace.net_seconds / seconds, decibels, 0.9, candidate.work)


def run(goal: str, trace=None, measuring=measure, **options) -> Search:
    trace = trace or uncached()
    search = Search(Goal.parse(goal), candidates(trace, CONFIG)[0], **options)
    while (trial := search.next_trial()) is not None:
        search.record(trial, measuring(trial, trace))
    return search


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [("psnr=30", "psnr", 30), ("speedup=2.5", "speedup", 2.5), (" psnr = 1e1", "psnr", 10)],
)
def test_goals(text, kind, value):
    assert Goal.parse(text) == Goal(kind, value)


@pytest.mark.parametrize(
    "text",
    [
        *("", "psnr", "psnr=", "psnr=high", "psnr=nan", "psnr=inf", "psnr=0", "psnr=1000", "30"),
        *("speedup=0.5", "speedup=2x", "ssim=0.9", "psnr=30,speedup=2", "=2"),
    ],
)
def test_a_bad_goal_is_one_line_that_says_what_is_allowed(text):
    with pytest.raises(
        ConfigError, match="^goal: got .*; allowed is psnr=30 or speedup=2"
    ) as caught:
        Goal.parse(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [True, None, "2", math.nan])
def test_a_goal_is_a_number(value):
    with pytest.raises(ConfigError, match="goal"):
        Goal("speedup", value)


def test_thresholds_by_hand():
    """Lower than all before it: 0.4, 0.3 and 0.1. Between them lie 0.44, 0.35 and 0.2."""
    assert distinct_thresholds(uncached([None, 0.4, 0.3, 0.35, 0.1, 0.2])) == [0.44, 0.35, 0.2]
    assert distinct_thresholds(uncached([None, 0.1, math.nan, 0.0999])) == [0.11, 0.09995]
    assert distinct_thresholds(uncached([None, 0.00002, 0.00001])) == [0.000022, 0.000015]
    assert distinct_thresholds(uncached([None, None])) == []


@pytest.mark.parametrize("interval", INTERVALS)
def test_no_other_threshold_does_anything_else(interval):
    trace = uncached()

    def schedule(threshold):
        return predict(trace, BWCacheConfig(threshold, interval)).schedule

    known = [schedule(threshold) for threshold in distinct_thresholds(trace)]
    for thousandth in range(1, 600):
        found = schedule(thousandth / 1000)
        assert found in known or "reuse" not in found


def test_no_schedule_is_offered_twice():
    found, saved = candidates(uncached(), CONFIG)
    schedules = [candidate.schedule for candidate in found]
    assert len(set(schedules)) == len(schedules)
    assert len(found) + saved == len(distinct_thresholds(uncached())) * len(INTERVALS)
    assert all("r" in schedule for schedule in schedules)
    assert [c.work for c in found] == sorted((c.work for c in found), reverse=True)


def test_runs_saved_by_hand():
    """0.35 and 0.36 both start after step 2, 0.01 never; repeating a value asks for nothing."""
    found, saved = candidates(uncached(), CONFIG, [0.35, 0.36, 0.01, 0.35], [1])
    assert [c.config.threshold for c in found] == [0.35]
    assert saved == 2
    found, saved = candidates(uncached(), CONFIG, [0.35, 0.36], [1], ["residual", "forecast"])
    assert [c.config.reuse for c in found] == ["residual", "forecast"]
    assert saved == 2


def test_what_is_only_estimated_is_never_taken_for_the_same():
    recheck = BWCacheConfig(gate="recheck")
    assert len(candidates(uncached(), recheck, [0.35, 0.36], [1])[0]) == 2


@pytest.mark.parametrize("decibels", range(16, 60, 4))
def test_the_fastest_that_is_close_enough(decibels):
    trace, search = uncached(), run(f"psnr={decibels}")
    fitting = [c for c in search.candidates if measure(c, trace).decibels >= decibels]
    best, measured = search.best()
    assert search.trials <= MOST_TRIALS < len(search.candidates)
    if fitting:
        assert best.work == min(c.work for c in fitting)
        assert search.met(measured)
    else:
        assert not search.met(measured)


@pytest.mark.parametrize("times", [1.2, 1.5, 1.7, 2, 2.5])
def test_the_closest_that_does_little_enough_work(times):
    trace, search = uncached(), run(f"speedup={times}")
    spare = [
        measure(c, trace).decibels
        for c in search.candidates
        if c.work <= 1 - (1 - 1 / times) / BLOCKS
    ]
    best, measured = search.best()
    assert search.trials <= MOST_TRIALS
    assert best.speedup >= times
    assert measured.decibels == max(spare)


def test_work_is_counted_by_hand():
    """Five of sixteen steps reused leave eleven."""
    (found, *_) = candidates(uncached(), CONFIG, [0.09], [1])[0]
    reused = found.schedule.count("r")
    assert found.work == (16 - reused) / 16
    assert found.speedup == 16 / (16 - reused)


@pytest.mark.parametrize("goal", ["speedup=1.5", "speedup=2", "psnr=36", "psnr=44"])
def test_the_clock_changes_no_answer(goal):
    """A machine that is busy by turns: what is tried and recommended stays the same."""
    pace = itertools.cycle([0.6, 1.7, 1.0, 2.2])
    quiet, busy = run(goal), run(goal, measuring=lambda c, t: measure(c, t, next(pace)))
    assert list(busy.results) == list(quiet.results)
    assert busy.best()[0] == quiet.best()[0]


@pytest.mark.parametrize(
    "goal", [f"psnr={value}" for value in range(20, 56, 4)] + ["psnr=99", "speedup=2", "speedup=50"]
)
def test_what_is_recommended_is_on_the_frontier_of_what_was_tried(goal):
    search = run(goal)
    best, measured = search.best()
    for other, found in search.results.items():
        better = other.work <= best.work and found.decibels >= measured.decibels
        assert not better or (other.work, found.decibels) == (best.work, measured.decibels)


def test_where_blocks_take_less_of_the_time_more_work_is_saved():
    """Twice as fast where they take 80 %: 1 - 0.5 / 0.8 of the work may be left."""
    best, _ = run("speedup=2", block_share=0.81).best()
    assert best.work <= 1 - 0.5 / 0.8
    assert run("speedup=2", block_share=0.79).best()[0] == best
    assert run("speedup=2").best()[0].work > best.work


def test_the_clock_confirms_or_says_so():
    quick = recommend(run("speedup=1.5"), 0)
    assert quick.goal_met
    assert quick.confirmed
    assert "The clock" not in quick.sentence
    slow = recommend(run("speedup=1.5", measuring=lambda c, t: measure(c, t, 2.0)), 0)
    assert slow.goal_met
    assert slow.confirmed is False
    assert "The clock shows less" in slow.sentence
    assert recommend(run("psnr=40"), 0).confirmed is None


def test_no_setting_is_tried_twice():
    for goal in ("psnr=40", "speedup=2"):
        tried = []
        run(goal, measuring=lambda c, t, tried=tried: tried.append(c) or measure(c, t))
        assert len(tried) == len(set(tried)) <= MOST_TRIALS == 6


def test_trials_end_at_the_bound():
    for goal in ("psnr=40", "speedup=2"):
        assert run(goal, most=3).trials == 3


def test_goals_out_of_reach_say_so_and_name_the_best():
    close, fast = run("psnr=99"), run("speedup=50")
    for search in (close, fast):
        found = recommend(search, 7)
        assert not found.goal_met
        assert found.runs_saved == 7
        assert found.cached_runs == search.trials
        assert found.sentence.startswith("No setting tried ")
        assert f"hreshold {found.candidate.config.threshold:g}" in found.sentence
    assert "99 dB" in recommend(close, 0).sentence
    assert "50× as fast" in recommend(fast, 0).sentence
    assert fast.best()[0].work == min(c.work for c in fast.candidates)
    assert close.best()[1].decibels == max(m.decibels for m in close.results.values())


def test_a_goal_that_is_met_in_words():
    found = recommend(run("psnr=40"), 3)
    config = found.candidate.config
    assert found.goal_met
    assert found.sentence.startswith(
        f"Use threshold {config.threshold:g} with reuse interval {config.reuse_interval}: "
    )
    assert found.sentence.endswith("it does the least work of those that stay at 40 dB or closer.")
    assert (
        "the closest of those that are at least 1.5×" in recommend(run("speedup=1.5"), 0).sentence
    )


def test_identical_videos_are_as_close_as_can_be():
    search = run("psnr=99", measuring=lambda c, t: Measured(c.seconds, 2.0, None, 1.0, 0.5))
    found = recommend(search, 0)
    assert found.goal_met
    assert "no difference" in found.sentence


@pytest.mark.parametrize("indicators", [[None, None], [None, 0.2], [None] * 9])
def test_where_nothing_can_be_reused(indicators):
    search = run("psnr=30", uncached(indicators))
    found = recommend(search, 0)
    assert (found.candidate, found.cached_runs, found.goal_met) == (None, 0, False)
    assert found.sentence == NOTHING


def test_what_is_a_little_harsher_than_a_near_miss_is_given_a_chance():
    """The gentlest misses by half a dB, one that is harsher meets the goal after all."""
    trace = uncached()
    found, _ = candidates(trace, CONFIG, [0.35, 0.25], [2])
    gentle, harsh = sorted(found, key=lambda c: c.config.threshold)
    assert gentle.reuses_no_more_than(harsh)
    given = {gentle: 29.5, harsh: 31.0}
    search = Search(Goal("psnr", 30), found)
    search.record(gentle, Measured(1.0, 2.0, given[gentle], 0.9, gentle.work))
    assert search.next_trial() is harsh
    search.record(harsh, Measured(0.9, 2.2, given[harsh], 0.9, harsh.work))
    assert search.next_trial() is None
    assert search.best()[0] is harsh
    far = Search(Goal("psnr", 30), found)
    far.record(gentle, Measured(1.0, 2.0, 20.0, 0.9, gentle.work))
    assert far.next_trial() is None
