"""What `bench replays` compares, and the settings that each is tried at.

Pure data and arithmetic; `replays.py` runs them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType
from typing import get_args

from ..cache.methods.bwcache import BWCacheConfig, Gate, Reuse
from ..errors import ConfigError
from ..models import ModelSpec

FEWER_STEPS = "fewer-steps"
INTERVALS = (1, 2, 3, 4, 6, 8)  # reuse intervals that are measured, here and by `presets.py`
SPREAD = 4  # thresholds over the indicator's range
SMALLEST = 1e-3  # of the range's upper end, where its lower end is zero
LARGER = 1.5  # the larger threshold is at least so many times the preset's
STEP_COUNTS, FEWEST = 12, 0.2  # uncached runs, down to this share of the steps


@dataclass(frozen=True)
class SettingToTry:
    """One setting of a way to save work.

    Args:
        text: For people: "δ 0.045, R 4" or "13 steps".
        config: The caching settings; None where the run is uncached.
        steps: Denoising steps of an uncached run; None where they are the usual ones.
    """

    text: str
    config: BWCacheConfig | None = None
    steps: int | None = None

    def as_dict(self) -> dict[str, object]:
        return {"steps": self.steps} if self.config is None else self.config.as_dict()


@dataclass(frozen=True)
class Approach:
    """A way to save work: `reuse` and `gate` of BWCache, or neither for fewer steps."""

    name: str
    reuse: Reuse | None = None
    gate: Gate | None = None

    def settings(self, spec: ModelSpec, pairs: Sequence[tuple]) -> list[SettingToTry]:
        """Every setting to try, gentlest step counts first.

        Args:
            spec: The model, with the steps of the uncached run.
            pairs: Pairs of threshold and reuse interval.
        """
        if self.reuse is None:
            return [SettingToTry(f"{n} steps", steps=n) for n in step_counts(spec.steps)]
        return [
            SettingToTry(
                f"δ {threshold:g}, R {interval:g}",
                BWCacheConfig(
                    threshold, interval, reuse=self.reuse, gate=self.gate, **spec.indicator
                ),
            )
            for threshold, interval in pairs
        ]


APPROACHES: Mapping[str, Approach] = MappingProxyType(
    {
        each.name: each
        for each in (
            *(
                Approach(
                    f"bwcache-{reuse}" + ("-recheck" if gate == "recheck" else ""), reuse, gate
                )
                for gate, reuse in product(get_args(Gate), get_args(Reuse))
            ),
            Approach(FEWER_STEPS),
        )
    }
)


def find_approaches(names: Sequence[str] | None) -> list[Approach]:
    """The methods of these names, all where None.

    Raises:
        ConfigError: A name is unknown, or there is none.
    """
    names = list(APPROACHES) if names is None else list(dict.fromkeys(names))
    for name in names or [""]:
        if name not in APPROACHES:
            raise ConfigError("methods", name, ", ".join(APPROACHES))
    return [APPROACHES[name] for name in names]


def pairs_to_try(
    spec: ModelSpec,
    measured: tuple[float, float] | None,
    thresholds: Sequence[float] | None = None,
    intervals: Sequence[int | float] | None = None,
) -> list[tuple[float, int | float]]:
    """Pairs of threshold and reuse interval to try.

    Args:
        spec: The model; its default preset is where the intervals are varied.
        measured: Smallest and largest indicator; None where nothing was measured.
        thresholds, intervals: What to try instead, every one with every other.

    Returns:
        A few thresholds over the range at the preset's interval, and all intervals at the
        preset's threshold and at a larger one. Where the preset's threshold is outside the range,
        as with random weights, one of the few stands in for it.
    """
    preset = spec.default_preset.config
    low, high = measured or (0.0, 0.0)
    if high <= 0:  # nothing measured, or nothing changed
        low, high = preset.threshold / 2, preset.threshold * 2
    few = between(max(low, SMALLEST * high), high, SPREAD)
    centre = preset.threshold if low < preset.threshold < high else few[1]
    larger = next((x for x in few if x > LARGER * centre), rounded(2 * centre))
    if thresholds is not None or intervals is not None:
        chosen = (thresholds or (centre, larger), intervals or INTERVALS)
        return list(dict.fromkeys(product(*chosen)))
    pairs = [(threshold, preset.reuse_interval) for threshold in few]
    return list(dict.fromkeys([*pairs, *product((centre, larger), INTERVALS)]))


def between(low: float, high: float, count: int) -> list[float]:
    """So many numbers between two positive ones, at equal ratios."""
    ratio = (high / low) ** (1 / (count + 1))
    return [rounded(low * ratio**i) for i in range(1, count + 1)]


def rounded(number: float) -> float:
    """The number to three digits, to be shown as it is used."""
    return float(f"{number:.3g}")


def step_counts(steps: int) -> list[int]:
    """Numbers of steps from two less than the usual ones down to about a fifth of them."""
    most, fewest = max(2, steps - 2), max(2, round(FEWEST * steps))
    stride = max(1, round((most - fewest) / (STEP_COUNTS - 1)))
    return list(range(most, fewest - 1, -stride))
