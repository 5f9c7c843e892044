"""FORA: every so many-th step is computed, the others are replayed. The plainest cache there is.

Standard library only. Source: arXiv 2407.01425. There each attention and MLP output is kept and
gated anew, as with `granularity="modules"` here; with "stack" it is the stack's residual, which is
their sum with the gates of the computed step.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..method import RunFacts
from .schedule import ByGranularity, Fixed, granularity_knob, period_knob


@dataclass(frozen=True)
class FORAConfig(ByGranularity):
    """How FORA decides.

    Args:
        period: N, the steps from one computed step to the next; 1 reuses nothing.
        granularity: "stack" replays the stack's residual; "modules" each attention's and MLP's
            output.

    Raises:
        ConfigError: A setting is of the wrong kind or out of its bounds.
    """

    name = "fora"
    title = "FORA"
    about = "Computes every so many-th step and replays the others, whatever they show."
    source = "arXiv 2407.01425"

    period: int = period_knob(3)
    granularity: str = granularity_knob()

    @property
    def only_measures(self) -> bool:
        return self.period == 1

    def fixed(self, run: RunFacts) -> Fixed:
        computed = set(range(0, run.num_steps, self.period))
        return Fixed.of_steps(computed, run.num_steps, spans=self.kept(run))
