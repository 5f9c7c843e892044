"""Visitors before a few devices: a discrete-event simulation, and the formulas it is held against.

Standard library only. Every visitor comes at random (Poisson), makes a few runs one after the other
with a pause for thought in between, and waits in one line for whichever device is free first.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

Kind = Literal["arrives", "asks", "is done"]
Service = Callable[[Random, int], float]  # (random numbers, which run of the visitor) → seconds
WARM_UP = 0.1  # of the visitors: they find an empty line, and are left out of the figures
HALVINGS = 14  # of the interval in which a capacity lies: a hundredth of a per cent of it


@dataclass(frozen=True)
class Visits:
    """What so many visitors do.

    Args:
        per_second: How many come, on average.
        runs: That each makes.
        think_seconds: Between the end of one and the next, on average (exponential).
        service: Seconds that a run takes a device.
        visitors: How many are simulated.
        line: Most that may wait; who finds it full is sent away and does not come back. None: any.
    """

    per_second: float
    service: Service
    runs: int = 1
    think_seconds: float = 0.0
    visitors: int = 4000
    line: int | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of them, after a warm-up.

    Args:
        mean_wait, median_wait, p95_wait: Seconds in line, over all runs.
        busy: Share of the devices' time at work.
        seconds_a_visitor: That a device worked for each.
        refused: Share of the asked runs that were sent away.
        longest_line: That was seen.
    """

    mean_wait: float
    median_wait: float
    p95_wait: float
    busy: float
    seconds_a_visitor: float
    refused: float
    longest_line: int


def simulate(visits: Visits, devices: int, seed: int = 0) -> Outcome:
    """Serve the visitors; the same seed gives the same figures, on any machine."""
    gaps, thoughts, services = (Random(seed * 3 + at) for at in range(3))
    kept_from = int(WARM_UP * visits.visitors)
    events: list[tuple[float, int, Kind, int, int]] = []  # time, order, what, visitor, which run
    order, free = 0, devices
    line: deque[tuple[float, int, int]] = deque()
    waits: list[float] = []
    worked = total = asked = refused = longest = 0.0
    began = ended = 0.0

    def at(time: float, kind: Kind, visitor: int, run: int) -> None:
        nonlocal order
        order += 1
        heapq.heappush(events, (time, order, kind, visitor, run))

    def begin(now: float, since: float, visitor: int, run: int) -> None:
        nonlocal free, worked, total
        free -= 1
        seconds = visits.service(services, run)
        total += seconds
        if visitor >= kept_from:
            waits.append(now - since)
            worked += seconds
        at(now + seconds, "is done", visitor, run)

    at(gaps.expovariate(1.0) / visits.per_second, "arrives", 0, 0)
    while events:
        now, _, kind, visitor, run = heapq.heappop(events)
        if kind == "is done":
            free += 1
            if run + 1 < visits.runs:
                pause = visits.think_seconds * thoughts.expovariate(1.0)
                at(now + pause, "asks", visitor, run + 1)
            if line:
                begin(now, *line.popleft())
            ended = now
            continue
        if kind == "arrives" and visitor + 1 < visits.visitors:
            at(now + gaps.expovariate(1.0) / visits.per_second, "arrives", visitor + 1, 0)
        if not began:
            began = now
        asked += visitor >= kept_from
        if free:
            begin(now, now, visitor, run)
        elif visits.line is not None and len(line) >= visits.line:
            refused += visitor >= kept_from
        else:
            line.append((now, visitor, run))
            longest = max(longest, len(line))
    waits.sort()
    return Outcome(
        mean_wait=sum(waits) / len(waits),
        median_wait=_quantile(waits, 0.5),
        p95_wait=_quantile(waits, 0.95),
        busy=total / (devices * (ended - began)),
        seconds_a_visitor=worked / (visits.visitors - kept_from),
        refused=refused / asked,
        longest_line=int(longest),
    )


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def capacity(of: Callable[[float], Visits], most: float, devices: int, wait: float, seed: int):
    """Visitors a second at which 19 of 20 runs begin within so many seconds.

    Args:
        of: The visits at a rate.
        most: A rate that no device could keep up with.
        devices: How many there are.
        wait: Seconds.
        seed: As of `simulate`.
    """
    low, high = 0.0, most
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        good = simulate(of(middle), devices, seed).p95_wait <= wait
        low, high = (middle, high) if good else (low, middle)
    return low


# -- formulas --------------------------------------------------------------------------------------


def mmc_wait(per_second: float, seconds: float, devices: int) -> float:
    """Mean wait of an M/M/c queue: Erlang's C formula.

    Args:
        per_second: Arrivals.
        seconds: Mean service, exponential.
        devices: c.
    """
    load = per_second * seconds
    if load >= devices:
        return math.inf
    blocked = 1.0  # Erlang's B, by its recursion
    for number in range(1, devices + 1):
        blocked = load * blocked / (number + load * blocked)
    busy = load / devices
    waits = blocked / (1 - busy * (1 - blocked))
    return waits * seconds / (devices - load)


def mdc_wait(per_second: float, seconds: float, devices: int) -> float:
    """Mean wait of an M/D/c queue: exact for one device (Pollaczek and Khinchine), else Cosmetatos'
    approximation of 1975, which is within about two per cent at the loads of a busy line.
    """
    busy = per_second * seconds / devices
    if not 0 < busy < 1:
        return 0.0 if busy <= 0 else math.inf
    correction = (
        (1 - busy) * (devices - 1) * (math.sqrt(4 + 5 * devices) - 2) / (16 * busy * devices)
    )
    return 0.5 * (1 + correction) * mmc_wait(per_second, seconds, devices)


def constant(seconds: float) -> Service:
    """Every run takes as long."""
    return lambda random, run: seconds


def exponential(seconds: float) -> Service:
    """Seconds drawn from an exponential distribution with that mean."""
    return lambda random, run: random.expovariate(1.0) * seconds


def drawn_from(first: Sequence[float], later: Sequence[float]) -> Service:
    """Seconds drawn from measured ones: those of a visitor's first run, and of later ones."""
    return lambda random, run: random.choice(later if run else first)
