"""One process of a sweep: it takes jobs until none is left, and needs no other process for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from ...errors import MachineError, machine_fault
from ...models.progress import Loading
from ...runs.events import ComparisonFinished, Events, StepDone
from .claims import Claims
from .ledger import Ledger, work_folder
from .plan import Job
from .uncached import UncachedRuns

PAUSE = 0.5  # seconds between two looks at what others do


@dataclass(frozen=True)
class JobStarted:
    """A job begins."""

    job: Job


@dataclass(frozen=True)
class JobDone:
    """A job's row is in the results file."""

    job: Job
    row: Mapping[str, Any]


@dataclass(frozen=True)
class JobFailed:
    """A job went wrong; it is tried again unless that was too often."""

    job: Job
    error: str


@dataclass(frozen=True)
class Waiting:
    """Others do what is left. Should they die, it is done here."""


SweepEvent = JobStarted | JobDone | JobFailed | Waiting | Loading | StepDone
Save = Callable[[Job, ComparisonFinished], None]


def work(
    ledger: Ledger,
    compare: Callable[..., Events],
    device: str | None = None,
    hardware: str = "",
    place: float = 0.0,
    save: Save = lambda job, finished: None,
    stop: threading.Event | None = None,
    pause: float = PAUSE,
) -> Iterator[SweepEvent]:
    """Make the comparisons that nobody has made, and add each one's summary to the results file.

    Any number of processes may do so on one results file. Each uncached run is made once; a process
    that dies loses the job that it was at. What goes wrong in a job is written down and the job
    tried again; what is wrong with the machine, such as a full disk, ends the process.

    Args:
        ledger: What is to be done.
        compare: As `bwcache.runs.compare.compare`.
        device: As of `compare`.
        hardware: What it is, in words; only like hardware shares uncached runs.
        place: See `Claims`.
        save: Called with each finished comparison before its row is written.
        stop: Once it is set, no further job is begun.
        pause: Seconds between two looks at what others do.

    Yields:
        What is done, what loading does, and the steps of cached runs.

    Raises:
        ConfigError: The results file is of some other kind.
        OSError, MachineError: The disk is full, or the like.
    """
    folder = work_folder(ledger.results.path)
    store = UncachedRuns(ledger.plan, folder, hardware)
    stop = threading.Event() if stop is None else stop
    with Claims(ledger, folder, place, store.has) as claims:
        while not stop.is_set():
            ledger.catch_up()
            if not ledger.open_groups:
                return
            with claims.job() as job:
                if job is not None:
                    yield JobStarted(job)
                    yield from _done(job, ledger, compare, store, device, save)
            if job is None and ledger.open_groups:
                yield Waiting()
                stop.wait(pause)


def _done(
    job: Job,
    ledger: Ledger,
    compare: Callable[..., Events],
    store: UncachedRuns,
    device: str | None,
    save: Save,
) -> Iterator[SweepEvent]:
    store.use(job.group)
    try:
        events = compare(ledger.plan.request(job), store, device)
        row = yield from _row(events, lambda finished: save(job, finished))
    except Exception as error:
        if isinstance(error, OSError | MachineError) and machine_fault(error):
            raise
        ledger.fail(job, error)
        yield JobFailed(job, str(error))
        return
    ledger.finish(job, row)
    yield JobDone(job, row)


def _row(
    events: Events, save: Callable[[ComparisonFinished], None]
) -> Generator[Loading | StepDone, None, dict[str, object]]:
    """Run a comparison; only its row is kept: a large video takes a gigabyte."""
    row = None
    with closing(events):
        for event in events:
            if isinstance(event, ComparisonFinished):
                save(event)
                row = event.summary.as_dict()
            elif isinstance(event, Loading | StepDone):
                yield event
    if row is None:
        raise RuntimeError("a comparison ended before its summary")
    return row
