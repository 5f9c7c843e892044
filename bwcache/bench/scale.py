"""`bench scale`: how many visitors some devices hold, and what each costs, simulated.

Service times come from three places, and every row says from which: TinyWorld is measured on the
spot; steps of large models are those recorded in `assets/results/gpu-cost.json`, where their
weights were random and a fixed pattern reused half of the steps; what visitors do is estimated.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, median

from .. import models
from ..errors import ConfigError, is_number
from ..files import ASSETS, parse_json
from ..space.quota import DAILY, FACTOR, LEAST, MARGIN, START
from .queueing import (
    Service,
    Visits,
    capacity,
    constant,
    drawn_from,
    exponential,
    mdc_wait,
    mmc_wait,
    simulate,
)

GPU = ASSETS / "results" / "gpu-cost.json"
VISITOR_RUNS, THINK_SECONDS = 3, 60.0  # estimated: nobody has counted visitors of this page
LOADS = (0.5, 0.7, 0.8, 0.9, 0.95, 1.1)  # share of what the devices can do at most
LINE = 20  # most that wait, as BWCACHE_QUEUE_SIZE=20
THOUSAND = 1000
RECORDED_RUNS, SWEEP_PROMPTS, SWEEP_SETTINGS = 24, 8, 9  # of a page that is frozen
# what a run is: (seconds of a visitor's first, seconds of every later one) by what the page makes
WAYS = ("uncached video", "cached video", "comparison, nothing remembered", "comparison")


@dataclass(frozen=True)
class Times:
    """What a run takes a device.

    Args:
        model: Its name.
        device: The hardware, in words.
        basis: "measured", or "recorded", and how.
        uncached, cached: Seconds of a run alone.
        first, later: Seconds of a comparison: of both runs, and where the uncached is remembered.
    """

    model: str
    device: str
    basis: str
    uncached: tuple[float, ...]
    cached: tuple[float, ...]
    first: tuple[float, ...]
    later: tuple[float, ...]

    def of(self, way: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Seconds to draw from, of a visitor's first run and of later ones."""
        return {
            WAYS[0]: (self.uncached, self.uncached),
            WAYS[1]: (self.cached, self.cached),
            WAYS[2]: (self.first, self.first),
            WAYS[3]: (self.first, self.later),
        }[way]

    def seconds_a_visitor(self, way: str, runs: int = VISITOR_RUNS) -> float:
        """That a device works for one."""
        first, later = self.of(way)
        return fmean(first) + (runs - 1) * fmean(later)


def measure(rounds: int = 5, device: str = "cpu") -> dict[str, object]:
    """Time TinyWorld's default comparison here, with everything but the files that it leads to.

    Args:
        rounds: Comparisons with nothing remembered, each followed by one with a remembered run.
        device: "cpu", "cuda"…
    """
    from ..models.machine import describe_device, versions
    from ..runs.baselines import BaselineStore
    from ..runs.compare import compare
    from ..runs.request import Request

    spec = models.find("tinyworld")
    request = Request(spec.examples[0], steps=spec.steps, config=spec.default_preset.config)
    found: dict[str, list[float]] = {name: [] for name in ("first", "later", "uncached", "cached")}
    load = []
    for number in range(rounds + 1):
        store = BaselineStore()
        for name in ("first", "later"):
            started = time.perf_counter()
            *_, finished = compare(request, store, device)
            seconds = time.perf_counter() - started
            if not number:  # the first comparison of a process loads and warms up
                continue
            found[name].append(seconds)
            if name == "first":
                found["uncached"].append(finished.summary.baseline_total_seconds)
                found["cached"].append(finished.summary.cached_total_seconds)
        load.append(os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0)
    times = {name: tuple(round(each, 4) for each in seconds) for name, seconds in found.items()}
    basis = f"measured, {rounds} comparisons"
    measured = asdict(Times("tinyworld", describe_device(device), basis, **times))  # type: ignore
    return {**measured, "load_average": round(fmean(load), 2), "versions": versions()}


def recorded() -> list[Times]:
    """Large models, from their recorded seconds a step."""
    pieces = parse_json(GPU.read_text(encoding="utf-8"))["pieces"]  # type: ignore[index]
    found = []
    for name, piece in pieces.items():
        result = piece["result"]
        if piece["status"] != "done" or result["compiled"]:
            continue
        steps = models.find(name).steps
        step = result["seconds_a_step"]["median"]
        whole = steps * step
        part = whole / result["speedup_median"]
        basis = f"recorded seconds a step × {steps} steps"
        of = ((whole,), (part,), (whole + part,), (part,))
        found.append(Times(name, piece["machine"]["device"], basis, *of))
    return found


def scale(
    measured: Mapping[str, object] | None = None,
    rounds: int = 5,
    wait: float = 60.0,
    replicas: Sequence[int] = (1, 2, 4, 8),
    seed: int = 0,
    visitors: int = 4000,
    device: str = "cpu",
) -> dict[str, object]:
    """Everything of the table.

    Args:
        measured: What `measure` gave; measured now where None.
        rounds, device: As of `measure`.
        wait: Seconds within which 19 of 20 runs are to begin.
        replicas: Numbers of devices.
        seed: Of the simulation.
        visitors: That are simulated at a time.

    Raises:
        ConfigError: A number is out of its bounds.
    """
    check(rounds, wait, replicas, seed, visitors)
    measured = measure(rounds, device) if measured is None else measured
    all_times = [times_of(measured), *recorded()]
    return {
        "benchmark": "scale",
        "wait_seconds": wait,
        "seed": seed,
        "visitors_simulated": visitors,
        "visitor": {"runs": VISITOR_RUNS, "think_seconds": THINK_SECONDS, "basis": "estimated"},
        "measured": dict(measured),
        "formulas": formulas(seed),
        "models": [_model(each, wait, replicas, seed, visitors) for each in all_times],
    }


def check(
    rounds: object, wait: object, replicas: Sequence[object], seed: object, visitors: object
) -> None:
    """Refuse numbers out of their bounds.

    Raises:
        ConfigError: One is.
    """
    whole = {"rounds": (rounds, 1, 100), "seed": (seed, 0, 2**32 - 1)}
    whole |= {"visitors": (visitors, 100, 1_000_000)}
    bad = [each for each in replicas if not isinstance(each, int) or not 1 <= each <= 64]
    if bad or not replicas:
        raise ConfigError("replicas", bad[0] if bad else "", "whole numbers from 1 to 64")
    for name, (value, low, high) in whole.items():
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ConfigError(name, value, f"a whole number from {low} to {high}")
    if not is_number(wait) or not 0 < wait <= 86_400:  # type: ignore[operator]
        raise ConfigError("wait", wait, "a number of seconds up to 86400")


def times_of(measured: Mapping[str, object]) -> Times:
    """As `measure` gave it, from a file.

    Raises:
        ConfigError: It is none.
    """
    try:
        seconds = [tuple(float(x) for x in measured[name]) for name in _SECONDS]  # type: ignore
        if not all(seconds) or not all(
            x > 0 and math.isfinite(x) for each in seconds for x in each
        ):
            raise ValueError
        words = [str(measured[name]) for name in ("model", "device", "basis")]
    except (KeyError, TypeError, ValueError):
        raise ConfigError("measured", "no times", "a file that `bench scale` has written") from None
    return Times(*words, *seconds)  # type: ignore[arg-type]


_SECONDS = ("uncached", "cached", "first", "later")


def visits(times: Times, way: str, per_second: float, visitors: int, line: int | None = None):
    """Visitors of a page that makes this."""
    service = drawn_from(*times.of(way))
    return Visits(per_second, service, VISITOR_RUNS, THINK_SECONDS, visitors, line)


def _model(
    times: Times, wait: float, replicas: Sequence[int], seed: int, visitors: int
) -> dict[str, object]:
    rows = []
    for way in WAYS:
        seconds = times.seconds_a_visitor(way)
        for number in replicas:
            most = number / seconds
            held = capacity(
                lambda rate, way=way: visits(times, way, rate, visitors),
                1.2 * most,
                number,
                wait,
                seed,
            )
            rows.append(
                {
                    "way": way,
                    "replicas": number,
                    "visitors_an_hour": 3600 * held,
                    "busy": simulate(visits(times, way, held, visitors), number, seed).busy
                    if held
                    else 0.0,
                    "worked_seconds_a_visitor": seconds,
                    "rented_seconds_a_visitor": number / held if held else None,
                }
            )
    return {
        **{name: getattr(times, name) for name in ("model", "device", "basis")},
        **{f"{name}_seconds": median(getattr(times, name)) for name in _SECONDS},
        "held": rows,
        "breaks": breaks(times, seed, visitors),
        "zerogpu": zerogpu(times),
        "thousand": thousand(times, rows),
    }


def breaks(times: Times, seed: int, visitors: int) -> list[dict[str, float]]:
    """What a line before one device does as more come: with a limit on who waits, and without."""
    rows = []
    for load in LOADS:
        rate = load / times.seconds_a_visitor(WAYS[3])
        free = simulate(visits(times, WAYS[3], rate, visitors), 1, seed)
        limited = simulate(visits(times, WAYS[3], rate, visitors, LINE), 1, seed)
        rows.append(
            {
                "load": load,
                "mean_wait": free.mean_wait,
                "p95_wait": free.p95_wait,
                "longest_line": free.longest_line,
                "limit": LINE,
                "limited_p95_wait": limited.p95_wait,
                "refused": limited.refused,
            }
        )
    return rows


def zerogpu(times: Times) -> list[dict[str, object]]:
    """Runs that a visitor's daily quota holds, were ZeroGPU's card as fast as this one.

    A run needs as much left as it asks for, and is charged for what it took.
    """
    rows: list[dict[str, object]] = []
    for visitor in ("anonymous", "free", "pro"):
        daily = DAILY[visitor]  # type: ignore[index]
        row: dict[str, object] = {"visitor": visitor, "daily_seconds": daily}
        for way in WAYS:
            first, later = (fmean(each) for each in times.of(way))
            left, runs = daily / FACTOR, 0
            while runs < THOUSAND:
                seconds = later if runs else first
                if left < max(LEAST, START + MARGIN * seconds):
                    break
                left, runs = left - seconds, runs + 1
            row[way] = runs
        rows.append(row)
    return rows


def thousand(times: Times, rows: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """A thousand times the visitors that one device holds: live, and frozen."""
    held = [row for row in rows if row["way"] == WAYS[3]]
    one = min(held, key=lambda row: row["replicas"])  # type: ignore[arg-type, return-value]
    hourly = float(one["visitors_an_hour"]) * THOUSAND / float(one["replicas"])  # type: ignore
    worked = times.seconds_a_visitor(WAYS[3])
    again = SWEEP_PROMPTS * (fmean(times.uncached) + SWEEP_SETTINGS * fmean(times.cached))
    recorded_once = RECORDED_RUNS * fmean(times.first)
    return {
        "visitors_an_hour": hourly,
        "live_devices": math.ceil(hourly * worked / 3600),  # all of them busy all the time
        "live_seconds_a_visitor": worked,
        "frozen_seconds_once": recorded_once,
        "sweep_seconds_once": again,
        "frozen_seconds_a_visitor_of_a_day": (recorded_once + again) / (24 * hourly),
        "visitors_of_the_same_live_seconds": math.ceil((recorded_once + again) / worked),
    }


def formulas(seed: int = 0, visitors: int = 40_000) -> list[dict[str, object]]:
    """The simulation beside the formulas, where there are some: one run each, nobody thinks."""
    rows: list[dict[str, object]] = []
    kinds: tuple[tuple[str, Service, object], ...] = (
        ("M/M/c", exponential(10.0), mmc_wait),
        ("M/D/c", constant(10.0), mdc_wait),
    )
    for name, service, formula in kinds:
        for devices in (1, 2, 4):
            for load in (0.5, 0.8):
                rate = load * devices / 10.0
                made = simulate(Visits(rate, service, visitors=visitors), devices, seed)
                rows.append(
                    {
                        "queue": name,
                        "devices": devices,
                        "load": load,
                        "simulated_wait": made.mean_wait,
                        "formula_wait": formula(rate, 10.0, devices),  # type: ignore[operator]
                    }
                )
    return rows
