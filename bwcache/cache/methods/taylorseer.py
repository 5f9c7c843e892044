"""TaylorSeer: every so many-th step is computed, the others are forecast by a Taylor series.

    r(t + k) = Σ Δⁿr / N ⁿ · kⁿ / n!     n = 0 … order, Δ: differences between computed steps

On the whole stack's residual, or on every attention's and MLP's output. Standard library only.
Source: arXiv 2503.06923, Eq. 4-6.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..knob import steps_of
from ..method import RunFacts
from .schedule import ByGranularity, Fixed, granularity_knob, period_knob, warm_up_knob, whole


@dataclass(frozen=True)
class TaylorSeerConfig(ByGranularity):
    """How TaylorSeer decides and forecasts.

    Args:
        period: N, the steps from one computed step to the next; 1 reuses nothing.
        order: The highest difference of the forecast; 0 holds the residual. As many tensors more
            are kept. The change from the run's first step, which is pure noise, is not counted.
        granularity: "stack" forecasts the stack's residual; "modules" every attention's and MLP's
            output, as the authors do, which keeps `order` + 1 tensors for each of them.
        warm_up_steps: Steps at the start that are computed, three as published.

    Raises:
        ConfigError: A setting is of the wrong kind or out of its bounds.
    """

    name = "taylorseer"
    title = "TaylorSeer"
    about = "Computes every so many-th step and forecasts the others from how they changed."
    source = "arXiv 2503.06923"

    period: int = period_knob(3)
    order: int = whole(
        1,
        "Order",
        "How many times the change of the change is followed.",
        "Highest finite difference of the series; 0 holds the last residual.",
        low=0,
        high=4,
    )
    granularity: str = granularity_knob()
    warm_up_steps: int | float = warm_up_knob(3)

    @property
    def only_measures(self) -> bool:
        return self.period == 1

    @property
    def replay(self) -> str:
        return f"taylor:{self.order}" if self.site == "blocks" else f"taylor_output:{self.order}"

    def fixed(self, run: RunFacts) -> Fixed:
        last = max(0, steps_of(self.warm_up_steps, run.num_steps) - 1)  # of the warm-up
        computed = {*range(last + 1), *range(last, run.num_steps, self.period)}
        return Fixed.of_steps(computed, run.num_steps, spans=self.kept(run))
