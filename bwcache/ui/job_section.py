"""What the sections beside the live panel share: a job's rows, and the markup that shows them.

Their scripts share `static/panel/job.js`.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from string import Template
from typing import Any, TypeVar

from ..explore.find_setting import BaselineKnown, BaselineStarted
from ..runs.events import StepDone
from .panel import source

Row = dict[str, Any]
Event = TypeVar("Event")


def rows_of(
    events: Generator[Event, None, None], as_row: Callable[[Event, str], Row | None], language: str
) -> Generator[Row, None, None]:
    """The rows that show a job's events; closing them ends the job.

    Args:
        events: As the job yields them.
        as_row: The row of one, None where it has none of its own.
        language: Of texts.
    """
    with closing(events):
        for event in events:
            if (row := as_row(event, language) or _common_row(event)) is not None:
                yield row


def _common_row(event: object) -> Row | None:
    """The rows that all jobs have: of the uncached run, and of the steps of each run."""
    match event:
        case BaselineStarted():
            return {"k": "uncached", "n": event.steps}
        case StepDone():
            return {"k": "at", "i": event.record.step_index + 1}
        case BaselineKnown():
            return known(event)
    return None


def known(event: BaselineKnown) -> Row:
    """The row that says what all is compared with, and how many runs will be made at most."""
    return {
        "k": "known",
        "most": event.most,
        "n": event.baseline.trace.num_steps,
        "remembered": event.remembered,
        "p": picture(event.filmstrip),
    }


def picture(filmstrip: bytes | None) -> str | None:
    """A picture of some frames as a row carries it: base64."""
    return None if filmstrip is None else base64.b64encode(filmstrip).decode()


def markup(
    name: str, columns: Sequence[str], outcome: str = "", detail: str = "", notes: str = ""
) -> str:
    """What a section's script finds.

    Args:
        name: The section's class.
        columns: Of the table: keys of the section's texts.
        outcome, detail, notes: HTML of its own, below what all sections have there.
    """
    heads = "".join(f'<th scope="col" data-text="{column}"></th>' for column in columns)
    return Template(source("panel/job.html")).substitute(
        name=name, columns=heads, outcome=outcome, detail=detail, notes=notes
    )
