"""The settings that a search may try: each predicted from an uncached run, none of them twice.

Standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, product

from ..cache.methods.bwcache import BWCacheConfig, Reuse
from ..cache.predict import predict
from ..cache.trace import Trace

INTERVALS = (1, 2, 3, 4, 5, 6, 8, 12)
MOST_TRIGGERS = 24  # trigger steps that are kept apart


@dataclass(frozen=True)
class Candidate:
    """A setting that might be tried.

    Args:
        config: The settings.
        schedule: What each step would do, as letters: C computes, r reuses.
        work: Of all block evaluations, the share that would run. No clock tells it, so that what
            is decided by it is decided alike on every machine.
        seconds: The denoising loop's, predicted from the uncached run's own step times.
    """

    config: BWCacheConfig
    schedule: str
    work: float
    seconds: float

    @property
    def speedup(self) -> float:
        """How many times as fast it is by the work that it does: the most that a clock shows."""
        return 1 / self.work

    def reuses_no_more_than(self, other: Candidate) -> bool:
        """Whether this is another one, which starts no earlier and reuses no longer stretches.

        Then its video is as a rule at least as close to the uncached one, and takes longer.
        """
        mine, theirs = self.config, other.config
        return (
            self is not other
            and mine.reuse == theirs.reuse
            and mine.threshold <= theirs.threshold
            and mine.interval_steps(len(self.schedule))
            <= theirs.interval_steps(len(other.schedule))
        )


def distinct_thresholds(trace: Trace) -> list[float]:
    """A threshold for each step at which reuse could start, each between two indicators.

    Any other threshold starts at the same step as one of these: what counts is the first step
    whose indicator is below it, so only an indicator below all before it makes a difference.
    """
    lows: list[float] = []
    for value in trace.indicators:
        if value is not None and 0 <= value < (lows[-1] if lows else math.inf):
            lows.append(value)
    if not lows:
        return []
    middles = [_between(low, high) for high, low in pairwise([lows[0] * 1.2 or 1.0, *lows])]
    count = min(MOST_TRIGGERS, len(middles))
    stride = (len(middles) - 1) / max(1, count - 1)
    return [middles[round(i * stride)] for i in range(count)]


def _between(low: float, high: float) -> float:
    """A number between, with as few decimals as that allows, but three."""
    middle = (low + high) / 2
    for decimals in range(3, 18):
        if low < round(middle, decimals) < high:
            return round(middle, decimals)
    return high


def candidates(
    trace: Trace,
    config: BWCacheConfig,
    thresholds: Sequence[float] | None = None,
    intervals: Sequence[int | float] | None = None,
    reuses: Sequence[Reuse] | None = None,
) -> tuple[list[Candidate], int]:
    """The settings worth a run, by falling work; of equal work, short stretches of reuse first.

    Args:
        trace: A complete uncached run that measured every step.
        config: Everything but the threshold and the interval.
        thresholds: What to choose from; `distinct_thresholds` where None.
        intervals: Likewise; `INTERVALS` where None.
        reuses: Values of `reuse`; the config's own where None.

    Returns:
        The candidates, and how many settings need no run: they reuse nothing, or certainly follow
        the same schedule as a candidate.
    """
    thresholds = distinct_thresholds(trace) if thresholds is None else thresholds
    every = [
        replace(config, threshold=threshold, reuse_interval=interval, reuse=reuse)
        for reuse, threshold, interval in product(
            reuses or (config.reuse,), thresholds, intervals or INTERVALS
        )
    ]
    found: dict[tuple[object, ...], Candidate] = {}
    for setting in dict.fromkeys(every):
        prediction = predict(trace, setting)
        letters = "".join("r" if action == "reuse" else "C" for action in prediction.schedule)
        if prediction.steps_reused or not prediction.exact:
            key = (setting.reuse, letters) if prediction.exact else (setting,)
            work, seconds = prediction.compute_share, prediction.predicted_seconds
            found.setdefault(key, Candidate(setting, letters, work, seconds))
    kept = sorted(found.values(), key=lambda each: (-each.work, longest_reuse(each.schedule)))
    return kept, len(set(every)) - len(kept)


def longest_reuse(schedule: str) -> int:
    """The longest stretch of reused steps: the longer, the further the video moves as a rule."""
    return max(map(len, schedule.split("C")))
