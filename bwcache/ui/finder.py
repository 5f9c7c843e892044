"""The section "Find my threshold": layout, the search it starts, and the rows that show it.

Every trial is a comparison of the page's own, made one after the other on the queue's one place.
The rows are drawn by `static/panel/finder.js`; like the live panel's, a list of them only grows.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import gradio as gr

from ..cache.methods import METHODS
from ..errors import ConfigError
from ..explore.candidates import Candidate
from ..explore.find_setting import (
    SearchEvent,
    SearchFinished,
    SearchStarted,
    Trial,
    TrialStarted,
    search,
)
from ..explore.search import Goal
from ..runs.baselines import BaselineStore, Compare
from ..runs.request import Request
from ..runs.rounding import rounded
from .handlers import Given, Job
from .host import Host
from .job_section import Row, known, markup, picture, rows_of
from .languages import ENGLISH, choices, for_browser, label
from .panel import scripted
from .phrases import translated

GOALS = {"psnr": 35, "speedup": 2}  # kind → what a visitor finds in the field
VARIED = ("threshold", "reuse_interval")  # the settings that a search varies
GOAL_KIND, GOAL_VALUE = "goal", "goal_value"  # names of the section's fields


@dataclass(frozen=True)
class Finder:
    """The section's components.

    Args:
        panel: Shows the search. Its `submit` event carries settings, by name, for the form.
        start, stop: The buttons.
        kind, value: Of the goal.
    """

    panel: gr.HTML
    start: gr.Button
    stop: gr.Button
    kind: gr.Radio
    value: gr.Number


def search_job(compare: Compare, host: Host) -> Job[tuple[Request, Goal]]:
    """What the section's button starts."""

    def read(given: Given) -> tuple[Request, Goal]:
        request = host.read(given)
        check_searchable(request)
        return request, Goal(given.get(GOAL_KIND), given.get(GOAL_VALUE))  # type: ignore[arg-type]

    def rows(
        asked: tuple[Request, Goal],
        store: BaselineStore,
        language: str,
        device: str | None = None,
    ) -> Generator[Row, None, None]:
        events = search(*asked, compare, store, device or host.device)
        return rows_of(events, as_row, language)

    return Job(read, begin, rows, "finder_", "a search", lambda asked: asked[0])


def check_searchable(request: Request) -> None:
    """Refuse a method that has not the settings which a search varies.

    Raises:
        ConfigError: It has not.
    """

    def is_searchable(name: str) -> bool:
        return set(VARIED) <= {knob.name for knob in METHODS[name].knobs()}

    if not is_searchable(request.config.name):
        able = ", ".join(filter(is_searchable, METHODS))
        raise ConfigError("method", request.config.name, f"{able} in a search")


def begin(asked: tuple[Request, Goal]) -> Row:
    """The first row: what is looked for."""
    request, goal = asked
    return {
        "k": "begin",
        "goal": goal.kind,
        "value": goal.value,
        "model": request.model,
        "gate": request.config.as_dict()["gate"],
    }


def as_row(event: SearchEvent, language: str = ENGLISH) -> Row | None:
    """The row that shows an event of a search alone, in a language."""
    match event:
        case SearchStarted():
            return {**known(event), "c": event.candidates, "saved": event.runs_saved}
        case TrialStarted():
            seconds = {"s": rounded(event.candidate.seconds), "left": rounded(event.seconds_left)}
            return {"k": "try", "i": event.number, **_setting(event.candidate), **seconds}
        case Trial():
            measured = event.measured
            return {
                "k": "result",
                "i": event.number,
                **_setting(event.candidate),
                "x": rounded(measured.speedup_by_work),
                "clock": rounded(measured.speedup),
                "psnr": rounded(measured.psnr_db),
                "ssim": rounded(measured.ssim),
                "w": event.candidate.schedule,
                "ok": event.meets,
                "p": picture(event.filmstrip),
            }
        case SearchFinished(recommendation=found):
            row: Row = {
                "k": "done",
                "text": translated(found.sentence, language),
                "ok": found.goal_met,
            }
            return row if found.candidate is None else row | _setting(found.candidate)
    return None


def _setting(candidate: Candidate) -> Row:
    return {"t": candidate.config.threshold, "r": str(candidate.config.reuse_interval)}


def finder_controls() -> tuple[gr.Button, gr.Button, gr.Radio, gr.Number]:
    """Put what is pressed and typed where the page now stands: beside the form.

    Returns:
        `start`, `stop`, `kind` and `value` of `Finder`.
    """
    with gr.Accordion(label("finder_title"), open=False, elem_id="bw-find"):
        kind = gr.Radio(
            choices("finder_kind", GOALS),
            value="psnr",
            label=label("finder_kind"),
            elem_id="bw-find-kind",
        )
        with gr.Row(elem_id="bw-find-goal"):
            number = gr.Number(
                GOALS["psnr"],
                label=label("finder_value_psnr"),
                scale=2,
                min_width=130,
                elem_id="bw-find-value",
            )
            find = gr.Button(label("finder_find"), variant="primary", scale=1, min_width=80)
            stop = gr.Button(label("finder_stop"), interactive=False, scale=1, min_width=80)
        gr.Markdown(label("finder_intro"), elem_id="bw-find-intro")
    return find, stop, kind, number


USE = """<p class="bwf-use-line" hidden>
      <button type="button" class="bwf-use" data-text="use"></button>
      <span class="bwf-used"></span>
    </p>"""
DETAIL = """<p class="bwf-numbers"></p>
        <p class="bwf-schedule" aria-hidden="true"></p>"""
NOTES = """<p class="bw-small">
      <span class="bwf-choice"></span> <span data-text="caveat"></span>
    </p>"""
COLUMNS = (
    *("column_trial", "column_threshold", "column_interval", "column_work", "column_clock"),
    *("psnr", "ssim", "column_steps", "column_goal"),
)


def finder_markup() -> str:
    """What the section's script finds."""
    return markup("bw-finder", COLUMNS, USE, DETAIL, NOTES)


def finder_panel() -> gr.HTML:
    """Put what shows the search where the page now stands; it takes no room before one begins."""
    return scripted("panel/finder.js", finder_markup(), for_browser("finder"), "bw-finder")
