"""The section "Compare the methods": layout, the runs it starts, and the rows that show them.

Every point is a comparison of the page's own, made one after the other on the queue's one place.
The rows are drawn by `static/panel/methods.js`; like the live panel's, a list of them only grows.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from .. import models
from ..errors import ConfigError
from ..explore.compare_methods import (
    LeftOut,
    MethodsEvent,
    MethodsFinished,
    Point,
    PointStarted,
    closest,
    compare_methods,
)
from ..explore.families import BEST_KNOWN, Family, families, find_families
from ..explore.search import psnr_text
from ..runs.baselines import BaselineStore, Compare
from ..runs.consume import for_visitors
from ..runs.request import Request
from ..runs.rounding import rounded
from .handlers import Given, Job
from .host import Host
from .job_section import Row, markup, picture, rows_of
from .languages import ENGLISH, for_browser, label
from .panel import scripted
from .phrases import translated

CHOSEN = "methods_compared"  # the name of the section's field
SPEEDS = (2.0, 1.5, 1.2)  # the highest that two families reach is spoken of

Asked = tuple[Request, Sequence[Family]]


@dataclass(frozen=True)
class Methods:
    """The section's components.

    Args:
        panel: Shows the runs.
        start, stop: The buttons.
        chosen: Names of families.
    """

    panel: gr.HTML
    start: gr.Button
    stop: gr.Button
    chosen: gr.Dropdown


def methods_job(compare: Compare, host: Host) -> Job[Asked]:
    """What the section's button starts."""

    def read(given: Given) -> Asked:
        request = host.read(given)
        names = given.get(CHOSEN)
        if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
            raise ConfigError(CHOSEN, names, "names of methods")
        if not names:
            raise ConfigError(CHOSEN, None, "one method at least")
        threshold = models.find(request.model).default_preset.config.threshold
        return request, find_families(names, threshold, request.model)

    def rows(
        asked: Asked, store: BaselineStore, language: str, device: str | None = None
    ) -> Generator[Row, None, None]:
        events = compare_methods(*asked, compare, store, device or host.device)
        return rows_of(events, as_row, language)

    return Job(read, begin, rows, "methods_", "a comparison of methods", lambda asked: asked[0])


def begin(asked: Asked) -> Row:
    """The first row: what is compared."""
    request, chosen = asked
    return {
        "k": "begin",
        "model": request.model,
        "f": [{"n": each.name, "t": each.title, "ours": each.is_ours} for each in chosen],
    }


def as_row(event: MethodsEvent, language: str = ENGLISH) -> Row | None:
    """The row that shows an event of comparing methods alone, in a language."""
    match event:
        case PointStarted():
            return {"k": "try", "i": event.number, **_which(event)}
        case Point():
            return {
                "k": "result",
                "i": event.number,
                **_which(event),
                "x": rounded(event.speedup),
                "c": rounded(event.compute_share),
                "psnr": rounded(event.psnr_db),
                "ssim": rounded(event.ssim),
                "p": picture(event.filmstrip),
            }
        case LeftOut():
            why = translated(for_visitors(event.why), language)
            return {"k": "out", "f": event.family.name, "why": why}
        case MethodsFinished():
            return {"k": "done", "text": translated(sentence(event.points), language)}
    return None


def sentence(points: Sequence[Point]) -> str:
    """Who came closest on this prompt, in English."""
    for speed in SPEEDS:
        first, *others = [*closest(points, speed), None]
        if first is None or others == [None]:
            continue
        second = others[0]
        assert second is not None
        return (
            f"At {speed:g}× or faster, {first.family.title} came closest to the uncached video: "
            f"{psnr_text(first.psnr_db)}; then {second.family.title}: {psnr_text(second.psnr_db)}."
        )
    if points:
        return "No two methods were fast enough here to be compared."
    return "None of these methods can run on this model."


def _which(event: PointStarted | Point) -> Row:
    return {"f": event.family.name, "v": "" if event.value is None else f"{event.value}"}


def methods_controls() -> tuple[gr.Button, gr.Button, gr.Dropdown]:
    """Put what is pressed and chosen where the page now stands: beside the form.

    Returns:
        `start`, `stop` and `chosen` of `Methods`.
    """
    with gr.Accordion(label("methods_title"), open=False, elem_id="bw-compare-methods"):
        chosen = gr.Dropdown(
            [(_title(each), each.name) for each in families().values()],
            value=list(BEST_KNOWN),
            multiselect=True,
            label=label("methods_compared"),
            elem_id="bw-methods_compared",
        )
        with gr.Row(elem_id="bw-methods-buttons"):
            start = gr.Button(label("methods_start"), variant="primary", scale=1, min_width=80)
            stop = gr.Button(label("methods_stop"), interactive=False, scale=1, min_width=80)
        gr.Markdown(label("methods_intro"), elem_id="bw-methods-intro")
    return start, stop, chosen


def _title(family: Family) -> Any:
    return family.title if family.control is None else label(f"family_{family.control}")


NOTES = """<ul class="bwm-out bw-small"></ul>
    <p class="bw-small" data-text="caveat"></p>"""
COLUMNS = ("column_method", "column_value", "column_speed", "column_share", "psnr", "ssim")


def methods_markup() -> str:
    """What the section's script finds."""
    return markup("bw-methods", COLUMNS, notes=NOTES)


def methods_panel() -> gr.HTML:
    """Put what shows the runs where the page now stands; it takes no room before they begin."""
    texts = for_browser("methods_panel")
    return scripted("panel/methods.js", methods_markup(), texts, "bw-methods")
