"""LeMiCa-like: of all schedules with so many computed steps, that whose worst stretch is best.

A stretch from one computed step to the next costs the calibrated error of its last step; paths are
compared by their dearest stretch first, by the sum second. Standard library only. Source: arXiv
2511.00090, whose graph has the error in the finished video on its edges; here it is the error of
the stack's residual, which one uncached run a prompt measures.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..calibration import resampled
from ..knob import knob, steps_of
from ..method import RunFacts
from .schedule import Calibrated, Fixed, FixedSchedule, best_path, calibration_knob, lagged


@dataclass(frozen=True)
class LeMiCaConfig(Calibrated, FixedSchedule):
    """How the schedule is found.

    Args:
        updates: How many steps are computed: a number, or a share of all. As many as there are
            steps reuse nothing.
        calibration: Whose errors; see `bwcache.cache.calibration`.

    Raises:
        ConfigError: A setting is of the wrong kind or out of its bounds.
    """

    name = "lemica"
    title = "LeMiCa-style"
    about = (
        "Computes a given number of steps, so placed that the worst stretch is as good as can be."
    )
    source = "arXiv 2511.00090"

    updates: int | float = knob(
        0.4,
        "steps",
        "Computed steps",
        "How many steps are computed: fewer is faster and less alike.",
        "M: computed steps, a whole number or a share of all such as 0.4.",
        basic=True,
    )
    calibration: str = calibration_knob()

    def fixed(self, run: RunFacts) -> Fixed:
        found = self.measured(run)
        table = resampled(found.nearest(run.num_steps)[1]["errors"], run.num_steps)

        def cost(step: int, following: int) -> float:
            return lagged(table, step, following - step - 1) if following > step + 1 else 0.0

        computed = best_path(run.num_steps, steps_of(self.updates, run.num_steps), cost, worst=True)
        return Fixed.of_steps(computed, run.num_steps, found.said(run.num_steps))
