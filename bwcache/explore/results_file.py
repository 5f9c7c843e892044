"""A file of summaries, one a line, that many runs and processes add to. Standard library only."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ..errors import ConfigError
from ..files import finite

TELLING = ("model", "random_weights", "prompt", "seed", "steps", "config")  # one run from another


def key(summary: Mapping[str, object]) -> str:
    """What a row is a measurement of, as text: two rows of the same key are the same run."""
    return json.dumps([summary.get(name, False) for name in TELLING], sort_keys=True)


class RowsFile:
    """JSON lines on disk, added to under a lock, one whole line at a time.

    Args:
        path: Of the file, made with the first row. A last line that was never finished, as an
            interrupted process may leave it, is dropped.
    """

    def __init__(self, path: Path):
        self.path = path

    def rows(self) -> list[dict[str, object]]:
        """Every row there is.

        Raises:
            ConfigError: A line is no such row, so the file is of some other kind.
        """
        if not self.path.exists():
            return []
        with self._locked() as file:
            return [self._row(i, line) for i, line in enumerate(_whole_lines(file.read()), 1)]

    def append(self, row: Mapping[str, object]) -> None:
        """Add a row; when this returns, it is in the file."""
        line = json.dumps(finite(row), allow_nan=False).encode() + b"\n"
        with self._locked() as file:
            content = file.read()
            if content and not content.endswith(b"\n"):
                file.seek(0)
                file.truncate()
                file.write(b"".join(part + b"\n" for part in _whole_lines(content)))
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    def _row(self, number: int, line: bytes) -> dict[str, object]:
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict) or not {"prompt", "config"} <= set(row):
            allowed = f"a new file or one of summaries, and its line {number} is none"
            raise ConfigError("out", str(self.path), allowed)
        return row

    @contextmanager
    def _locked(self) -> Iterator[BinaryIO]:
        with self.path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # until the file is closed
            file.seek(0)
            yield file


def _whole_lines(content: bytes) -> list[bytes]:
    *lines, rest = content.split(b"\n")
    try:
        json.loads(rest)
        lines.append(rest)  # whole, but for its line's end
    except ValueError:
        pass
    return [line for line in lines if line.strip()]
