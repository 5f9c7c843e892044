"""TeaCache: the change of the timestep's embedding, put through a polynomial, adds up until enough.

    Σ p(‖e − e of the step before‖₁ / ‖e of the step before‖₁) < δ   → replay

The polynomial p says how much of the output's change goes with a change of the embedding, and
belongs to a model. Measured on it by `bwcache calibrate`; borrowed from the authors for Wan 2.1 and
HunyuanVideo; else the identity. On Wan the embedding knows no prompt, so neither does the schedule.

Standard library only. Source: arXiv 2411.19108 and its repository. What is measured is what a block
is given: on Wan the six modulations ("use_ret_steps" there), whose polynomials these are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..knob import knob
from ..method import WHOLE, Method, Plan, Probe, RunFacts, Seen
from .schedule import MaybeCalibrated, calibration_knob

SIGNAL, EMBEDDING = "signal", "temb"
IDENTITY = (1.0, 0.0)


@dataclass(frozen=True)
class TeaCacheState:
    """What the decision remembers of a run.

    Args:
        num_steps: T.
        coefficients: The polynomial's, from the highest degree down.
        said: Where they are from.
        total: What has added up since the last computed step.
    """

    num_steps: int
    coefficients: tuple[float, ...]
    said: str
    total: float = 0.0


@dataclass(frozen=True)
class TeaCacheConfig(MaybeCalibrated, Method):
    """How TeaCache decides.

    Args:
        threshold: δ, what may add up before a step is computed again; 0 reuses nothing.
        signal: What is measured: "temb", the timestep's embedding as a block is given it, or
            "hidden_states", the first block's input; "model": what the model's polynomial belongs
            to, the embedding where there is none.
        coefficients: Of the polynomial, from the highest degree down; the calibrated ones of the
            model where there are none, the identity where there are no such either.
        calibration: Whose polynomial; see `bwcache.cache.calibration`.

    Raises:
        ConfigError: A setting is of the wrong kind or out of its bounds.
    """

    name = "teacache"
    title = "TeaCache"
    about = "Replays until the change of the timestep's embedding has added up."
    source = "arXiv 2411.19108"
    calibrated = ("coefficients", "calibration")

    threshold: float = knob(
        0.1,
        "number",
        "Threshold",
        "How much change may add up before a step is computed again.",
        "δ: sum of the polynomial of the embedding's relative L1 change.",
        basic=True,
    )
    signal: str = knob(
        "model",
        "choice",
        "Measured",
        "What is measured.",
        "The timestep's embedding as blocks get it, or the first block's input.",
        choices=[
            ("model", "as calibrated"),
            (EMBEDDING, "timestep embedding"),
            ("hidden_states", "first block's input"),
        ],
    )
    coefficients: tuple[float, ...] = knob(
        (),
        "numbers",
        "Polynomial",
        "How the measured change goes with the output's.",
        "Coefficients from the highest degree down; the model's own by default.",
    )
    calibration: str = calibration_knob()

    @property
    def only_measures(self) -> bool:
        return self.threshold == 0

    def probes(self, run: RunFacts) -> tuple[Probe, ...]:
        of = self.signal
        if of == "model":
            found = self.measured_if(run)
            of = EMBEDDING if found is None else found.nearest(run.num_steps)[1]["signal"]
        return (Probe(SIGNAL, of, (0,), "measured", tokens=None, first_branch=True),)

    def begin(self, run: RunFacts) -> TeaCacheState:
        if self.coefficients:
            return TeaCacheState(run.num_steps, self.coefficients, "as given")
        found = self.measured_if(run)
        numbers = {} if found is None else found.nearest(run.num_steps)[1]
        if found is None or self.signal not in ("model", numbers["signal"]):
            said = "uncalibrated: the change itself adds up"
            return TeaCacheState(run.num_steps, IDENTITY, said)
        coefficients = tuple(map(float, numbers["coefficients"]))
        return TeaCacheState(run.num_steps, coefficients, found.said(run.num_steps))

    def decide(self, state: TeaCacheState, seen: Seen) -> tuple[Plan, TeaCacheState]:
        if seen.block is None:
            return Plan(until=0, reason="the embedding is about to be seen"), state
        if SIGNAL not in seen.numbers:
            return Plan(reason="nothing to compare with yet"), replace(state, total=0.0)
        if seen.step == state.num_steps - 1 or seen.computed:
            plan = Plan(reason="computed in any case" if seen.computed else "the last step")
            return plan, replace(state, total=0.0)
        total = state.total + polynomial(state.coefficients, seen.numbers[SIGNAL][0])
        if self.threshold and total < self.threshold:
            plan = Plan((WHOLE,), reason=f"changes add up to {total:.4g}")
            return plan, replace(state, total=total)
        plan = Plan(reason=f"changes add up to {total:.4g}, too much")
        return plan, replace(state, total=0.0)

    def facts(self, state: TeaCacheState) -> dict[str, str]:
        return {"calibration": state.said}


def polynomial(coefficients: Sequence[float], x: float) -> float:
    """Its value at x; coefficients from the highest degree down."""
    value = 0.0
    for each in coefficients:
        value = value * x + each
    return value
