"""Recorded runs: a comparison kept in a folder, with when each of the panel's rows came.

Knows the folder's layout and checks all that is read; knows nothing of the page.
"""

from __future__ import annotations

import json
import os
import re
import stat
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from ..cache.methods.bwcache import BWCacheConfig
from ..cache.trace import TraceFile
from ..errors import RecordedError, TraceError, first_line, plain
from ..files import ASSETS, finite, parse_json, read_text
from .row_kinds import RecordedRow

FORMAT, VERSION = "bwcache-recorded-run", 1
RUN_FILE = "run.json"
RUNS = ASSETS / "runs"
NEEDED_FILES = ("baseline", "cached", "thumbnail")
PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
MOST = 100_000  # of anything that is counted: steps, blocks, frames
LONGEST = 2000  # characters of a text
ALIKE = re.compile(r"\D(\d+)")  # in letters, how often one follows itself
MOST_RUN_BYTES = 2**25  # of a run.json; TinyWorld's take 300 KB
WORDS = {  # pydantic's, as people here say
    "valid string": "text",
    "valid number": "number",
    "valid integer": "whole number",
    "valid boolean": "true or false",
    "valid dictionary": "object",
    "valid list": "list",
}


# -- what a file may hold: refused at the door, so that nothing behind it has to look again --------


def _refuse(needed: str) -> NoReturn:
    raise PydanticCustomError("needed", needed)  # type: ignore[arg-type]


def _clean(text: str) -> str:
    """A text that steers nothing: no control character but a line's end, no half of a letter."""
    steering = any(
        unicodedata.category(letter) in ("Cc", "Cs") for letter in text if letter != "\n"
    )
    return _refuse("a text without control characters") if steering else text


def _said(text: str) -> str:
    return _clean(text) if text.strip() else _refuse("a text")


def _date(text: str) -> str:
    try:
        aware = datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        aware = False
    return text if aware else _refuse("a date such as 2026-11-21T10:00:00+00:00")


def _plain(name: str) -> str:
    return name if PLAIN_NAME.fullmatch(name) else _refuse("a plain file name without a folder")


Clean = Annotated[str, Field(max_length=LONGEST), AfterValidator(_clean)]
Text = Annotated[str, Field(max_length=LONGEST), AfterValidator(_said)]
Count = Annotated[int, Field(ge=0, le=MOST)]
Date = Annotated[str, AfterValidator(_date)]
PlainName = Annotated[str, AfterValidator(_plain)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Gain = Annotated[float, Field(allow_inf_nan=False, ge=0, le=1e6)]


class _Checked(BaseModel):
    """Takes a type for what it is: no text for a number, no true for 1."""

    model_config = ConfigDict(strict=True, extra="allow")


class _Config(_Checked):
    threshold: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None


class _Summary(_Checked):
    """What a card and the verdict are made of; the rest is as some version once wrote it."""

    speedup: Gain
    steps_computed: Count
    steps_reused: Count
    steps_partial: Count = 0
    psnr_db: Number | None
    device: Clean
    model: Clean
    prompt: Clean
    verdict: Clean
    warning: Clean | None = None
    method: Clean = BWCacheConfig.name
    config: _Config
    versions: dict[str, Any]


class _TimedRow(_Checked):
    at: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    row: Annotated[RecordedRow, Field(discriminator="k")]


class _File(_Checked):
    title: Text
    caption: Text
    recorded: Date
    summary: _Summary
    files: dict[PlainName, PlainName]
    rows: Annotated[list[_TimedRow], Field(min_length=2)]
    trace: dict[str, Any]


@dataclass(frozen=True)
class RecordedRun:
    """A comparison to be played again.

    Args:
        title: A few words.
        caption: One sentence.
        recorded: When it was made, as ISO 8601 with the zone.
        summary: As in `summary.json`, with device and versions.
        trace: As in `trace.json`.
        rows: The live panel's rows, from "begin" to "done", each as `{"at": seconds since the
            start at which it came, "row": the row without urls}`.
        files: Name → file in the run's folder; at least baseline, cached and thumbnail.
    """

    title: str
    caption: str
    recorded: str
    summary: Mapping[str, object]
    trace: TraceFile
    rows: Sequence[Mapping[str, object]]
    files: Mapping[str, str]

    def dumps(self) -> str:
        """The text of `run.json`: a line for each part and for each row."""
        parts = {
            "format": FORMAT,
            "version": VERSION,
            "title": self.title,
            "caption": self.caption,
            "recorded": self.recorded,
            "files": dict(self.files),
            "summary": self.summary,
            "trace": json.loads(self.trace.dumps()),
        }
        lines = [f"{json.dumps(name)}: {_compact(part)}" for name, part in parts.items()]
        rows = ",\n".join(_compact(row) for row in self.rows)
        return "{\n" + ",\n".join([*lines, f'"rows": [\n{rows}\n]']) + "\n}\n"

    @classmethod
    def loads(cls, text: str) -> RecordedRun:
        """Read the text of `run.json`.

        Raises:
            RecordedError: It is not JSON, not a recorded run, of another version, or damaged.
        """
        data = _parsed(text)
        if not isinstance(data, dict):
            raise RecordedError(RUN_FILE, type(data).__name__, "an object")
        found = (data.get("format"), data.get("version"))
        if found != (FORMAT, VERSION):
            shown = f"{found[0]!r} version {found[1]!r}"
            raise RecordedError(RUN_FILE, shown, f"{FORMAT!r} version {VERSION}")
        try:
            checked = _File.model_validate(data)
        except ValidationError as error:
            raise _in_a_line(error) from None
        _check_together(checked)
        try:
            trace = TraceFile.loads(json.dumps(data["trace"]))
        except TraceError as error:
            raise RecordedError(f"{RUN_FILE} trace", str(error), "a whole trace") from None
        if trace.model != checked.summary.model:
            needed = f"the trace of {checked.summary.model!r}, as in the summary"
            raise RecordedError(f"{RUN_FILE} trace.model", trace.model, needed)
        text_parts = (checked.title, checked.caption, checked.recorded)
        return cls(*text_parts, data["summary"], trace, data["rows"], data["files"])


def load(folder: Path) -> RecordedRun:
    """The recorded run in a folder.

    Raises:
        RecordedError: `run.json` cannot be read, see `RecordedRun.loads`, or a file is missing.
    """
    _check_file(folder, RUN_FILE, "this file")
    try:
        run = RecordedRun.loads(read_text(folder / RUN_FILE, MOST_RUN_BYTES))
    except (OSError, UnicodeDecodeError) as error:
        why = first_line(error).replace(f"{folder}{os.sep}", "")
        raise RecordedError(RUN_FILE, f"no readable text ({why})", "a recorded run") from None
    for name in run.files.values():
        _check_file(folder, name, f"this file, as {RUN_FILE} names it")
    return run


def _check_file(folder: Path, name: str, needed: str) -> None:
    """Refuse what is missing, and what is no plain file: it would be served, or never end."""
    try:
        kind = (folder / name).lstat().st_mode
    except OSError:
        raise RecordedError(name, "nothing", needed) from None
    if not stat.S_ISREG(kind):
        raise RecordedError(name, "no plain file", needed)


def listing(runs: Path) -> list[tuple[str, RecordedRun | RecordedError]]:
    """Every folder's name in `runs`, in order, with its run or what is wrong with it.

    Whatever is wrong with one keeps no other from being listed.
    """
    found: list[tuple[str, RecordedRun | RecordedError]] = []
    try:
        folders = sorted(runs.iterdir())
    except OSError:
        return found
    for folder in folders:
        try:
            if folder.name.startswith(".") or not folder.is_dir() or folder.is_symlink():
                continue
            if plain(folder.name) != folder.name:
                raise RecordedError("its name", folder.name, "a folder's name of plain letters")
            found.append((folder.name, load(folder)))
        except RecordedError as error:
            found.append((plain(folder.name), error))
        except Exception as error:
            why = first_line(error).replace(f"{folder}{os.sep}", "")
            wrong = RecordedError(RUN_FILE, why, "a recorded run")
            found.append((plain(folder.name), wrong))
    return found


def _compact(data: object) -> str:
    return json.dumps(finite(data), separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _parsed(text: str) -> object:
    try:
        return parse_json(text)
    except ValueError as error:
        raise RecordedError(RUN_FILE, f"no valid JSON ({error})", "a recorded run") from None


def _in_a_line(error: ValidationError) -> RecordedError:
    """The first thing that is wrong: the part, what was found there, what is needed."""
    first = error.errors(include_url=False)[0]
    part, found = RUN_FILE, first["input"]
    for place in _without_tags(first["loc"]):
        if isinstance(place, int):
            part += f"[{place}]"
        else:
            part += f" {place}" if part == RUN_FILE else f".{place}"
    needed = first["msg"].removeprefix("Input should be ").replace("\n", " ")
    for theirs, ours in WORDS.items():
        needed = needed.replace(theirs, ours)
    if first["type"] == "missing":
        return RecordedError(part, "nothing", "this part")
    if first["type"].startswith("union_tag"):
        return RecordedError(f"{part}.k", found, "a row of a known kind")
    return RecordedError(part, type(found).__name__ if _is_large(found) else found, needed)


def _is_large(found: object) -> bool:
    return isinstance(found, dict | list)


def _without_tags(places: Sequence[str | int]) -> list[str | int]:
    """Where something is, without the row's kind that pydantic puts in, nor its note on a key."""
    tagged = len(places) > 3 and places[0] == "rows" and places[2] == "row"
    kept = [*places[:3], *places[4:]] if tagged else list(places)
    return [place for place in kept if place != "[key]"]


def _check_amounts(row: Mapping[str, object], part: str) -> None:
    """Refuse amounts that no browser could draw: it makes room for what a row says."""
    for name, value in row.items():
        if name == "settings":  # a seed may be large
            continue
        for each in value if isinstance(value, list) else [value]:
            counted = isinstance(each, int) and not isinstance(each, bool)
            if counted and not -1 <= each <= MOST:  # type: ignore[operator]
                raise RecordedError(f"{part}.{name}", each, f"a whole number up to {MOST}")
            if name in ("blocks", "letters") and isinstance(each, str) and _letters(each) > MOST:
                raise RecordedError(f"{part}.{name}", each, f"at most {MOST} letters")
    if row["k"] == "step" and row["i"] < 0:  # type: ignore[operator]
        raise RecordedError(f"{part}.i", row["i"], "a whole number from 0")


def _letters(text: str) -> int:
    """How many letters a text stands for, in which some say how often they follow themselves."""
    return sum(int(count) for count in ALIKE.findall(text)) + len(text)


def _check_together(file: _File) -> None:
    """Refuse parts that do not fit one another."""
    for name in NEEDED_FILES:
        if name not in file.files:
            raise RecordedError(f"{RUN_FILE} files.{name}", "nothing", "a file's name")
    part, latest = f"{RUN_FILE} rows", 0.0
    for place, timed in enumerate(file.rows):
        if timed.at < latest:
            needed = f"seconds, not before the {latest:g} of the row before it"
            raise RecordedError(f"{part}[{place}].at", timed.at, needed)
        latest = timed.at
    for place, timed in enumerate(file.rows):
        _check_amounts(timed.row, f"{part}[{place}].row")  # type: ignore[arg-type]
    summary = file.summary
    if summary.method == BWCacheConfig.name and summary.config.threshold is None:
        raise RecordedError(f"{RUN_FILE} summary.config.threshold", "nothing", "this part")
    if not summary.steps_computed + summary.steps_reused + summary.steps_partial:
        raise RecordedError(f"{RUN_FILE} summary", "no step at all", "steps that sum to something")
    rows = [timed.row for timed in file.rows]
    kinds = [row["k"] for row in rows]
    if kinds[0] != "begin" or kinds[-1] != "done":
        raise RecordedError(part, f"{kinds[0]!r} to {kinds[-1]!r}", "'begin' to 'done'")
    for row in rows:
        if row["k"] == "video" and row["run"] not in file.files:
            raise RecordedError(f"{part}: video of {row['run']!r}", "no file of that name", "one")
