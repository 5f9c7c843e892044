"""MagCache: a calibrated curve of how the residual's size changes says how long it can be replayed.

Nothing is measured while it runs, so its schedule is the same for every prompt and known
beforehand. Standard library only. Source: arXiv 2506.09045, as diffusers has it, against which this
is tested bit for bit.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, replace

from ..calibration import resampled
from ..knob import knob
from ..method import WHOLE, Forecast, Method, Plan, RunFacts, Seen
from .schedule import Calibrated, calibration_knob


@dataclass(frozen=True)
class MagCacheState:
    """What the decision remembers of a run.

    Args:
        ratios: One for each step of this run.
        said: Where they are from.
        ratio: Product of the ratios since the last computed step.
        error: Sum of how far that product was from 1.
        skipped: Steps since the last computed one.
    """

    ratios: tuple[float, ...]
    ratio: float = 1.0
    error: float = 0.0
    skipped: int = 0
    said: str = ""


@dataclass(frozen=True)
class MagCacheConfig(Calibrated, Method):
    """How MagCache decides.

    Args:
        threshold: The accumulated error up to which the residual is replayed; 0 reuses nothing.
        max_skip_steps: K, how many steps in a row are replayed at most.
        retention_ratio: The share of the steps at the start that is always computed.
        ratios: The size of each step's residual over that of the step before, measured on this
            model with this number of steps; the nearest ones are taken where a run has another
            number. The calibration's where none are given. Kept in single precision, as diffusers
            does, so that an error that just meets the threshold decides alike.
        calibration: Whose ratios; see `bwcache.cache.calibration`.

    Raises:
        ConfigError: A setting is of the wrong kind or out of its bounds.
    """

    name = "magcache"
    title = "MagCache"
    about = "Replays for as long as a curve measured beforehand says that the size hardly changes."
    source = "arXiv 2506.09045; diffusers' MagCacheConfig"
    calibrated = ("ratios", "calibration")

    threshold: float = knob(
        0.06,
        "number",
        "Error allowed",
        "How much error may add up before a step is computed again.",
        "Sum of |1 − product of the ratios| since the last computed step.",
        basic=True,
    )
    max_skip_steps: int = knob(
        3,
        "whole",
        "Longest stretch",
        "How many steps in a row may be replayed.",
        "K: consecutive replayed steps, at most.",
        low=1,
        high=1000,
    )
    retention_ratio: float = knob(
        0.2,
        "number",
        "Computed at the start",
        "How much of the beginning is always computed.",
        "Share of the steps at the start in which nothing is replayed.",
        high=1,
    )
    ratios: tuple[float, ...] = knob(
        (),
        "numbers",
        "Calibration",
        "A curve that was measured on this model.",
        "Size of each step's residual over that of the step before; one number a step.",
    )

    calibration: str = calibration_knob()

    def check_model(self, model: str) -> None:
        if not self.ratios:
            super().check_model(model)

    @property
    def only_measures(self) -> bool:
        return self.threshold == 0

    @property
    def forecast(self) -> Forecast:
        return "exact"

    def begin(self, run: RunFacts) -> MagCacheState:
        ratios, said = self.ratios, ""
        if not ratios:
            found = self.measured(run)
            ratios, said = found.nearest(run.num_steps)[1]["ratios"], found.said(run.num_steps)
        return MagCacheState(resampled(tuple(array("f", ratios)), run.num_steps), said=said)

    def decide(self, state: MagCacheState, seen: Seen) -> tuple[Plan, MagCacheState]:
        start = int(self.retention_ratio * len(state.ratios) + 0.5)
        if seen.step < start:
            return Plan(reason=f"one of the first {start} steps"), state
        if seen.computed:
            return Plan(reason="computed in any case"), replace(
                state, ratio=1.0, error=0.0, skipped=0
            )
        ratio = state.ratio * (state.ratios[seen.step] if seen.step < len(state.ratios) else 1.0)
        error, skipped = state.error + abs(1 - ratio), state.skipped + 1
        if (
            self.threshold
            and seen.step
            and error <= self.threshold
            and skipped <= self.max_skip_steps
        ):
            plan = Plan((WHOLE,), reason=f"error {error:.3g} after {skipped} replayed")
            return plan, replace(state, ratio=ratio, error=error, skipped=skipped)
        reason = f"error {error:.3g} or {skipped} in a row would be too much"
        return Plan(reason=reason), replace(state, ratio=1.0, error=0.0, skipped=0)

    def facts(self, state: MagCacheState) -> dict[str, str]:
        return {"calibration": state.said} if state.said else {}
