"""How far a comparison's speed-up holds on a busy machine: made in turns, and one after the other.

Each round is what a visitor does who comes for the first time: both runs, nothing remembered. The
two orders are made alternately, beside processes that do nothing but keep a core busy.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from statistics import median

from ..errors import ConfigError
from ..runs.compare import compare
from ..runs.request import Request
from ..runs.summary import Summary
from .workload import Workload, check_rounds

MOST_BUSY = 64
# ends with the process that has started it, however that ends
KEEPING_BUSY = """
import os
parent = os.getppid()
while os.getppid() == parent:
    sum(range(10**5))
"""
NUMBERS = ("speedup", "measured", "robust", "ceiling", "spread", "busy", "steps_computed")


def race(workload: Workload, rounds: int = 8, busy: int = 2) -> Mapping[str, object]:
    """Make the model's default comparison again and again, in both orders.

    Args:
        workload: The model, and where it runs.
        rounds: Comparisons of each order.
        busy: Processes that keep a core busy meanwhile.

    Raises:
        ConfigError: A number is out of its bounds.
    """
    check_rounds(rounds)
    if isinstance(busy, bool) or not isinstance(busy, int) or not 0 <= busy <= MOST_BUSY:
        raise ConfigError("busy", busy, f"a whole number from 0 to {MOST_BUSY}")
    spec = workload.spec
    config = workload.spec.default_preset.config
    of = (workload.prompt, workload.model, spec.steps, workload.seed, config)
    request = Request(*of, random_weights=workload.random_weights)
    found: dict[str, list[dict[str, object]]] = {"in_turns": [], "one_after_the_other": []}
    load: list[float] = []
    with _kept_busy(busy):
        for number in range(rounds + 1):
            for name, made in found.items():
                sequential = name == "one_after_the_other"
                *_, finished = compare(
                    replace(request, sequential=sequential), device=workload.place
                )
                if number:  # the first comparison of a process loads and warms up
                    made.append(_numbers(finished.summary))
                    load.append(_load())
    return {
        **workload.header(),
        "prompt": request.prompt,
        "config": config.as_dict(),
        "rounds": rounds,
        "busy_processes": busy,
        "load_average": sum(load) / len(load),  # with whatever else the machine did
        **{name: _together(made) for name, made in found.items()},
    }


def _load() -> float:
    """Processes that want a core, a minute's average; nought where the system does not tell."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def _numbers(summary: Summary) -> dict[str, object]:
    content = summary.as_dict()
    return {name: content.get(name, content.get(f"speedup_{name}")) for name in NUMBERS}


def _together(made: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """The figures, their median, how far the farthest is from it, and whether all can be."""

    def far(name: str) -> float:
        values = [float(each[name]) for each in made]  # type: ignore[arg-type]
        return max(abs(value / median(values) - 1) for value in values)

    def above(name: str) -> float:
        return max(float(each[name]) / float(each["ceiling"]) - 1 for each in made)  # type: ignore

    return {
        "speedup_median": median(float(each["speedup"]) for each in made),  # type: ignore
        "farthest_from_median": far("speedup"),
        "farthest_measured_from_median": far("measured"),
        "most_above_ceiling": above("speedup"),
        "within_ten_percent": far("speedup") <= 0.1,
        "none_above_ceiling_and_spread": all(
            float(each["measured"]) <= float(each["ceiling"]) * (1 + float(each["spread"]))  # type: ignore
            for each in made
        ),
        "comparisons": list(made),
    }


@contextmanager
def _kept_busy(processes: int) -> Iterator[None]:
    started = []
    try:
        for _ in range(processes):
            started.append(subprocess.Popen([sys.executable, "-c", KEEPING_BUSY]))
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()
