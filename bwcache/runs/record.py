"""Keep a comparison as a recorded run: its files, and when each of the panel's rows came."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from PIL import Image

from .. import models
from ..errors import ConfigError, MachineError
from ..files import check_folder, replacing, write_text
from ..models.loading import result_of
from .consume import consume
from .events import ComparisonFinished, Events
from .panel_rows import PanelRows, begin
from .recorded import PLAIN_NAME, RUN_FILE, RecordedRun, load
from .request import Request
from .result_files import save
from .row_kinds import Row
from .video import enlarge

LONGEST_TITLE, LONGEST_CAPTION = 60, 240  # characters
THUMBNAIL = 192  # pixels on the longer edge
RANDOM = "Random weights: the seconds are real, the pictures are noise. "
LEFT_OUT = ("url", "files")  # of a row: a page fills in where it serves the run from


def record(events: Events, request: Request, title: str, caption: str, folder: Path) -> RecordedRun:
    """Run a comparison to its end and keep it, with when each row came.

    Args:
        events: Of the comparison, not yet begun.
        request: What it makes.
        title: A few words.
        caption: One sentence; before it stands that the weights are random, where they are.
        folder: Takes its place whole, or not at all.
    """
    caption = RANDOM + caption if request.random_weights else caption
    kept: list[dict[str, object]] = []
    started = time.perf_counter()

    def keep(row: Row) -> None:
        nonlocal started
        if row["k"] == "loading":
            if row["stage"] == "retry":  # all that was told so far is void
                del kept[1:]
                started = time.perf_counter()
            return
        rest = {name: value for name, value in row.items() if name not in LEFT_OUT}
        kept.append({"at": round(time.perf_counter() - started, 3), "row": rest})

    with replacing(folder) as staging:
        files: dict[str, str] = {}

        def save_files(finished: ComparisonFinished) -> Mapping[str, str]:
            files.update({name: path.name for name, path in save(finished, staging).items()})
            return files

        keep(begin(folder.name, request, models.find(request.model)))
        rows = consume(events, PanelRows(save_files, request.config))
        finished = result_of(rows, keep)
        files["thumbnail"] = "thumbnail.webp"
        write_thumbnail(finished.runs[1].frames, staging / files["thumbnail"])
        now = datetime.now(UTC).isoformat(timespec="seconds")
        recorded = RecordedRun(
            title, caption, now, finished.summary.as_dict(), finished.trace_file, kept, files
        )
        write_text(staging / RUN_FILE, recorded.dumps())
        load(staging)  # what cannot be shown does not take a good one's place
    return recorded


def write_thumbnail(frames: np.ndarray, path: Path) -> None:
    """The middle one of frames `[frames, height, width, 3]` in 0-1, as a small WebP."""
    middle = len(frames) // 2
    (picture,) = enlarge(frames[middle : middle + 1].clip(0, 1))
    image = Image.fromarray((picture * 255).round().astype(np.uint8))
    image.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    image.save(path, "WEBP", quality=80)
    with Image.open(path) as written:
        written.load()
        if written.size != image.size:
            raise MachineError("a picture could not be written")


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
