"""SmoothCache: a calibrated error of replaying at each distance says how far a step may serve.

    from a computed step t: the longest lag L ≤ K with error[t][L] < α; t+1 … t+L are replayed

The first and the last step are computed. Standard library only. Source: arXiv 2411.10510. There
attention and MLP outputs have schedules of their own; here there is one for the whole stack.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..calibration import resampled
from ..method import RunFacts, knob
from .schedule import Calibrated, Fixed, FixedSchedule, calibration_knob, lagged, whole


@dataclass(frozen=True)
class SmoothCacheConfig(Calibrated, FixedSchedule):
    """How SmoothCache decides.

    Args:
        threshold: α, the calibrated error below which a step is replayed; 0 reuses nothing.
        max_skip_steps: K, how many steps in a row are replayed at most.
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
    calibration: str = calibration_knob()

    @property
    def only_measures(self) -> bool:
        return self.threshold == 0

    def fixed(self, run: RunFacts) -> Fixed:
        found = self.measured(run)
        table = resampled(found.nearest(run.num_steps)[1]["errors"], run.num_steps)
        computed, step = {run.num_steps - 1}, 0
        while step < run.num_steps:
            computed.add(step)
            longest = min(self.max_skip_steps, len(table[step]))
            lags = (
                lag for lag in range(longest, 0, -1) if lagged(table, step, lag) < self.threshold
            )
            step += 1 + next(lags, 0)
        return Fixed.of_steps(computed, run.num_steps, found.said(run.num_steps))
