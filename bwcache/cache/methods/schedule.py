"""What methods with a schedule share that is known before the run: settings, searching, replaying.

Standard library only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from ..calibration import Calibration, find, needed
from ..knob import knob
from ..method import WHOLE, Forecast, Method, Plan, RunFacts, Seen, Site, Span

MORE_THAN_ANY = float("inf")


def whole(default: int, title: str, everybody: str, expert: str, **more):
    """A whole-number setting."""
    return knob(default, "whole", title, everybody, expert, **{"low": 1, "high": 1000, **more})


def period_knob(default: int, **more):
    """How many steps from one computed step to the next."""
    return whole(
        default,
        "Period",
        "Every so many-th step is computed, the others are replayed: higher is faster.",
        "N: steps from one computed step to the next; 1 reuses nothing.",
        basic=True,
        **more,
    )


def granularity_knob():
    """Whether the stack is replayed, or every attention and MLP for itself."""
    return knob(
        "stack",
        "choice",
        "What is replayed",
        "The whole stack of blocks at once, or every attention and MLP for itself.",
        "stack: one residual; modules: the output of each attention and MLP, which is more memory.",
        choices=[("stack", "the whole stack"), ("modules", "attentions and MLPs")],
    )


def warm_up_knob(default: int | float):
    """Every method's warm-up, with another default."""
    usual = replace(Method.knob("warm_up_steps"), default=default)
    return field(default=default, metadata={"knob": usual}, kw_only=True)


def calibration_knob():
    """Which calibration is used."""
    return knob(
        "",
        "name",
        "Calibration",
        "Numbers that were measured on this model beforehand.",
        "A model's name or a JSON file of `bwcache calibrate`; the model's own by default.",
    )


class Calibrated(Method):
    """A method with a `calibration` setting, which it needs."""

    calibrated: ClassVar[tuple[str, ...]] = ("calibration",)
    needs_calibration = True
    calibration: str

    def check_model(self, model: str) -> None:
        needed(self.calibration or model, self.name)

    def measured(self, run: RunFacts) -> Calibration:
        """What was measured on the run's model, or what is named instead."""
        return needed(self.calibration or run.model, self.name)


class MaybeCalibrated(Calibrated):
    """A method with a `calibration` setting that works without one, too."""

    needs_calibration = False

    def check_model(self, model: str) -> None:
        if self.calibration:
            needed(self.calibration, self.name)

    def measured_if(self, run: RunFacts) -> Calibration | None:
        """The same; None where nothing was measured."""
        return find(self.calibration or run.model, self.name)


@dataclass(frozen=True)
class Fixed:
    """A schedule that is known before the run.

    Args:
        reused: For each step, the spans that it replays.
        said: Where the schedule is from.
    """

    reused: tuple[tuple[Span, ...], ...]
    said: str = ""

    @classmethod
    def of_steps(
        cls,
        computed: set[int],
        num_steps: int,
        said: str = "",
        spans: tuple[Span, ...] = (WHOLE,),
    ) -> Fixed:
        """One that computes these steps whole, and replays these spans in the others."""
        return cls(tuple(() if t in computed else spans for t in range(num_steps)), said)


class FixedSchedule(Method):
    """A method whose schedule depends on nothing that a run measures: subclass and say `fixed`."""

    @property
    def forecast(self) -> Forecast:
        return "exact"

    def fixed(self, run: RunFacts) -> Fixed:
        """The schedule of a run."""
        raise NotImplementedError(f"{type(self).__name__}.fixed")

    def begin(self, run: RunFacts) -> Fixed:
        return self.fixed(run)

    def decide(self, state: Fixed, seen: Seen) -> tuple[Plan, Fixed]:
        spans = state.reused[seen.step] if seen.step < len(state.reused) else ()
        return Plan(
            spans, reason="as the schedule has it" if spans else "computed by schedule"
        ), state

    def facts(self, state: Fixed) -> dict[str, str]:
        return {"calibration": state.said} if state.said else {}


class ByGranularity(FixedSchedule):
    """A fixed schedule with a `granularity` setting: of the stack, or of each attention and MLP."""

    granularity: str

    @property
    def site(self) -> Site:
        return "modules" if self.granularity == "modules" else "blocks"

    @property
    def replay(self) -> str:
        return "output" if self.site == "modules" else "residual"

    def kept(self, run: RunFacts) -> tuple[Span, ...]:
        return (WHOLE,) if self.site == "blocks" else run.singly()


def best_path(
    num_steps: int, updates: int, cost: Callable[[int, int], float], worst: bool = False
) -> set[int]:
    """The computed steps that cost least, step 0 among them, by dynamic programming.

    Args:
        num_steps: T.
        updates: How many steps are computed, at most T.
        cost: Of computing step i next after it only j, or never again where j is T.
        worst: Whether the dearest stretch counts first and their sum second, not their sum alone.

    Returns:
        The computed steps.
    """
    updates = max(1, min(updates, num_steps))
    best: list[dict[int, tuple[tuple[float, float], tuple[int, ...]]]] = [{0: ((0.0, 0.0), (0,))}]
    for _ in range(1, updates):
        found: dict[int, tuple[tuple[float, float], tuple[int, ...]]] = {}
        for last, (sofar, path) in best[-1].items():
            for step in range(last + 1, num_steps):
                total = _added(sofar, cost(last, step), worst)
                if step not in found or total < found[step][0]:
                    found[step] = (total, (*path, step))
        best.append(found)
    ends = [
        (_added(sofar, cost(last, num_steps), worst), path)
        for last, (sofar, path) in best[-1].items()
    ]
    return set(min(ends)[1])


def _added(sofar: tuple[float, float], more: float, worst: bool) -> tuple[float, float]:
    total = sofar[1] + more
    return (max(sofar[0], more) if worst else total, total)


def lagged(table: Sequence[Sequence[float]], step: int, lag: int) -> float:
    """An entry of a table of numbers by step and lag; that of the longest lag for longer ones.

    Args:
        table: For each step the numbers of what follows it after 1, 2, 3 … steps.
        step: The step.
        lag: How many steps later, from 1.
    """
    row = table[min(step, len(table) - 1)]
    return row[min(lag, len(row)) - 1] if row else MORE_THAN_ANY
