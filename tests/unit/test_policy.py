"""BWCache's rule, on every short sequence of measurements and under every small setting."""

import math
from itertools import product

import pytest

from bwcache import BWCacheConfig
from bwcache.cache.ask import ask, start
from bwcache.cache.method import FEATURES, RunFacts

NAN = math.nan
LOW, HIGH = 0.1, 0.9  # either side of the threshold used here
THRESHOLD = 0.5


def play(config: BWCacheConfig, measurements: tuple[float, ...]) -> str:
    """The schedule as letters; `measurements[i]` is what step i measures if it is computed."""
    asked, numbers, letters = start(config, RunFacts(len(measurements), 1)), {}, ""
    for step in range(len(measurements)):
        plan, asked = ask(asked, step, None, numbers)
        assert plan.reason
        letters += "R" if plan.reused else "C"
        numbers = {} if plan.reused or step == 0 else {FEATURES: (measurements[step],)}
    return letters


def expected(config: BWCacheConfig, interval: int, measurements: tuple[float, ...]) -> str:
    """The same rule written the other way round: paint the pattern, then correct it."""
    total = len(measurements)
    below = [i > 0 and measurements[i] < config.threshold for i in range(total)]
    if True not in below[:-1]:
        return "C" * total
    trigger = below.index(True)
    tail = range(total - int(trigger * config.tail_fraction), total)
    letters, left, healthy = "C" * (trigger + 1), interval, True
    while len(letters) < total:
        step = len(letters)
        pattern = "R" if left else "C"
        left = left - 1 if left else (interval if config.gate == "once" else 0)
        computes = pattern == "C" or step in tail or not healthy
        letters += "C" if computes else "R"
        if computes:
            healthy = math.isfinite(measurements[step])
            if config.gate == "recheck" and below[step]:
                left = interval
    return letters


@pytest.mark.parametrize("gate", ["once", "recheck"])
@pytest.mark.parametrize("interval", [1, 2, 3, 9])
@pytest.mark.parametrize("tail", [0.0, 0.5, 1.0])
def test_every_sequence_of_seven_steps(gate, interval, tail):
    config = BWCacheConfig(THRESHOLD, interval, tail, gate=gate)
    for rest in product((LOW, HIGH, NAN), repeat=6):
        measurements = (HIGH, *rest)
        assert play(config, measurements) == expected(config, interval, measurements), rest


def test_the_papers_example():
    """T=20, R=2, trigger at step 1: CC RRC RRC RRC RRC RRC RRC; floor(1/2) = 0 tail steps."""
    config = BWCacheConfig(THRESHOLD, reuse_interval=2)
    assert play(config, (HIGH, *[LOW] * 19)) == "CC" + "RRC" * 6


def test_tail_is_computed():
    """Trigger at step 6 of 12: the last 3 are computed, whatever R says."""
    config = BWCacheConfig(THRESHOLD, reuse_interval=9)
    assert play(config, (*[HIGH] * 6, *[LOW] * 6)) == "CCCCCCC" + "RR" + "CCC"


def test_indicator_equal_to_the_threshold_does_not_trigger():
    config = BWCacheConfig(THRESHOLD, reuse_interval=1)
    assert play(config, (HIGH, *[THRESHOLD] * 5)) == "CCCCCC"


def test_threshold_zero_never_reuses():
    assert play(BWCacheConfig(0.0), (0.0,) * 8) == "C" * 8


def test_once_keeps_its_pattern_and_recheck_waits():
    """Low once at step 1, high for ever after."""
    measurements = (HIGH, LOW, *[HIGH] * 7)
    once = BWCacheConfig(THRESHOLD, 2, 0.0, gate="once")
    recheck = BWCacheConfig(THRESHOLD, 2, 0.0, gate="recheck")
    assert play(once, measurements) == "CCRRCRRCR"
    assert play(recheck, measurements) == "CCRRCCCCC"


@pytest.mark.parametrize("broken", [NAN, math.inf])
def test_a_broken_measurement_computes_the_next_step_and_says_why(broken):
    config = BWCacheConfig(THRESHOLD, 2, 0.0)
    asked = start(config, RunFacts(12, 1))
    for step, measured in enumerate(({}, {FEATURES: (HIGH,)}, {FEATURES: (LOW,)})):
        plan, asked = ask(asked, step, None, measured)
    assert plan.reused
    plan, asked = ask(asked, 5, None, {FEATURES: (broken,)})
    assert not plan.reused
    assert "finite" in plan.reason
    plan, asked = ask(asked, 6, None, {FEATURES: (LOW,)})
    assert plan.reused


@pytest.mark.parametrize(
    ("interval", "num_steps", "steps"),
    [(3, 30, 3), (0.1, 30, 3), (0.1, 50, 5), (0.1, 25, 2), (0.29, 100, 29), (0.01, 30, 1)],
)
def test_reuse_interval_in_steps(interval, num_steps, steps):
    assert BWCacheConfig(reuse_interval=interval).interval_steps(num_steps) == steps
