"""A file of summaries, one a line, that many runs and processes add to."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ..errors import ConfigError, first_line
from ..files import finite, parse_json, read_bytes

# the part of a summary that distinguishes one run from another
IDENTITY = ("model", "random_weights", "prompt", "seed", "steps", "config")


def key(summary: Mapping[str, Any]) -> str:
    """What a row is a measurement of, as text: two rows of the same key are the same run."""
    return json.dumps([summary.get(name, False) for name in IDENTITY], sort_keys=True)


class ResultsFile:
    """JSON lines on disk, added to under a lock, one whole line at a time.

    Args:
        path: Of the file, made with the first row. A last line that was never finished, as an
            interrupted process may leave it, is dropped. The locks are empty files beside it,
            whose names end in ".lock".
    """

    def __init__(self, path: Path):
        self.path = path
        beside = path.resolve()  # the same for every link to it
        self._lock = FileLock(f"{beside}.lock")
        self._use = FileLock(f"{beside}.use.lock", timeout=0)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep others from filling the file at the same time, which would double all work.

        Raises:
            ConfigError: Somebody does already.
        """
        try:
            with self._use:
                yield
        except Timeout:
            allowed = "a file that no other sweep is writing to at this time"
            raise ConfigError("out", str(self.path), allowed) from None

    def rows(self) -> list[dict[str, Any]]:
        """Every row there is.

        Raises:
            ConfigError: A line is no such row, so the file is of some other kind.
        """
        if not self.path.exists():
            return []
        try:
            with self._lock:
                content = read_bytes(self.path)
        except OSError as error:
            allowed = f"a new file or one of summaries, which can be read ({first_line(error)})"
            raise ConfigError("out", str(self.path), allowed) from None
        return [self._row(i, line) for i, line in enumerate(_whole_lines(content), 1)]

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a row, unless the run has one: when this returns, it is in the file.

        Raises:
            OSError: The disk is full; the file is as it was then.
        """
        line = json.dumps(finite(row), allow_nan=False).encode() + b"\n"
        with self._lock, self.path.open("a+b", buffering=0) as file:
            file.seek(0)
            content = file.read()
            lines = _whole_lines(content)
            if key(row) in {key(self._row(i, each)) for i, each in enumerate(lines, 1)}:
                return
            size = len(content)
            if content and not content.endswith(b"\n"):
                size = content.rfind(b"\n") + 1
                if lines and lines[-1] == content[size:]:
                    size, line = len(content), b"\n" + line  # whole, but for its line's end
                file.truncate(size)
            try:
                while line:
                    line = line[file.write(line) :]
                os.fsync(file.fileno())
            except OSError:
                file.truncate(size)  # no half of a row stays
                raise

    def _row(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            row = parse_json(line)
        except ValueError:
            row = None
        if not isinstance(row, dict) or not {"prompt", "config"} <= set(row):
            allowed = f"a new file or one of summaries, and its line {number} is none"
            raise ConfigError("out", str(self.path), allowed)
        return row


def _whole_lines(content: bytes) -> list[bytes]:
    *lines, rest = content.split(b"\n")
    try:
        parse_json(rest)
        lines.append(rest)  # whole, but for its line's end
    except ValueError:
        pass
    return [line for line in lines if line.strip()]
