"""What visitors' runs have shown, kept for a while, so that a reload loses none.

A run works on its own thread, and whoever looks follows what it has put down: the visitor who
started it, the same one after a reload, somebody with the link. A run that nobody follows goes on
for `ALONE_SECONDS`, long enough for a page to be loaded anew, and is then stopped and called "cut".
"""

from __future__ import annotations

import contextvars
import logging
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import closing
from typing import Literal

from .line import Line, Place, Turn
from .run_log import RunLog

log = logging.getLogger(__name__)
KEPT_SECONDS = 3600  # a result, from its end on; its files are deleted then, too
ALONE_SECONDS = 60  # that a run goes on without anybody who follows it
LIMIT = 200  # results at once
TICK = 0.25  # seconds between two looks at whether somebody still waits

Row = Mapping[str, object]
State = Literal["asked", "waiting", "running", "done", "stopped", "error", "cut"]
OVER: tuple[State, ...] = ("done", "stopped", "error", "cut")


class Result:
    """A run that was asked for, and what it has shown so far.

    Args:
        asked: What it makes.
        clock: Gives seconds.
        run_log: Hears how it ended.
    """

    def __init__(
        self,
        asked: object,
        clock: Callable[[], float] = time.monotonic,
        run_log: RunLog | None = None,
    ):
        self.id = secrets.token_urlsafe(16)
        self.asked = asked
        self.rows: list[Row] = []
        self.state: State = "asked"
        self.problem = ""  # what is said of an error
        self.ended: float | None = None
        self._clock, self._run_log = clock, run_log
        self.asked_at = clock()
        self._began_at: float | None = None  # at the model
        self._changed = threading.Condition()
        self._turn: Turn | None = None
        self._stopping = False
        self._followers = 0
        self._left: float = clock()  # when the last follower went

    def start(
        self,
        make: Callable[[], Generator[Row, None, object]],
        line: Line,
        making: object = None,
        model: str = "",
        wanted: Collection[str] = (),
    ) -> None:
        """Stand in line and work, on a thread of its own; once: later calls do nothing.

        Args:
            make: Makes the rows; may raise an error whose text is for the visitor.
            line: In front of the model.
            making: For the line: what takes about equally long is equal.
            model, wanted: For the line's devices, see `Devices.take`.
        """
        with self._changed:
            if self.state != "asked":
                return
            self.state = "waiting"
            self._turn = line.join(making, model, wanted)
        context = contextvars.copy_context()  # on ZeroGPU it says whose quota is used
        name, work = f"run-{self.id[:6]}", (self._work, make)
        try:
            threading.Thread(target=context.run, args=work, name=name, daemon=True).start()
        except BaseException as error:  # too many threads, say: nobody else waits for this one
            self._fail(error)
            self._turn.leave()

    def stop(self) -> None:
        """End it as soon as its present step allows, because somebody said so."""
        with self._changed:
            self._stopping = True
            if self.state == "asked":
                self._end("stopped")

    @property
    def device(self) -> str | None:
        """The device that it has been given; None where there is one for all."""
        return None if self._turn is None else self._turn.device

    @property
    def place(self) -> Place:
        """In line; at the model where it stands in none."""
        return Place(0) if self._turn is None else self._turn.place

    @property
    def is_over(self) -> bool:
        return self.state in OVER

    def follow(self, wait: float = 0.0) -> Generator[list[Row] | Place | None, None, None]:
        """What is new, until all is said: all rows so far, or the place in line, or None.

        A list has one row more than the one before it, but for the first, which has what there is.
        None stands for nothing new.

        Args:
            wait: Seconds to wait for something new, before None is said.
        """
        with self._changed:
            self._followers += 1
        try:
            if self.rows or self.is_over:
                sent = len(self.rows)
                yield self.rows[:sent]
            else:
                sent = 0
                yield self.place
            while not (self.is_over and sent == len(self.rows)):
                if sent < len(self.rows):
                    sent += 1
                    yield self.rows[:sent]
                    continue
                with self._changed:
                    nothing_new = sent == len(self.rows) and not self.is_over
                    if nothing_new:
                        self._changed.wait(wait)
                if nothing_new and sent == len(self.rows) and not self.is_over:
                    yield self.place if self.state == "waiting" else None
        finally:
            with self._changed:
                self._followers -= 1
                self._left = self._clock()

    def _work(self, make: Callable[[], Generator[Row, None, object]]) -> None:
        assert self._turn is not None
        complete = False
        try:
            while not self._turn.wait(TICK):
                if self._is_given_up():
                    return
            self._began_at = self._clock()
            with closing(make()) as rows:
                for row in rows:
                    if self._is_given_up():
                        return
                    with self._changed:
                        self.state = "running"
                        self.rows = [*self.rows, row]
                        self._changed.notify_all()
            complete = True
            self._end("done")
        except BaseException as error:  # of whatever class: who follows is told, the next goes on
            self._fail(error)
        finally:
            self._turn.leave(complete)
            if not self.is_over:
                self._end("stopped" if self._stopping else "cut")

    def _fail(self, error: BaseException) -> None:
        """End with an error; what is said of it was made for visitors, or is nothing."""
        message = getattr(error, "message", None)
        if not isinstance(message, str):
            log.error("a run failed", exc_info=error)
        self.problem = message if isinstance(message, str) else ""
        self._end("error")

    def _is_given_up(self) -> bool:
        if self._stopping:
            return True
        with self._changed:
            return not self._followers and self._clock() - self._left >= ALONE_SECONDS

    def _end(self, state: State) -> None:
        with self._changed:
            self.state, self.ended = state, self._clock()
            self._changed.notify_all()
        if self._run_log is not None:
            began = self._began_at or self.ended
            waited, took = began - self.asked_at, self.ended - began
            told = (self.id[:6], self.asked, state, waited, took, self.problem)
            self._run_log.ended(*told, device=self.device)


class Results:
    """The runs of a page's visitors, each under an id that nobody guesses.

    Args:
        line: In front of the model.
        clock: Gives seconds.
        run_log: Hears how each ended.
    """

    def __init__(
        self,
        line: Line | None = None,
        clock: Callable[[], float] = time.monotonic,
        run_log: RunLog | None = None,
    ):
        self.line = line or Line()
        self.closed = False
        self._clock, self._run_log = clock, run_log
        self._results: OrderedDict[str, Result] = OrderedDict()
        self._of_session: dict[str, str] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._results)

    @property
    def running(self) -> int:
        """How many are under way or in line."""
        with self._lock:
            found = list(self._results.values())
        return sum(each.state in ("waiting", "running") for each in found)

    def close(self) -> None:
        """Stop all that is under way, because the server is being stopped."""
        self.closed = True
        with self._lock:
            found = list(self._results.values())
        for result in found:
            if not result.is_over:
                result.stop()

    def note_refusal(self) -> None:
        """Somebody was sent away, since the line is full."""
        if self._run_log is not None:
            self._run_log.refused("line")

    def tidy(self) -> None:
        """Delete what is too old."""
        with self._lock:
            self._forget_old()

    def open(self, asked: object) -> Result:
        """A new one, not yet started."""
        result = Result(asked, self._clock, self._run_log)
        with self._lock:
            self._forget_old()
            self._results[result.id] = result
        return result

    def get(self, result_id: object) -> Result | None:
        """The one of an id; None where it is not kept any more, or never was."""
        with self._lock:
            self._forget_old()
            return self._results.get(result_id) if isinstance(result_id, str) else None

    def follow(self, session: str | None, result: Result) -> None:
        """Remember what a visitor looks at: what their Stop means."""
        if session is not None:
            with self._lock:
                self._of_session[session] = result.id

    def is_followed(self, session: str | None, result: Result) -> bool:
        """Whether a visitor who looked at it has not left; nobody's session never leaves."""
        return session is None or self._of_session.get(session) == result.id

    def stop(self, session: str | None) -> None:
        """Stop what a visitor looks at, if it is under way."""
        with self._lock:
            result = self._results.get(self._of_session.get(session or "", ""))
        if result is not None and not result.is_over:
            result.stop()

    def forget(self, session: str | None) -> None:
        """Let go of what a visitor looked at; the result stays."""
        with self._lock:
            self._of_session.pop(session or "", None)

    def _forget_old(self) -> None:
        now = self._clock()
        for result_id, result in list(self._results.items()):
            too_old = result.ended is not None and now - result.ended >= KEPT_SECONDS
            too_many = len(self._results) >= LIMIT and result.is_over
            never = result.state == "asked" and now - result.asked_at >= KEPT_SECONDS
            if too_old or too_many or never:
                del self._results[result_id]
