"""FORA: every so many-th step is computed, the others are replayed. The plainest cache there is.

Standard library only. Source: arXiv 2407.01425. There each attention and MLP output is kept and
gated anew; here the stack's residual, which is their sum with the gates of the computed step.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..method import RunFacts
from .schedule import Fixed, FixedSchedule, period_knob


@dataclass(frozen=True)
class FORAConfig(FixedSchedule):
    """How FORA decides.

    Args:
        period: N, the steps from one computed step to the next; 1 reuses nothing.

    Raises:
        ConfigError: A setting is of the wrong kind or out of its bounds.
    """

    name = "fora"
    title = "FORA"
    about = "Computes every so many-th step and replays the others, whatever they show."
    source = "arXiv 2407.01425"

    period: int = period_knob(3)

    @property
    def only_measures(self) -> bool:
        return self.period == 1

    def fixed(self, run: RunFacts) -> Fixed:
        return Fixed.of_steps(set(range(0, run.num_steps, self.period)), run.num_steps)
