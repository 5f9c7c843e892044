"""The settings that a search may try: each predicted from an uncached run, none of them twice.

Standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, product

from ..cache.method import LETTERS
from ..cache.methods.bwcache import BWCacheConfig, Reuse
from ..cache.predict import predict
from ..cache.trace import Trace

INTERVALS = (1, 2, 3, 4, 5, 6, 8, 12)
MOST_TRIGGERS = 24  # trigger steps that are told apart


@dataclass(frozen=True)
class Candidate:
    """A setting that might be tried.

    Args:
        config: The settings.
        schedule: What each step would do, as letters: C computes, r reuses.
        seconds: The denoising loop's, predicted from the uncached run's own step times.
    """

    config: BWCacheConfig
    schedule: str
    seconds: float

    def gentler(self, other: Candidate) -> bool:
        """Whether this one starts no earlier, reuses no longer stretches, and is another one.

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


def telling_thresholds(trace: Trace) -> list[float]:
    """A threshold for each step at which reuse could start, each between two indicators.

    Any other threshold starts at the same step as one of these: what counts is the first step
    whose indicator is below it, so only an indicator below all before it tells thresholds apart.
    """
    lows: list[float] = []
    for value in trace.indicators:
        if value is not None and 0 <= value < (lows[-1] if lows else math.inf):
            lows.append(value)
    if not lows:
        return []
    places = [_between(low, high) for high, low in pairwise([lows[0] * 1.2 or 1.0, *lows])]
    count = min(MOST_TRIGGERS, len(places))
    stride = (len(places) - 1) / max(1, count - 1)
    return [places[round(i * stride)] for i in range(count)]


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
    methods: Sequence[Reuse] | None = None,
) -> tuple[list[Candidate], int]:
    """The settings worth a run, by falling predicted seconds.

    Args:
        trace: A complete uncached run that measured every step.
        config: Everything but the threshold and the interval.
        thresholds: What to choose from; `telling_thresholds` where None.
        intervals: Likewise; `INTERVALS` where None.
        methods: Values of `reuse`; the config's own where None.

    Returns:
        The candidates, and how many settings need no run: they reuse nothing, or certainly follow
        the same schedule as a candidate.
    """
    thresholds = telling_thresholds(trace) if thresholds is None else thresholds
    every = [
        replace(config, threshold=threshold, reuse_interval=interval, reuse=reuse)
        for reuse, threshold, interval in product(
            methods or (config.reuse,), thresholds, intervals or INTERVALS
        )
    ]
    found: dict[tuple, Candidate] = {}
    for setting in dict.fromkeys(every):
        foretold = predict(trace, setting)
        letters = "".join(LETTERS[action] for action in foretold.schedule)
        if foretold.steps_reused or not foretold.exact:
            key = (setting.reuse, letters) if foretold.exact else (setting,)
            found.setdefault(key, Candidate(setting, letters, foretold.predicted_seconds))
    kept = sorted(found.values(), key=lambda candidate: -candidate.seconds)
    return kept, len(set(every)) - len(kept)
