"""What Generate, Find and the API have in common: a check, a stream, and an error in words.

Knows Gradio's errors and updates, not the layout.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

import gradio as gr

from ..errors import ConfigError, TraceError
from ..runs.baselines import BaselineStore
from ..runs.consume import told
from ..runs.panel_rows import message
from ..runs.request import Request
from ..runs.row_kinds import END, MessageRow
from .languages import TITLE, say
from .line import Place
from .phrases import refused, translated
from .results import KEPT_SECONDS, Result, Results
from .sessions import Visitors

Asked = TypeVar("Asked")
Out = TypeVar("Out")
Given = Mapping[str, object]
Row = Mapping[str, object]
FILE_ROUTE = "/gradio_api/file="


def refusal(reason: object) -> gr.Error:
    """An error that whoever asked gets to read, as one line."""
    return gr.Error(str(reason), title=TITLE, print_exception=False)


def checked(read: Callable[..., Asked], *given: object, language: str | None = None) -> Asked:
    """What `read` makes of what was given, or an error in words.

    Args:
        read: Refuses bad values.
        given: Its arguments.
        language: Of whoever filled in the form; None for a program, which gets one plain line.
    """
    try:
        return read(*given)
    except (ConfigError, TraceError) as error:
        if language is None:
            raise refusal(error) from None
        raise Refused(refused(error, language), getattr(error, "field", "")) from None


class Refused(gr.Error):
    """What a visitor gets to read at a field of the form.

    Args:
        text: A sentence.
        field: Its name.
    """

    def __init__(self, text: str, field: str):
        super().__init__(text, title=TITLE, print_exception=False, visible=False)
        self.row: Row = {"k": "refused", "field": field, "text": text}


def guarded(
    outputs: Generator[Out, None, object], failed: str, doing: str
) -> Generator[Out, None, None]:
    """Pass outputs on; what goes wrong becomes an error in words. Closing it closes them.

    Args:
        outputs: Of a comparison or a search.
        failed: What is said of an error that was not made for people.
        doing: What failed, for the log.
    """
    try:
        with closing(outputs):
            yield from outputs
    except GeneratorExit:
        raise
    except BaseException as error:  # a worker's SystemExit, too, must not end the server
        raise refusal(told(error, doing) or failed) from None


@dataclass(frozen=True)
class Job(Generic[Asked]):
    """What a button starts.

    Args:
        read: What is asked for, of the values of the form's fields by name; refuses bad ones.
        begin: The first row.
        rows: The rows that follow, given the visitor's uncached runs and language, and the device
            that it got, None where there is one for all.
        texts: Before the names of its texts "waiting", "stopped" and "failed".
        doing: What it is, for the log.
        request: What is compared: its model, and what its uncached run is known by.
    """

    read: Callable[[Given], Asked]
    begin: Callable[[Asked], Row]
    rows: Callable[[Asked, BaselineStore, str, str | None], Generator[Row, None, object]]
    texts: str
    doing: str
    request: Callable[[Asked], Request]


class Handlers(Generic[Asked]):
    """What a button that starts a job and the one that stops it do.

    Args:
        job: What is started.
        visitors: Where each visitor's uncached runs are kept.
        results: Where what the jobs show is kept.
    """

    def __init__(self, job: Job[Asked], visitors: Visitors, results: Results | None = None):
        self._job, self._visitors = job, visitors
        self.results = Results() if results is None else results

    def enter(self, given: Given, language: str, session: str | None = None) -> tuple:
        """(the id of what is asked, rows, start, stop).

        The one place where the values are read: `run` finds what is asked as it stands.
        """
        asked = checked(self._job.read, given, language=language)
        if self.results.closed:
            raise refusal(say(language)("page.closing"))
        if self.results.line.out_of_service:
            raise refusal(say(language)("page.no_device"))
        if self.results.line.is_full:
            self.results.note_refusal()
            raise refusal(say(language)("page.line_full"))
        result = self.results.open(asked)
        self.results.follow(session, result)
        waiting = self._message("waiting", language) | {"id": result.id}
        return result.id, [waiting], *buttons(running=True)

    def run(self, asked: str | None, session: str | None, language: str) -> Iterator[tuple]:
        """Yields (rows, start, stop) until the job is done, starting it where nobody has.

        Each list is a new one: Gradio sends the difference to the last, which is the new rows.
        Closing the iterator leaves the job to whoever follows it next; see `results`.

        Args:
            asked: As `enter` gave it, or as an address names it.
            session, language: The visitor's.
        """
        return (update for update in self.poll(asked, session, language, 1.0) if update)

    def poll(
        self, asked: str | None, session: str | None, language: str, wait: float = 0.0
    ) -> Iterator[tuple | None]:
        """The same, and None wherever nothing is new after so many seconds."""
        if not asked:  # nobody has pressed the button
            raise refusal(say(language)("page.nothing_asked"))
        result = self.results.get(asked)
        if result is None:
            yield [self._message("gone", language)], *buttons(running=False)
            return
        self.results.follow(session, result)
        if result.state == "done":  # at once, and no more: a second output might overtake it
            yield result.rows, *buttons(running=False)
            return
        request = self._job.request(result.asked)  # type: ignore[arg-type]
        making = (self._job.doing, request.model)
        wanted = self._visitors.store(session).devices_of(request)
        make = partial(self._rows, result, session, language)
        result.start(make, self.results.line, making, request.model, wanted)
        shown: list[Row] = []
        waiting: Row = {}
        with closing(result.follow(wait)) as news:
            for new in news:
                if isinstance(new, list):
                    changes = (gr.skip(), gr.skip()) if shown else buttons(running=True)
                    shown = new
                    yield shown, *changes
                    continue
                place = new and self._waiting(result.id, new, language)
                if place and place != waiting:
                    waiting = place
                    yield [waiting], *buttons(running=True)
                else:
                    yield None
                if not self.results.is_followed(session, result):
                    return
        match result.state:
            case "error":
                failed = say(language)(f"page.{self._job.texts}failed")
                problem = translated(result.problem, language) if result.problem else failed
                yield [*shown, message("error", problem)], *buttons(running=False)
                raise refusal(problem)
            case "stopped" | "cut":
                state = "closing" if self.results.closed else result.state
                ending = self._message(state, language)
                yield [*shown, ending], *buttons(running=False)
            case _:
                yield None  # a moment, so that the last row is not overtaken
                # Gradio repeats the last output whole when a run completes: a short one, then.
                yield END, *buttons(running=False)

    def _rows(
        self, result: Result, session: str | None, language: str
    ) -> Generator[Row, None, None]:
        asked = result.asked
        yield {**self._job.begin(asked), "id": result.id}  # type: ignore[arg-type]
        store = self._visitors.store(session)
        rows = self._job.rows(asked, store, language, result.device)  # type: ignore[arg-type]
        failed = say(language)(f"page.{self._job.texts}failed")
        yield from guarded(rows, failed, self._job.doing)

    def stop(self, language: str, session: str | None = None) -> tuple:
        """(rows, start, stop) for a job that was cancelled."""
        self.results.stop(session)
        return [self._message("stopped", language)], *buttons(running=False)

    def _message(self, kind: str, language: str) -> MessageRow:
        """What is said in the place of a run; `kind` of the job's own texts where it has one."""
        texts = self._job.texts if kind not in COMMON else ""
        text = say(language)(f"page.{texts}{kind}", minutes=KEPT_SECONDS // 60)
        return message("stopped" if kind in COMMON else kind, text)  # type: ignore[arg-type]

    def _waiting(self, result_id: str, place: Place, language: str) -> Row:
        row = self._message("waiting", language)
        if place.number:
            text = say(language)("page.line_place", number=place.number)
            if place.seconds is not None:
                text += " " + waiting_words(place.seconds, language)
            row = message("waiting", text)
        return row | {"id": result_id}


COMMON = ("cut", "gone", "closing")  # messages that all jobs share


def waiting_words(seconds: float, language: str) -> str:
    """How long somebody still waits, in words; rounded, since nobody knows exactly."""
    if seconds >= 90:
        return say(language)("page.line_minutes", minutes=round(seconds / 60))
    return say(language)("page.line_seconds", seconds=max(5, 5 * round(seconds / 5)))


def buttons(running: bool) -> tuple:
    """(start, stop) as they stand while a job is or is not under way."""
    return gr.update(interactive=not running), gr.update(interactive=running)
