"""The section "Find my threshold": layout, what its buttons do, and the rows they send.

Every trial is a comparison of the page's own, made one after the other on the queue's one place.
The rows are drawn by `static/panel/finder.js`; like the live panel's, a list of them only grows.
"""

from __future__ import annotations

import base64
import logging
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing

import gradio as gr

from ..errors import ConfigError
from ..explore.candidates import Candidate
from ..explore.find_setting import (
    BaselineStarted,
    SearchEvent,
    SearchFinished,
    SearchStarted,
    Trial,
    TrialStarted,
)
from ..explore.find_setting import search as run_search
from ..explore.search import Goal
from ..models import ModelError
from ..runs.events import StepDone
from ..runs.panel_rows import END, Row, message, rounded
from ..runs.request import Request
from ..runs.texts import ENGLISH
from . import form, languages
from .handlers import Compare, buttons
from .languages import TITLE, choices, for_browser, label, say
from .panel import scripted, source
from .sessions import Visitors

log = logging.getLogger(__name__)
MODEL_QUEUE = "model"  # the queue's one place, shared with Generate
GOALS = {"psnr": 35, "speedup": 2}  # kind → what a visitor finds in the field
QUIET = {"api_visibility": "private", "show_progress": "hidden"}


class Finder:
    """What the section's buttons do.

    Args:
        compare: As `bwcache.runs.compare.compare`.
        visitors: Where each visitor's uncached runs are kept.
        device: "cpu" or "cuda".
        read: As `form.read`; refuses what this host does not allow, too.
    """

    def __init__(
        self,
        compare: Compare,
        visitors: Visitors,
        device: str,
        read: Callable[..., Request] = form.read,
    ):
        self._compare, self._visitors, self._device = compare, visitors, device
        self._read = read

    def enter(self, *values: object, language: str = ENGLISH) -> tuple:
        """(rows, Find, Stop) for a visitor whose turn comes next; refuses bad input."""
        self._checked(values)
        return [message("waiting", say(language)("page.finder_waiting"))], *buttons(running=True)

    def find(
        self, *values: object, session: str | None, language: str = ENGLISH
    ) -> Iterator[tuple]:
        """Yields (rows, Find, Stop) until the search is over. Closing it closes the trial."""
        request, goal = self._checked(values)
        store = self._visitors.store(session)
        shown = [begin(secrets.token_hex(4), goal, request)]
        yield shown, *buttons(running=True)
        events = run_search(request, goal, self._compare, store, self._device)
        try:
            with closing(events):
                for event in events:
                    row = as_row(event)
                    if row is None:
                        continue
                    shown = [*shown, row]
                    yield shown, gr.skip(), gr.skip()
        except Exception as error:
            known = isinstance(error, ConfigError | ModelError)
            if not known:
                log.exception("a search failed")
            text = str(error) if known else say(language)("page.finder_failed")
            yield [*shown, message("error", text)], *buttons(running=False)
            raise gr.Error(text, title=TITLE, print_exception=False) from None
        yield END, *buttons(running=False)

    def stop(self, language: str = ENGLISH) -> tuple:
        """(rows, Find, Stop) for a search that was cancelled."""
        return [message("stopped", say(language)("page.finder_stopped"))], *buttons(running=False)

    def _checked(self, values: tuple) -> tuple[Request, Goal]:
        """What the form and the section ask for, or an error that the page shows."""
        *fields, kind, value = values
        try:
            return self._read(*fields), Goal(kind, value)
        except ConfigError as error:
            raise gr.Error(str(error), title=TITLE, print_exception=False) from None


def begin(run_id: str, goal: Goal, request: Request) -> Row:
    """The first row: what is looked for."""
    found = {"k": "begin", "id": run_id, "goal": goal.kind, "value": goal.value}
    return found | {"model": request.model, "gate": request.config.gate}


def as_row(event: SearchEvent) -> Row | None:
    """An event as the row that shows it."""
    match event:
        case BaselineStarted():
            return {"k": "uncached", "n": event.steps}
        case StepDone():
            return {"k": "at", "i": event.record.step_index + 1}
        case SearchStarted():
            return {
                "k": "known",
                "c": event.candidates,
                "saved": event.runs_saved,
                "most": event.most,
                "n": event.baseline.trace.num_steps,
                "remembered": event.remembered,
                "p": _picture(event.filmstrip),
            }
        case TrialStarted():
            seconds = {"s": rounded(event.candidate.seconds), "left": rounded(event.seconds_left)}
            return {"k": "try", "i": event.number, **_setting(event.candidate), **seconds}
        case Trial():
            measured = event.measured
            return {
                "k": "trial",
                "i": event.number,
                **_setting(event.candidate),
                "x": rounded(measured.speedup),
                "psnr": rounded(measured.psnr_db),
                "ssim": rounded(measured.ssim),
                "w": event.candidate.schedule,
                "ok": event.meets,
                "p": _picture(event.filmstrip),
            }
        case SearchFinished(recommendation=found):
            row: Row = {"k": "done", "text": found.sentence, "ok": found.goal_met}
            return row if found.candidate is None else row | _setting(found.candidate)
    return None


def _setting(candidate: Candidate) -> Row:
    return {"t": candidate.config.threshold, "r": str(candidate.config.reuse_interval)}


def _picture(strip: bytes | None) -> str | None:
    return None if strip is None else base64.b64encode(strip).decode()


def add_finder(
    compare: Compare,
    visitors: Visitors,
    device: str,
    fields: Mapping[str, gr.components.Component],
    read: Callable[..., Request] = form.read,
) -> gr.HTML:
    """Put the section where the page now stands, and wire it.

    Returns:
        Its component. Its `submit` event carries the threshold, interval, gate and model.
    """
    with gr.Accordion(label("finder_title"), open=False, elem_id="bw-find"):
        gr.Markdown(label("finder_intro"), elem_id="bw-find-intro")
        with gr.Row(elem_id="bw-find-goal"):
            kind = gr.Radio(
                choices("finder_kind", GOALS),
                value="psnr",
                label=label("finder_kind"),
                scale=3,
                min_width=260,
            )
            number = gr.Number(
                GOALS["psnr"],
                label=label("finder_value_psnr"),
                scale=1,
                min_width=150,
                elem_id="bw-find-value",
            )
            find = gr.Button(label("finder_find"), variant="primary", scale=1, min_width=110)
            stop = gr.Button(label("finder_stop"), interactive=False, scale=1, min_width=110)
        panel = scripted(
            "panel/finder.js", source("panel/finder.html"), for_browser("finder"), "bw-finder"
        )
    finder = Finder(compare, visitors, device, read)
    inputs = [*(fields[name] for name in form.FIELDS), kind, number]
    outputs = [panel, find, stop]

    def on_find(request: gr.Request, *values):
        language = languages.of(request)
        yield from finder.find(*values, session=request.session_hash, language=language)

    def on_enter(request: gr.Request, *values):
        return finder.enter(*values, language=languages.of(request))

    def on_stop(request: gr.Request):
        return finder.stop(languages.of(request))

    def on_kind(chosen):
        return gr.update(value=GOALS[chosen], label=label(f"finder_value_{chosen}"))

    entered = find.click(on_enter, inputs, outputs, concurrency_limit=None, **QUIET)
    run = entered.success(
        on_find, inputs, outputs, trigger_mode="multiple", concurrency_id=MODEL_QUEUE, **QUIET
    )
    stop.click(on_stop, None, outputs, cancels=[entered, run], queue=False, **QUIET)
    kind.input(on_kind, kind, number, queue=False, **QUIET)
    return panel
