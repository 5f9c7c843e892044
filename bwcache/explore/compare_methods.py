"""Compare methods on one prompt: one run after the other against the same uncached run, as events.

Closing the iterator stops the run under way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

from ..cache.methods.bwcache_plus import BWCachePlusConfig
from ..errors import CacheError, ConfigError, TraceError
from ..models import find
from ..models.progress import Loading
from ..runs.baselines import BaselineStore
from ..runs.compare import compare
from ..runs.events import StepDone
from ..runs.request import Request
from ..runs.summary import Summary
from ..runs.video import filmstrip
from .families import Family
from .find_setting import BaselineKnown, BaselineStarted, Compare, baseline_alone, comparison

FAULTS = (CacheError, ConfigError, TraceError)  # what keeps a method from running here
MOST_VALUES = 3  # of each family's main setting


@dataclass(frozen=True)
class PointStarted:
    """A run begins: the `number`-th, from 1."""

    number: int
    family: Family
    value: Any


@dataclass(frozen=True)
class Point:
    """A run is complete.

    Args:
        number, family, value: Which.
        speedup: How many times as fast, from median steps; never above what the schedule allows.
        compute_share: Of all block evaluations, the share that ran.
        psnr_db: In dB, against the uncached run; None where identical.
        ssim: Likewise; None for an uncached run, of which it is not known.
        filmstrip: A WebP picture of the video, 3 KiB at most.
    """

    number: int
    family: Family
    value: Any
    speedup: float
    compute_share: float
    psnr_db: float | None
    ssim: float | None
    filmstrip: bytes | None


@dataclass(frozen=True)
class LeftOut:
    """A family cannot run on this model, and why."""

    family: Family
    why: str


@dataclass(frozen=True)
class MethodsFinished:
    """All are complete."""

    points: tuple[Point, ...]
    left_out: tuple[LeftOut, ...]


MethodsEvent = (
    BaselineStarted
    | BaselineKnown
    | PointStarted
    | Loading
    | StepDone
    | Point
    | LeftOut
    | MethodsFinished
)


def compare_methods(
    request: Request,
    families: Sequence[Family],
    compare: Compare = compare,
    store: BaselineStore | None = None,
    device: str | None = None,
    values: int = MOST_VALUES,
) -> Iterator[MethodsEvent]:
    """Run methods over a few values of their main setting, on one prompt.

    Args:
        request: The prompt and everything else; its method does not matter.
        families: What is compared. An uncached one computes as many steps as BWCache+ does.
        compare: As `bwcache.runs.compare.compare`.
        store: Where the uncached run is looked up and remembered.
        device: "cpu", "cuda"…; the best there is where None.
        values: Of each family, so many at most; the middle one of each comes first.

    Yields:
        `BaselineStarted` unless it is remembered, `BaselineKnown`, for each run `PointStarted`
        and `Point` or, where its family cannot run here, `LeftOut`; then `MethodsFinished`. In
        between, what loading does, and the steps as they are done.

    Raises:
        ConfigError: No family is given, or the model or the prompt cannot be used.
        ModelError: The model cannot be loaded or does not run here.
    """
    if not families:
        raise ConfigError("methods", [], "one method at least")
    store = BaselineStore() if store is None else store
    request = replace(request, control=False, sequential=False)
    baseline = store.get(request, device)
    remembered = baseline is not None
    if baseline is None:
        yield BaselineStarted(request.steps)
        baseline = yield from baseline_alone(request, compare, store, device)
    planned = in_turns([(each, each.few(request.steps, values)) for each in families])
    yield BaselineKnown(baseline, remembered, len(planned), filmstrip(baseline.frames))
    points: list[Point] = []
    left_out: dict[str, LeftOut] = {}
    for number, (family, value) in enumerate(planned, 1):
        if family.name in left_out:
            continue
        yield PointStarted(number, family, value)
        try:
            asked = asked_of(request, family, value)
            finished = yield from comparison(compare(asked, store, device))
        except FAULTS as error:
            left_out[family.name] = LeftOut(family, str(error))
            yield left_out[family.name]
            continue
        strip = filmstrip(finished.runs[2 if family.control else 1].frames)
        points.append(point_of(number, family, value, finished.summary, strip))
        yield points[-1]
    yield MethodsFinished(tuple(points), tuple(left_out.values()))


def in_turns(families: Sequence[tuple[Family, Sequence[Any]]]) -> list[tuple[Family, Any]]:
    """A first value of every family, then a second of each, and so on."""
    missing = object()
    rounds = zip_longest(*(values for _, values in families), fillvalue=missing)
    return [
        (family, value)
        for each in rounds
        for (family, _), value in zip(families, each, strict=True)
        if value is not missing
    ]


def asked_of(request: Request, family: Family, value: Any) -> Request:
    """The comparison that shows a family's value; an uncached run is BWCache+'s control.

    Raises:
        ConfigError: The method cannot be made with that value on that model.
    """
    if family.control is None:
        config = family.config(value)
        find(request.model).check_method(config)
        return replace(request, config=config)
    levels = BWCachePlusConfig(work_share=value / request.steps)
    return replace(request, config=levels, control=family.control)


def point_of(
    number: int, family: Family, value: Any, summary: Summary, strip: bytes | None
) -> Point:
    """What a comparison says of a family's value."""
    control = summary.control
    if family.control is None or control is None:
        gain, share = summary.speedup_robust, summary.compute_share or 1.0
        told = (number, family, value, gain, share, summary.psnr_db)
        return Point(*told, summary.ssim, strip)
    share = control.steps / summary.steps  # each of its steps is a computed one
    return Point(number, family, value, 1 / share, share, control.psnr_db, None, strip)


def closest(points: Sequence[Point], speedup: float) -> list[Point]:
    """Of each family the closest point that is at least so fast; the closest family first."""
    best: dict[str, Point] = {}
    for point in points:
        if point.speedup < speedup:
            continue
        known = best.get(point.family.name)
        if known is None or _decibels(point) > _decibels(known):
            best[point.family.name] = point
    return sorted(best.values(), key=_decibels, reverse=True)


def _decibels(point: Point) -> float:
    return float("inf") if point.psnr_db is None else point.psnr_db
