"""MagCache: a calibrated curve of how the residual's size changes says how long it can be replayed.

Nothing is measured while it runs, so its schedule is the same for every prompt and known
beforehand. Standard library only. Source: arXiv 2506.09045, as diffusers has it, against which this
is tested bit for bit.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass

from ...errors import ConfigError
from ..method import WHOLE, Forecast, Method, Plan, RunFacts, Seen, knob


@dataclass(frozen=True)
class MagCacheState:
    """What the decision remembers of a run.

    Args:
        ratios: One for each step of this run.
        ratio: Product of the ratios since the last computed step.
        error: Sum of how far that product was from 1.
        skipped: Steps since the last computed one.
    """

    ratios: tuple[float, ...]
    ratio: float = 1.0
    error: float = 0.0
    skipped: int = 0


@dataclass(frozen=True)
class MagCacheConfig(Method):
    """How MagCache decides.

    Args:
        threshold: The accumulated error up to which the residual is replayed.
        max_skip_steps: K, how many steps in a row are replayed at most.
        retention_ratio: The share of the steps at the start that is always computed.
        ratios: The size of each step's residual over that of the step before, measured on this
            model with this number of steps; the nearest ones are taken where a run has another
            number. They belong to one model: none are built in. Kept in single precision, as
            diffusers does, so that an error that just meets the threshold decides alike.

    Raises:
        ConfigError: A setting is of the wrong kind or out of its bounds, or there are no ratios.
    """

    name = "magcache"
    title = "MagCache"
    about = "Replays for as long as a curve measured beforehand says that the size hardly changes."
    source = "arXiv 2506.09045; diffusers' MagCacheConfig"
    calibrated = ("ratios",)

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

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.ratios:
            raise ConfigError(
                "ratios",
                self.ratios,
                "one number a step, measured on this model: an uncached run with diffusers' "
                "MagCacheConfig(calibrate=True) prints them",
            )

    @property
    def forecast(self) -> Forecast:
        return "exact"

    def begin(self, run: RunFacts) -> MagCacheState:
        return MagCacheState(nearest(tuple(array("f", self.ratios)), run.num_steps))

    def decide(self, state: MagCacheState, seen: Seen) -> tuple[Plan, MagCacheState]:
        start = int(self.retention_ratio * len(state.ratios) + 0.5)
        if seen.step < start:
            return Plan(reason=f"one of the first {start} steps"), state
        if seen.computed:
            return Plan(reason="computed in any case"), MagCacheState(state.ratios)
        ratio = state.ratio * (state.ratios[seen.step] if seen.step < len(state.ratios) else 1.0)
        error, skipped = state.error + abs(1 - ratio), state.skipped + 1
        if seen.step and error <= self.threshold and skipped <= self.max_skip_steps:
            plan = Plan((WHOLE,), reason=f"error {error:.3g} after {skipped} replayed")
            return plan, MagCacheState(state.ratios, ratio, error, skipped)
        reason = f"error {error:.3g} or {skipped} in a row would be too much"
        return Plan(reason=reason), MagCacheState(state.ratios)


def nearest(ratios: tuple[float, ...], length: int) -> tuple[float, ...]:
    """So many of the ratios, evenly spaced, both ends included."""
    if len(ratios) == length:
        return ratios
    if length == 1:
        return ratios[-1:]
    scale = (len(ratios) - 1) / (length - 1)
    return tuple(ratios[round(step * scale)] for step in range(length))
