"""A file of summaries, one a line, that many runs and processes add to."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock

from ..errors import ConfigError
from ..files import finite

# the part of a summary that distinguishes one run from another
IDENTITY = ("model", "random_weights", "prompt", "seed", "steps", "config")


def key(summary: Mapping[str, Any]) -> str:
    """What a row is a measurement of, as text: two rows of the same key are the same run."""
    return json.dumps([summary.get(name, False) for name in IDENTITY], sort_keys=True)


class ResultsFile:
    """JSON lines on disk, added to under a lock, one whole line at a time.

    Args:
        path: Of the file, made with the first row. A last line that was never finished, as an
            interrupted process may leave it, is dropped. The lock is an empty file beside it,
            whose name ends in ".lock".
    """

    def __init__(self, path: Path):
        self.path = path
        self._lock = FileLock(f"{path}.lock")

    def rows(self) -> list[dict[str, Any]]:
        """Every row there is.

        Raises:
            ConfigError: A line is no such row, so the file is of some other kind.
        """
        if not self.path.exists():
            return []
        with self._lock:
            content = self.path.read_bytes()
        return [self._row(i, line) for i, line in enumerate(_whole_lines(content), 1)]

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a row; when this returns, it is in the file."""
        line = json.dumps(finite(row), allow_nan=False).encode() + b"\n"
        with self._lock, self.path.open("a+b") as file:
            file.seek(0)
            content = file.read()
            if content and not content.endswith(b"\n"):
                file.seek(0)
                file.truncate()
                file.write(b"".join(part + b"\n" for part in _whole_lines(content)))
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    def _row(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict) or not {"prompt", "config"} <= set(row):
            allowed = f"a new file or one of summaries, and its line {number} is none"
            raise ConfigError("out", str(self.path), allowed)
        return row


def _whole_lines(content: bytes) -> list[bytes]:
    *lines, rest = content.split(b"\n")
    try:
        json.loads(rest)
        lines.append(rest)  # whole, but for its line's end
    except ValueError:
        pass
    return [line for line in lines if line.strip()]
