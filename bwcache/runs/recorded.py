"""Recorded runs: a comparison kept in a folder, with when each of the panel's rows came.

Knows the folder's layout and checks it; knows nothing of the page. Standard library only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ..cache.trace import TraceFile
from ..errors import RecordedError, TraceError
from ..files import ASSETS, finite

FORMAT, VERSION = "bwcache-recorded-run", 1
RUN_FILE = "run.json"
RUNS = ASSETS / "runs"
NEEDED_FILES = ("baseline", "cached", "thumbnail")
# of the summary: what a card and the verdict are made of
NEEDED_NUMBERS = {
    "speedup": int | float,
    "steps_computed": int,
    "steps_reused": int,
    "psnr_db": int | float | None,
    "device": str,
    "model": str,
    "prompt": str,
    "verdict": str,
    "config": dict,
    "versions": dict,
}
PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


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
        try:
            data = json.loads(text)
        except (json.JSONDecodeError, RecursionError) as error:
            raise RecordedError(RUN_FILE, f"no valid JSON ({error})", "a recorded run") from None
        if not isinstance(data, dict):
            raise RecordedError(RUN_FILE, type(data).__name__, "an object")
        found = (data.get("format"), data.get("version"))
        if found != (FORMAT, VERSION):
            shown = f"{found[0]!r} version {found[1]!r}"
            raise RecordedError(RUN_FILE, shown, f"{FORMAT!r} version {VERSION}")
        for name in ("title", "caption", "recorded"):
            if not isinstance(data.get(name), str) or not data[name].strip():
                raise RecordedError(f"{RUN_FILE} {name}", data.get(name), "a text")
        _check_date(data["recorded"])
        _check_summary(data.get("summary"))
        _check_files(data.get("files"))
        _check_rows(data.get("rows"), data["files"])
        try:
            trace = TraceFile.loads(json.dumps(data.get("trace")))
        except TraceError as error:
            raise RecordedError(f"{RUN_FILE} trace", str(error), "a whole trace") from None
        if trace.model != data["summary"]["model"]:
            needed = f"the trace of {data['summary']['model']!r}, as in the summary"
            raise RecordedError(f"{RUN_FILE} trace.model", trace.model, needed)
        text_parts = (data["title"], data["caption"], data["recorded"])
        return cls(*text_parts, data["summary"], trace, data["rows"], data["files"])


def load(folder: Path) -> RecordedRun:
    """The recorded run in a folder.

    Raises:
        RecordedError: `run.json` cannot be read, see `RecordedRun.loads`, or a file is missing.
    """
    try:
        run = RecordedRun.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecordedError(RUN_FILE, "nothing", "this file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise RecordedError(RUN_FILE, f"no readable text ({error})", "a recorded run") from None
    for name in run.files.values():
        if not (folder / name).is_file():
            raise RecordedError(name, "nothing", f"this file, as {RUN_FILE} names it")
    return run


def listing(runs: Path) -> list[tuple[str, RecordedRun | RecordedError]]:
    """Every folder's name in `runs`, in order, with its run or what is wrong with it."""
    if not runs.is_dir():
        return []
    found: list[tuple[str, RecordedRun | RecordedError]] = []
    for folder in sorted(runs.iterdir()):
        if folder.name.startswith(".") or not folder.is_dir() or folder.is_symlink():
            continue
        try:
            found.append((folder.name, load(folder)))
        except RecordedError as error:
            found.append((folder.name, error))
    return found


def _compact(data: object) -> str:
    return json.dumps(finite(data), separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _check_date(text: str) -> None:
    try:
        aware = datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        aware = False
    if not aware:
        needed = "a date such as 2026-11-21T10:00:00+00:00"
        raise RecordedError(f"{RUN_FILE} recorded", text, needed)


def _check_summary(summary: object) -> None:
    if not isinstance(summary, dict):
        raise RecordedError(f"{RUN_FILE} summary", type(summary).__name__, "an object")
    for name, kind in NEEDED_NUMBERS.items():
        value = summary.get(name, "nothing")
        if not isinstance(value, kind) or isinstance(value, bool) or name not in summary:
            words = getattr(kind, "__name__", str(kind))
            raise RecordedError(f"{RUN_FILE} summary.{name}", value, f"of type {words}")
    threshold = summary["config"].get("threshold")
    if not isinstance(threshold, int | float):
        raise RecordedError(f"{RUN_FILE} summary.config.threshold", threshold, "a number")


def _check_files(files: object) -> None:
    part = f"{RUN_FILE} files"
    if not isinstance(files, dict):
        raise RecordedError(part, type(files).__name__, "an object")
    for name in NEEDED_FILES:
        if name not in files:
            raise RecordedError(f"{part}.{name}", "nothing", "a file's name")
    for name, file in files.items():
        if not isinstance(file, str) or not PLAIN_NAME.fullmatch(file):
            raise RecordedError(f"{part}.{name}", file, "a plain file name without a folder")


def _check_rows(rows: object, files: Mapping[str, str]) -> None:
    part, latest = f"{RUN_FILE} rows", 0.0
    if not isinstance(rows, list) or len(rows) < 2:
        raise RecordedError(part, type(rows).__name__, "a list from 'begin' to 'done'")
    for place, row in enumerate(rows):
        at = row.get("at") if isinstance(row, dict) and isinstance(row.get("row"), dict) else None
        if not isinstance(at, int | float) or isinstance(at, bool) or not at >= latest:
            needed = "a row and its `at` in seconds, not before the row before it"
            raise RecordedError(f"{part}[{place}]", row, needed)
        latest = at
    inner = [row["row"] for row in rows]
    kinds = [row.get("k") for row in inner]
    if kinds[0] != "begin" or kinds[-1] != "done":
        raise RecordedError(part, f"{kinds[0]!r} to {kinds[-1]!r}", "'begin' to 'done'")
    for run in [row.get("run") for row in inner if row.get("k") == "video"]:
        if run not in files:
            raise RecordedError(f"{part}: video of {run!r}", "no file of that name", "one")
