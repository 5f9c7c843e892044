"""The one reader of a comparison's events, for the page, the API, `record` and the command line.

    class Bars(Consumer[None]):
        def step(self, event, elapsed):
            bar.update()
            return ()

    finished = yield from consume(compare(request, store), Bars())

Each gives a `Consumer` that says what it makes of an event; `consume` tells events apart, keeps the
clock, starts both anew where memory ran out, closes the comparison whatever happens, and returns
its end. `told` says what to tell a person of an error.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Generator, Iterable
from contextlib import closing
from typing import Generic, TypeVar

from ..errors import ConfigError, DeviceError, MachineError, ModelError, machine_fault
from ..models.progress import Loading
from .events import ComparisonFinished, Events, RunFinished, RunName, RunStarted, StepDone

log = logging.getLogger(__name__)
Output = TypeVar("Output")


class Consumer(Generic[Output]):
    """What a comparison's events lead to. Override what is of interest: nothing by default."""

    def loading(self, event: Loading) -> Iterable[Output]:
        """The model is being made ready."""
        return ()

    def restarted(self, event: Loading) -> Iterable[Output]:
        """Memory ran out and all begins anew; what the runs have told so far is void."""
        return self.loading(event)

    def run_started(self, event: RunStarted) -> Iterable[Output]:
        """A run begins."""
        return ()

    def step(self, event: StepDone, elapsed: float) -> Iterable[Output]:
        """A step is done, `elapsed` seconds after its run's denoising began.

        Measuring is left out of an uncached run's seconds, as in the summary.
        """
        return ()

    def run_finished(self, event: RunFinished) -> Iterable[Output]:
        """A run is complete."""
        return ()

    def finished(self, event: ComparisonFinished) -> Iterable[Output]:
        """Everything is complete."""
        return ()


class Clock:
    """Sums up each run's denoising seconds: without the measurement for uncached runs."""

    def __init__(self) -> None:
        self._elapsed: dict[RunName, float] = {}

    def after(self, event: StepDone) -> float:
        """Seconds of the event's run, up to the end of its step."""
        record = event.record
        seconds = record.seconds if event.run == "cached" else record.net_seconds
        self._elapsed[event.run] = self._elapsed.get(event.run, 0.0) + seconds
        return self._elapsed[event.run]


def consume(
    events: Events, consumer: Consumer[Output]
) -> Generator[Output, None, ComparisonFinished]:
    """Read a comparison to its end.

    Yields:
        What the consumer makes of each event. Closing the iterator closes the comparison.

    Returns:
        The comparison's end.

    Raises:
        Exception: Whatever the comparison or the consumer raises.
    """
    clock, end = Clock(), None
    with closing(events):
        for event in events:
            match event:
                case Loading(stage="retry"):
                    clock = Clock()
                    yield from consumer.restarted(event)
                case Loading():
                    yield from consumer.loading(event)
                case RunStarted():
                    yield from consumer.run_started(event)
                case StepDone():
                    yield from consumer.step(event, clock.after(event))
                case RunFinished():
                    yield from consumer.run_finished(event)
                case ComparisonFinished():
                    end = event
                    yield from consumer.finished(event)
    if end is None:
        raise RuntimeError("a comparison ended before its runs were complete")
    return end


HOSTS = {  # what a host sets, as a visitor may hear of it
    r"HF_HUB_OFFLINE": "a setting of this server",
    r"this HF_TOKEN": "this server's token",
    r"\b[A-Z]+_[A-Z_]+\b": "a setting of this server",
    r"(?<![\w.:/])(?:/[\w.+@-]+){2,}/?": "a folder of this server",
    r"\b[A-Za-z]:\\[\w.+@\\-]+": "a folder of this server",
}


def for_visitors(text: str) -> str:
    """What went wrong, of an error's sentence that goes on with what the host can do about it.

    No path of the server is in it, no variable, and no advice that a visitor cannot follow.
    """
    what, _, advice = text.partition("; ")
    for pattern, said in HOSTS.items():
        what = re.sub(pattern, said, what)
    if "tinyworld" in advice or "tinyworld" in what:
        what = re.sub(r"\.? Or use tinyworld\.$", "", what.strip())
        return f"{what}; tinyworld needs no download and runs anywhere"
    return what


def told(error: BaseException, doing: str = "a comparison") -> str | None:
    """What a person is told of an error.

    Args:
        error: What a comparison raised.
        doing: What failed, for the log: "a comparison".

    Returns:
        The error's own sentence where it was made for people, and for what is the machine's fault
        what it is, without a path. None where it was not: it is logged
        with its traceback then, and the person gets a general sentence.
    """
    if isinstance(error, ModelError):
        log.warning("%s failed: %s", doing, error)
        return for_visitors(str(error))
    if isinstance(error, ConfigError | DeviceError):
        return str(error)
    fault = machine_fault(error)
    if isinstance(error, MachineError):
        log.warning("%s failed: %s", doing, error)
    else:
        log.error("%s failed", doing, exc_info=error)
    return None if fault is None else f"Not done: {fault}. Please try again later."
