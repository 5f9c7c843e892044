"""What the page's buttons do: run a comparison as a stream of panel updates, stop, advise.

Knows Gradio's errors and updates, not the layout. A run's files live in Gradio's cache, under
names that owe nothing to the visitor.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import gradio as gr

from .. import models
from ..errors import ConfigError, TraceError
from ..runs import panel_rows as rows
from ..runs.consume import consume, told
from ..runs.events import ComparisonFinished, Event
from ..runs.request import Request
from ..runs.result_files import save
from . import form
from .advice import advise
from .host import Price
from .languages import TITLE, say
from .sessions import Store, Visitors

Compare = Callable[[Request, Store, str | None], Iterator[Event]]
FILE_ROUTE = "/gradio_api/file="


class Handlers:
    """The page's behaviour.

    Args:
        compare: As `bwcache.runs.compare.compare`.
        visitors: Where each visitor's uncached runs are kept.
        device: "cpu" or "cuda".
        publish: Copies a file to where the page may fetch it; returns its new path.
        read: As `form.read`; refuses what this host does not allow, too.
        price: What a run of the request asks of the visitor's quota, given the request, the
            visitor's store and Gradio's request; None where nobody counts.
    """

    def __init__(
        self,
        compare: Compare,
        visitors: Visitors,
        device: str,
        publish: Callable[[Path], str | None],
        read: Callable[..., Request] = form.read,
        price: Price | None = None,
    ):
        self._compare = compare
        self._visitors = visitors
        self._device = device
        self._publish, self._read, self._price = publish, read, price

    def enter(self, *fields: object, language: str = "en") -> tuple:
        """(panel rows, Generate, Stop) for a visitor whose turn comes next; refuses bad input."""
        self._checked(fields)
        return [rows.message("waiting", say(language)("page.waiting"))], *buttons(running=True)

    def generate(
        self,
        *fields: object,
        session: str | None,
        language: str = "en",
        asking: object = None,
    ) -> Iterator[tuple]:
        """Yields (panel rows, Generate, Stop, advice) until the comparison is complete.

        Each list is a new one: Gradio sends the difference to the last, which is the new rows.
        Closing the iterator closes the comparison.
        """
        request = self._checked(fields)
        store = self._visitors.store(session)
        shown = [rows.begin(secrets.token_hex(4), request, models.find(request.model))]
        yield shown, *buttons(running=True), gr.skip()
        try:
            events = self._compare(request, store, self._device)
            made = consume(events, rows.PanelRows(self._files, request.config, language))
            with closing(made):
                for row in made:
                    shown = [*shown, row]
                    yield shown, gr.skip(), gr.skip(), gr.skip()
        except Exception as error:
            text = told(error) or say(language)("page.failed")
            yield [*shown, rows.message("error", text)], *buttons(running=False), gr.skip()
            raise gr.Error(text, title=TITLE, print_exception=False) from None
        # Gradio repeats the last output whole when a run completes: let that be a short one.
        yield rows.END, *buttons(running=False), self._advice(request, store, language, asking)

    def _files(self, finished: ComparisonFinished) -> dict[str, str]:
        with tempfile.TemporaryDirectory(prefix="bwcache-") as folder:
            written = save(finished, Path(folder))
            return {name: f"{FILE_ROUTE}{self._publish(path)}" for name, path in written.items()}

    def stop(self, language: str = "en") -> tuple:
        """(panel rows, Generate, Stop) for a run that was cancelled."""
        return [rows.message("stopped", say(language)("page.stopped"))], *buttons(running=False)

    def advice(
        self,
        *fields: object,
        session: str | None,
        language: str = "en",
        asking: object = None,
    ) -> str:
        """What to expect of the settings, and their cost; nothing while they cannot be used."""
        try:
            request = self._read(*fields)
            return self._advice(request, self._visitors.store(session), language, asking)
        except (ConfigError, TraceError):
            return ""

    def _advice(self, request: Request, store: Store, language: str, asking: object) -> str:
        cost = None if self._price is None else self._price(request, store, asking)
        return advise(request, store.get(request), language, cost)

    def _checked(self, fields: tuple) -> Request:
        """The request that the form describes, or an error that the page shows."""
        try:
            return self._read(*fields)
        except ConfigError as error:
            raise gr.Error(str(error), title=TITLE, print_exception=False) from None

    def forget(self, session: str | None) -> None:
        self._visitors.forget(session)


def buttons(running: bool) -> tuple:
    """(Generate, Stop) as they stand while a run is or is not under way."""
    return gr.update(interactive=not running), gr.update(interactive=running)
