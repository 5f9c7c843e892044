"""What `bench methods` tries: every registered method over its main knob, and uncached runs.

Pure data and arithmetic; `methods.py` runs them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from ..cache.method import Knob, Method
from ..cache.methods import METHODS
from ..cache.methods.bwcache import BWCacheConfig
from ..cache.methods.bwcache_plus import BWCachePlusConfig
from ..errors import ConfigError
from ..runs.controls import CONTROLS, Control

SHARES = (0.5, 0.4, 0.33)  # of the work, at which the methods are compared
FEWEST, MOST = 0.15, 0.9  # of the work: what computes less or more is not compared
SPREAD = 2.0  # ratio of neighbouring values of a knob without an upper bound
MOST_VALUES = 9  # of a knob

# What one method's variants are told apart by; the main knob where it is not the first in sight.
VARIANTS: Mapping[str, Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        BWCacheConfig.name: {
            "paper": {"reuse": "residual", "reuse_interval": 2},
            "forecast": {"reuse": "forecast", "reuse_interval": 2},
        },
        BWCachePlusConfig.name: {
            "budget": {"schedule": "budget"},
            "holding": {"schedule": "budget", "reach": 0.0},
            "loop": {"schedule": "tolerance"},
        },
    }
)
MAIN = {"bwcache_plus/loop": "tolerance"}


@dataclass(frozen=True)
class Family:
    """A method with all its settings fixed but one; or a kind of uncached run.

    Args:
        name: Such as "bwcache/paper", or "uncached/same-levels".
        title: For people.
        method: The config's class; None for an uncached run.
        fixed: Its settings, but the main one.
        knob: The main one; None where a method has none with more than one value.
        control: The kind of an uncached run.
    """

    name: str
    title: str
    method: type[Method] | None = None
    fixed: Mapping[str, Any] = field(default_factory=dict)
    knob: Knob | None = None
    control: Control | None = None

    @property
    def is_ours(self) -> bool:
        """Whether it is the family that this project adds."""
        return self.method is BWCachePlusConfig

    def values(self, steps: int) -> list[Any]:
        """What to try of the main knob, from the default outwards; empty where there is none."""
        if self.method is None:
            return sorted({round(share * steps) for share in SHARES} - {0}, reverse=True)
        return [] if self.knob is None else knob_values(self.knob, steps)

    def config(self, value: Any = None) -> Method:
        """The method with that value of its main knob.

        Raises:
            ConfigError: It cannot be made, such as without a calibration.
        """
        assert self.method is not None
        given = {} if self.knob is None else {self.knob.name: value}
        return self.method(**{**self.fixed, **given})


def knob_values(knob: Knob, steps: int) -> list[Any]:
    """Values of a setting that are worth trying."""
    match knob.kind:
        case "choice":
            return [value for value, _ in knob.choices]
        case "number" if knob.high <= 1 and knob.low > 0:  # a share
            return list(SHARES)
        case "number":
            usual = knob.default or 0.1
            found = [usual * SPREAD**power for power in (0, -1, 1, -2, 2, -3, 3, -4, 4)]
            return [rounded(value) for value in found if knob.low <= value <= knob.high]
        case "whole" | "steps" | "count":
            if isinstance(knob.default, int) and knob.default <= steps / 4:  # a period
                top = int(min(knob.high, 6))
                return list(range(max(int(knob.low), 1), top + 1))
            found = [round(share * steps) for share in (*SHARES, 0.6, 0.25)]
            return [value for value in found if knob.low <= value <= knob.high]
    return []


def rounded(number: float) -> float:
    """The number to three digits, to be shown as it is used."""
    return float(f"{number:.3g}")


def families() -> dict[str, Family]:
    """All there are, by name: from the registry, and uncached runs."""
    found = {each.name: each for each in _of_methods()}
    return found | {
        f"uncached/{kind}": Family(f"uncached/{kind}", UNCACHED[kind], control=kind)
        for kind in CONTROLS
    }


UNCACHED: Mapping[Control, str] = {
    "fewer": "fewer uncached steps",
    "same-levels": "uncached at the levels of BWCache+",
    "shift": "fewer uncached steps, larger shift",
}


def _of_methods() -> Iterator[Family]:
    for name, method in METHODS.items():
        variants = VARIANTS.get(name, {"": {}})
        for variant, fixed in variants.items():
            full = f"{name}/{variant}" if variant else name
            knobs = [k for k in method.knobs() if k.name not in (*fixed, *method.calibrated)]
            chosen = MAIN.get(full)
            knob = next((k for k in knobs if k.name == chosen or (not chosen and k.basic)), None)
            title = f"{method.title} ({variant})" if variant else method.title
            yield Family(full, title, method, fixed, knob)


def find_families(names: Sequence[str] | None) -> list[Family]:
    """Those of these names, all where None; a method's name stands for all of its variants.

    Raises:
        ConfigError: A name is unknown, or there is none.
    """
    known = families()
    if names is None:
        return list(known.values())
    found: dict[str, Family] = {}
    for name in names or [""]:
        own = {key: each for key, each in known.items() if name in (key, key.partition("/")[0])}
        if not own:
            raise ConfigError("methods", name, ", ".join(known))
        found |= own
    return list(found.values())


def worth_reporting(shares: Mapping[Any, float], most: int) -> list[Any]:
    """Of a knob's values, with the share of the work that each computed: at most so many.

    Those around each of `SHARES`, from both sides, so that what lies between can be read off.
    """
    inside = {v: share for v, share in shares.items() if FEWEST <= share <= MOST}
    by_share = sorted(inside, key=lambda v: inside[v])
    distinct: list[Any] = []
    for value in by_share:
        if not distinct or not math.isclose(inside[value], inside[distinct[-1]], abs_tol=5e-3):
            distinct.append(value)
    wanted: list[Any] = []
    for target in SHARES:
        above = next((v for v in distinct if inside[v] >= target - 5e-3), None)
        below = next((v for v in reversed(distinct) if inside[v] <= target + 5e-3), None)
        near = sorted(
            (v for v in (above, below) if v is not None), key=lambda v: abs(inside[v] - target)
        )
        wanted += near
    return list(dict.fromkeys(wanted))[:most]
