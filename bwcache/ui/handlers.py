"""What Generate, Find and the API have in common: a check, a stream, and an error in words.

Knows Gradio's errors and updates, not the layout.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Generic, TypeVar

import gradio as gr

from ..errors import ConfigError, TraceError
from ..runs.baselines import BaselineStore
from ..runs.consume import told
from ..runs.panel_rows import END, message
from .languages import TITLE, say
from .sessions import Visitors

Asked = TypeVar("Asked")
Out = TypeVar("Out")
Given = Mapping[str, object]
Row = Mapping[str, object]
FILE_ROUTE = "/gradio_api/file="


def refusal(reason: object) -> gr.Error:
    """An error that whoever asked gets to read, as one line."""
    return gr.Error(str(reason), title=TITLE, print_exception=False)


def checked(read: Callable[..., Asked], *given: object) -> Asked:
    """What `read` makes of what was given, or an error in words."""
    try:
        return read(*given)
    except (ConfigError, TraceError) as error:
        raise refusal(error) from None


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
    except Exception as error:
        raise refusal(told(error, doing) or failed) from None


@dataclass(frozen=True)
class Job(Generic[Asked]):
    """What a button starts.

    Args:
        read: What is asked for, of the values of the form's fields by name; refuses bad ones.
        begin: The first row.
        rows: The rows that follow, given the visitor's uncached runs and language.
        texts: Before the names of its texts "waiting", "stopped" and "failed".
        doing: What it is, for the log.
    """

    read: Callable[[Given], Asked]
    begin: Callable[[Asked], Row]
    rows: Callable[[Asked, BaselineStore, str], Generator[Row, None, object]]
    texts: str
    doing: str


class Handlers(Generic[Asked]):
    """What a button that starts a job and the one that stops it do.

    Args:
        job: What is started.
        visitors: Where each visitor's uncached runs are kept.
    """

    def __init__(self, job: Job[Asked], visitors: Visitors):
        self._job, self._visitors = job, visitors

    def enter(self, given: Given, language: str) -> tuple:
        """(what is asked, rows, start, stop) for a visitor whose turn comes next.

        The one place where the values are read: `run` gets what is asked as it stands.
        """
        asked = checked(self._job.read, given)
        return asked, self._message("waiting", language), *buttons(running=True)

    def run(self, asked: Asked | None, session: str | None, language: str) -> Iterator[tuple]:
        """Yields (rows, start, stop) until the job is done.

        Each list is a new one: Gradio sends the difference to the last, which is the new rows.
        Closing the iterator closes the comparison.
        """
        if asked is None:  # nobody has pressed the button
            raise refusal(say(language)("page.nothing_asked"))
        shown = [self._job.begin(asked)]
        yield shown, *buttons(running=True)
        rows = self._job.rows(asked, self._visitors.store(session), language)
        failed = say(language)(f"page.{self._job.texts}failed")
        try:
            with closing(guarded(rows, failed, self._job.doing)) as told_rows:
                for row in told_rows:
                    shown = [*shown, row]
                    yield shown, gr.skip(), gr.skip()
        except gr.Error as error:
            yield [*shown, message("error", error.message)], *buttons(running=False)
            raise
        # Gradio repeats the last output whole when a run completes: let that be a short one.
        yield END, *buttons(running=False)

    def stop(self, language: str) -> tuple:
        """(rows, start, stop) for a job that was cancelled."""
        return self._message("stopped", language), *buttons(running=False)

    def _message(self, kind, language: str) -> list:
        return [message(kind, say(language)(f"page.{self._job.texts}{kind}"))]


def buttons(running: bool) -> tuple:
    """(start, stop) as they stand while a job is or is not under way."""
    return gr.update(interactive=not running), gr.update(interactive=running)
