"""SmoothCache: a calibrated error of replaying at each distance says how far a step may serve.

    from a computed step t: the longest lag L ≤ K with error[t][L] < α; t+1 … t+L are replayed

The first and the last step are computed. Standard library only. Source: arXiv 2411.10510, where
self-attention, cross-attention and MLP have a schedule each, as with `granularity="modules"` here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import ConfigError
from ..calibration import resampled
from ..knob import knob
from ..method import Forecast, RunFacts, Span
from .schedule import (
    ByGranularity,
    Calibrated,
    Fixed,
    calibration_knob,
    granularity_knob,
    lagged,
    whole,
)


@dataclass(frozen=True)
class SmoothCacheConfig(Calibrated, ByGranularity):
    """How SmoothCache decides.

    Args:
        threshold: α, the calibrated error below which a step is replayed; 0 reuses nothing.
        max_skip_steps: K, how many steps in a row are replayed at most.
        granularity: "stack" has one schedule for the stack's residual; "modules" one for each kind
            of module, whose outputs are replayed.
        calibration: Whose errors; see `bwcache.cache.calibration`.

    Raises:
        ConfigError: A setting is of the wrong kind or out of its bounds.
    """

    name = "smoothcache"
    title = "SmoothCache"
    about = "Replays as far as errors measured beforehand say that a computed step serves."
    source = "arXiv 2411.10510"

    threshold: float = knob(
        0.15,
        "number",
        "Error allowed",
        "How large the error measured beforehand may be.",
        "α: relative L1 of the stack's residual between the computed and the replayed step.",
        basic=True,
    )
    max_skip_steps: int = whole(
        3,
        "Longest stretch",
        "How many steps in a row may be replayed.",
        "K: consecutive replayed steps, at most.",
    )
    granularity: str = granularity_knob()
    calibration: str = calibration_knob()

    @property
    def only_measures(self) -> bool:
        return self.threshold == 0

    @property
    def forecast(self) -> Forecast:
        """A trace does not tell which of a block's modules would run."""
        return "exact" if self.site == "blocks" else "none"

    def fixed(self, run: RunFacts) -> Fixed:
        found = self.measured(run)
        numbers, said = found.nearest(run.num_steps)[1], found.said(run.num_steps)
        if self.site == "blocks":
            computed = self._computed(resampled(numbers["errors"], run.num_steps))
            return Fixed.of_steps(computed, run.num_steps, said)
        by_part = {part: self._of_part(numbers, part, run.num_steps) for part in set(run.parts)}
        reused = tuple(
            tuple(Span(i, i + 1) for i, part in enumerate(run.parts) if t not in by_part[part])
            for t in range(run.num_steps)
        )
        return Fixed(reused, said)

    def _of_part(self, numbers: Mapping[str, Any], part: str, num_steps: int) -> set[int]:
        if (table := numbers.get(f"errors_{part}")) is None:
            allowed = f"one with errors of {part}: calibrate once more"
            raise ConfigError("calibration", self.calibration, allowed)
        return self._computed(resampled(table, num_steps))

    def _computed(self, table: Sequence[Sequence[float]]) -> set[int]:
        """The steps to compute, from the errors by step and lag."""
        computed, step = {len(table) - 1}, 0
        while step < len(table):
            computed.add(step)
            longest = min(self.max_skip_steps, len(table[step]))
            lags = (
                lag for lag in range(longest, 0, -1) if lagged(table, step, lag) < self.threshold
            )
            step += 1 + next(lags, 0)
        return computed
