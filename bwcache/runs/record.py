"""Keep a comparison as a recorded run: its files, and when each of the panel's rows came."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from PIL import Image

from .. import models
from ..errors import ConfigError
from ..files import check_folder, replacing
from ..models.progress import Loading
from . import panel_rows as rows
from .events import ComparisonFinished, Event, Request, RunStarted, StepDone
from .recorded import PLAIN_NAME, RUN_FILE, RecordedRun
from .result_files import save
from .video import enlarge

LONGEST_TITLE, LONGEST_CAPTION = 60, 240  # characters
THUMBNAIL = 192  # pixels on the longer edge
RANDOM = "Random weights: the seconds are real, the pictures are noise. "
LEFT_OUT = ("url", "files")  # of a row: a page fills in where it serves the run from


def record(
    events: Iterator[Event], request: Request, title: str, caption: str, folder: Path
) -> RecordedRun:
    """Run a comparison to its end and keep it, with when each row came.

    Args:
        events: Of the comparison, not yet begun.
        request: What it makes.
        title: A few words.
        caption: One sentence; before it stands that the weights are random, where they are.
        folder: Takes its place whole, or not at all.
    """
    caption = RANDOM + caption if request.random_weights else caption
    spec, clock, kept = models.find(request.model), rows.Clock(), []
    started = time.perf_counter()

    def keep(row: rows.Row) -> None:
        rest = {key: value for key, value in row.items() if key not in LEFT_OUT}
        kept.append({"at": round(time.perf_counter() - started, 3), "row": rest})

    with replacing(folder) as staging:
        keep(rows.begin(folder.name, request, spec))
        for event in events:
            match event:
                case Loading(stage="retry"):  # all that was told so far is void
                    del kept[1:]
                    clock, started = rows.Clock(), time.perf_counter()
                case RunStarted():
                    keep(rows.start(event))
                case StepDone():
                    keep(rows.step(event, clock.after(event)))
                case ComparisonFinished():
                    files = {name: path.name for name, path in save(event, staging).items()}
                    for run in event.runs:
                        keep(rows.video(run.run, ""))
                    for row in rows.frames(event.summary):
                        keep(row)
                    keep(rows.done(event.summary, {}))
        write_thumbnail(event.runs[1].frames, staging / "thumbnail.webp")
        now = datetime.now(UTC).isoformat(timespec="seconds")
        files |= {"thumbnail": "thumbnail.webp"}
        recorded = RecordedRun(title, caption, now, event.summary, event.trace_file, kept, files)
        (staging / RUN_FILE).write_text(recorded.dumps(), encoding="utf-8")
    return recorded


def write_thumbnail(frames: np.ndarray, path: Path) -> None:
    """The middle one of frames `[frames, height, width, 3]` in 0-1, as a small WebP."""
    middle = len(frames) // 2
    (picture,) = enlarge(frames[middle : middle + 1].clip(0, 1))
    image = Image.fromarray((picture * 255).round().astype(np.uint8))
    image.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    image.save(path, "WEBP", quality=80)


def check_texts(title: str, caption: str) -> None:
    """Refuse a title or caption that a card has no room for.

    Raises:
        ConfigError: It is empty or too long.
    """
    for name, text, most in (
        ("title", title, LONGEST_TITLE),
        ("caption", caption, LONGEST_CAPTION),
    ):
        if not text.strip() or len(text) > most:
            raise ConfigError(name, text, f"1 to {most} characters of text")


def check_target(folder: Path) -> None:
    """Refuse a folder that a recorded run cannot take the place of.

    Raises:
        ConfigError: Its name does not suit an address, it cannot be written to, or it holds
            something else.
    """
    if not PLAIN_NAME.fullmatch(folder.name):
        raise ConfigError("out", folder.name, "a folder named with letters, digits, '-', '.', '_'")
    check_folder(folder)
    if folder.is_dir() and any(folder.iterdir()) and not (folder / RUN_FILE).is_file():
        raise ConfigError("out", str(folder), "a new folder, or one that holds a recorded run")
