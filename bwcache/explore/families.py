"""What is tried where methods are compared: each over its main knob, and uncached runs.

Pure data and arithmetic; `compare_methods.py` runs them for one prompt, `bench methods` for many.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from types import MappingProxyType
from typing import Any

from ..cache.calibration import is_known
from ..cache.knob import Knob
from ..cache.method import Method
from ..cache.methods import METHODS
from ..cache.methods.bwcache import BWCacheConfig
from ..cache.methods.bwcache_plus import BWCachePlusConfig
from ..errors import ConfigError
from ..models import CATALOGUE
from ..runs.controls import CONTROLS, Control

SHARES = (0.5, 0.4, 0.33)  # of the work, at which the methods are compared
NEAR = 0.025  # of the work: a point so near to a share stands for it, since steps are whole
FEWEST, MOST = 0.15, 0.9  # of the work: what computes less or more is not compared
SPREAD = 2.0  # ratio of neighbouring values of a knob without an upper bound
MOST_VALUES = 4  # of a knob, to either side of its default
SATURATED = 5e-3  # of the work: two settings that differ by less are one

# What one method's variants are told apart by.
VARIANTS: Mapping[str, Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        BWCacheConfig.name: {
            "paper": {"reuse": "residual"},
            "forecast": {"reuse": "forecast"},
        },
        BWCachePlusConfig.name: {
            "budget": {"schedule": "budget"},
            "uncorrected": {"schedule": "budget", "correction": 0.0},
            "holding": {"schedule": "budget", "reach": 0.0, "correction": 0.0},
            "loop": {"schedule": "tolerance"},
        },
        "taylorseer": {"stack": {"granularity": "stack"}, "modules": {"granularity": "modules"}},
        "fastercache": {"published": {}, "holding": {"active_from": 0.1, "weight": 1.0}},
        "fora": {"stack": {"granularity": "stack"}, "modules": {"granularity": "modules"}},
        "skip_cache": {
            "1-block": {"computed_blocks": 1},
            "2-blocks": {"computed_blocks": 2},
            "3-blocks": {"computed_blocks": 3},
        },
    }
)
INTERVALS = (1, 2, 3, 4, 6, 8)
GUIDANCE_PERIODS = (2, 3, 5, 8)  # of a branch: half of the work is left at best
# The main knob, where it is not the first in sight, and its values, where they are not its kind's.
MAIN: Mapping[str, tuple[str, tuple]] = MappingProxyType(
    {
        "bwcache_plus/loop": ("tolerance", ()),
        "bwcache/paper": ("reuse_interval", INTERVALS),
        "bwcache/forecast": ("reuse_interval", INTERVALS),
        "fastercache/published": ("period", GUIDANCE_PERIODS),
        "fastercache/holding": ("period", GUIDANCE_PERIODS),
    }
)


# Values of a main knob that do nothing; elsewhere a period of 1, and "off".
IDLE: Mapping[str, tuple] = MappingProxyType({"bwcache/paper": (), "bwcache/forecast": ()})
# The families that people ask for by name, and the uncached runs that a cache has to beat.
BEST_KNOWN = (
    *("bwcache_plus/budget", "bwcache/forecast", "bwcache/paper", "first_block_cache", "teacache"),
    *("magcache", "easycache", "taylorseer/modules", "uncached/same-levels", "uncached/fewer"),
)


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

    def can_run(self, model: str) -> bool:
        """Whether a model of the catalogue has the long skips that it needs; others are unknown."""
        spec = CATALOGUE.get(model)
        if self.method is None or spec is None:
            return True
        return self.method(**self.fixed).long_skips <= spec.long_skips

    @property
    def is_ours(self) -> bool:
        """Whether it is the family that this project adds."""
        return self.method is BWCachePlusConfig

    def values(self, steps: int) -> list[Any]:
        """What to try of the main knob; empty where there is none, or it has no end: `outwards`."""
        if self.method is None:
            return sorted({round(share * steps) for share in SHARES} - {0}, reverse=True)
        if self.knob is None:
            return []
        return list(MAIN.get(self.name, ("", ()))[1]) or knob_values(self.knob, steps)

    def few(self, steps: int, most: int = 3) -> list[Any]:
        """Values worth trying without knowing what they do, the middle one first.

        Args:
            steps: Of the run.
            most: So many at most.
        """
        knob = self.knob
        if self.method is not None and knob is None:
            return [None]
        found = self.values(steps)
        if not found:
            assert knob is not None
            usual = knob.default or 0.1
            found = [rounded(usual * SPREAD**power) for power in (-1, 0, 1)]
            found = [value for value in found if knob.low <= value <= knob.high]
        found = [value for value in found if value not in IDLE.get(self.name, (1, "off"))]
        middle = len(found) // 2
        by_nearness = sorted(range(len(found)), key=lambda at: (abs(at - middle), at))
        return [found[at] for at in by_nearness[:most]]

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
        case "whole" | "steps" | "count":
            if isinstance(knob.default, int) and knob.default <= steps / 4:  # a period
                top = int(min(knob.high, 6))
                return list(range(max(int(knob.low), 1), top + 1))
            found = [round(share * steps) for share in (*SHARES, 0.6, 0.25)]
            return [value for value in found if knob.low <= value <= knob.high]
    return []


def outwards(knob: Knob, share_of: Callable[[float], float]) -> dict[float, float]:
    """The share of the work that values of a knob compute, from its default to both sides.

    Args:
        knob: A number.
        share_of: Gives the share.

    Returns:
        Values and shares. A side ends where the shares to compare at are passed, or nothing changes
        any more; between two values that have one of them between, a third is tried.
    """
    usual = rounded(knob.default or 0.1)
    found = {usual: share_of(usual)}
    for power in (-1, 1):
        value, last = usual, found[usual]
        for _ in range(MOST_VALUES):
            value = rounded(value * SPREAD**power)
            if not knob.low <= value <= knob.high:
                break
            found[value] = share_of(value)
            beyond = not min(SHARES) - NEAR < found[value] < max(SHARES) + NEAR
            if beyond or abs(found[value] - last) < SATURATED:
                break
            last = found[value]
    for share in SHARES:
        if any(abs(each - share) <= NEAR for each in found.values()):
            continue
        ordered = sorted(found)
        for low, high in pairwise(ordered):
            if min(found[low], found[high]) < share < max(found[low], found[high]):
                middle = rounded(math.sqrt(low * high))
                found[middle] = share_of(middle)
                break
    return found


def rounded(number: float) -> float:
    """The number to three digits, to be shown as it is used."""
    return float(f"{number:.3g}")


def families(threshold: float | None = None, model: str = "") -> dict[str, Family]:
    """All there are, by name: from the registry, and uncached runs.

    Args:
        threshold: BWCache's on the model; the paper's where None.
        model: Whose calibrations are named where it has some; "" leaves that to the run.
    """
    found = {each.name: each for each in _of_methods(threshold, model)}
    return found | {
        f"uncached/{kind}": Family(f"uncached/{kind}", UNCACHED[kind], control=kind)
        for kind in CONTROLS
    }


UNCACHED: Mapping[Control, str] = {
    "fewer": "fewer uncached steps",
    "same-levels": "uncached at the levels of BWCache+",
    "shift": "fewer uncached steps, larger shift",
}


def _of_methods(threshold: float | None, model: str) -> Iterator[Family]:
    for name, method in METHODS.items():
        variants = VARIANTS.get(name, {"": {}})
        for variant, given in variants.items():
            fixed = dict(given)
            if method is BWCacheConfig and threshold is not None:
                fixed["threshold"] = threshold
            if "calibration" in method.calibrated and is_known(model, name):
                fixed["calibration"] = model
            full = f"{name}/{variant}" if variant else name
            knobs = [k for k in method.knobs() if k.name not in (*fixed, *method.calibrated)]
            chosen = MAIN.get(full, (None, ()))[0]
            knob = next((k for k in knobs if k.name == chosen or (not chosen and k.basic)), None)
            title = f"{method.title} ({variant})" if variant else method.title
            yield Family(full, title, method, fixed, knob)


def find_families(
    names: Sequence[str] | None, threshold: float | None = None, model: str = ""
) -> list[Family]:
    """Those of these names; a method's name stands for all of its variants.

    Without names all that the model has what they need for.

    Args:
        names: Of families or methods.
        threshold, model: See `families`.

    Raises:
        ConfigError: A name is unknown, or there is none.
    """
    known = families(threshold, model)
    if names is None:
        return [each for each in known.values() if each.can_run(model)]
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
        if not distinct or not math.isclose(inside[value], inside[distinct[-1]], abs_tol=SATURATED):
            distinct.append(value)
    wanted: list[Any] = []
    for target in SHARES:
        above = next((v for v in distinct if inside[v] > target - SATURATED), None)
        below = next((v for v in reversed(distinct) if inside[v] < target + SATURATED), None)
        near = sorted(
            (v for v in (above, below) if v is not None), key=lambda v: abs(inside[v] - target)
        )
        wanted += near
    return list(dict.fromkeys(wanted))[:most]
