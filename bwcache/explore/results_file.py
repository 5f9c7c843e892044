"""A file of summaries, one a line, that many runs and processes add to and read as it grows."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout

from ..errors import ConfigError, first_line
from ..files import finite, parse_json

# the part of a summary that distinguishes one run from another
IDENTITY = ("model", "random_weights", "prompt", "seed", "steps", "method", "config")
MOST_LINE = 2**24  # bytes; a summary takes a few thousand
Row = dict[str, Any]


def key(summary: Mapping[str, Any]) -> str:
    """What a row is a measurement of, as text: two rows of the same key are the same run."""
    return json.dumps([summary.get(name, False) for name in IDENTITY], sort_keys=True)


class ResultsFile:
    """JSON lines on disk, added to under a lock, one whole line at a time.

    Each line is read once: `catch_up` goes on where it stopped, and `append` reads only what others
    have added meanwhile. Of a row that was read 16 bytes are kept, by which it is known again.

    Args:
        path: Of the file, made with the first row. A last line that was never finished, as an
            interrupted process may leave it, is dropped with the next row. The locks are empty
            files beside it, whose names end in ".lock".
        on_row: Called with every row once, as `catch_up` or `append` comes upon it.
        identity: What a row is known by; a row of the same is not written twice.
        field: What errors call the file.
        rows_are: What errors call its rows.
    """

    def __init__(
        self,
        path: Path,
        on_row: Callable[[Row], None] = lambda row: None,
        identity: Callable[[Mapping[str, Any]], str] = key,
        field: str = "out",
        rows_are: str = "summaries",
    ):
        self.path = path
        self._field, self._rows_are = field, rows_are
        self._on_row, self._identity = on_row, identity
        beside = path.resolve()  # the same for every link to it
        self._lock = FileLock(f"{beside}.lock")
        self._use = FileLock(f"{beside}.use.lock", timeout=0)
        self._known: set[bytes] = set()
        self._end = self._lines = 0  # of what was read: bytes, lines

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other commands from filling the file at the same time, which would double all work.

        Raises:
            ConfigError: Somebody does already.
        """
        try:
            with self._use:
                yield
        except Timeout:
            allowed = "a file that no other command is writing to at this time"
            raise ConfigError(self._field, str(self.path), allowed) from None

    def rows(self) -> list[Row]:
        """Every row there is; see `read`."""
        return list(self.read())

    def read(self) -> Iterator[Row]:
        """Every row there is, one at a time. A last line that only lacks its end is a row, too.

        Raises:
            ConfigError: A line is no such row, so the file is of some other kind.
        """
        with self._opened() as file:
            for number, line in enumerate(self._lines_of(file), 1):
                whole = line.endswith(b"\n")
                if line.strip() and (whole or _is_json(line)):
                    yield self._row(number, line)

    def catch_up(self) -> None:
        """Read what was added since the last time.

        Raises:
            ConfigError: As `read`.
        """
        with self._opened() as file:
            if file.seek(0, os.SEEK_END) < self._end:  # it was emptied: all anew
                self._known.clear()
                self._end = self._lines = 0
            file.seek(self._end)
            for line in self._lines_of(file):
                if not line.endswith(b"\n"):
                    break  # under way, or never finished
                self._end, self._lines = self._end + len(line), self._lines + 1
                if line.strip():
                    self._take(self._row(self._lines, line))

    def append(self, row: Mapping[str, Any]) -> bool:
        """Add a row, unless the run has one: when this returns, it is in the file.

        Returns:
            Whether it was added.

        Raises:
            OSError: The disk is full; the file is as it was then.
            ConfigError: As `read`.
        """
        line = json.dumps(finite(row), allow_nan=False).encode() + b"\n"
        with self._lock:
            self.catch_up()
            with self.path.open("r+b" if self.path.exists() else "w+b", buffering=0) as file:
                self._heal(file)
                if self._digest(row) in self._known:
                    return False
                try:
                    rest = line
                    while rest:
                        rest = rest[file.write(rest) :]
                    os.fsync(file.fileno())
                except OSError:
                    file.truncate(self._end)  # no half of a row stays
                    raise
            self._end, self._lines = self._end + len(line), self._lines + 1
            self._take(dict(row))
            return True

    def _heal(self, file: IO[bytes]) -> None:
        """Bring a last line that has no end to one, or drop it; the lock is held."""
        file.seek(self._end)
        rest = file.read(MOST_LINE)
        if not rest:
            return
        if _is_json(rest):
            row = self._row(self._lines + 1, rest)
            file.write(b"\n")
            self._end, self._lines = self._end + len(rest) + 1, self._lines + 1
            self._take(row)
        elif rest.lstrip()[:1] in (b"{", b""):
            file.truncate(self._end)
            file.seek(self._end)
        else:
            self._row(self._lines + 1, rest)  # refused: not ours to cut

    def _take(self, row: Row) -> None:
        self._known.add(self._digest(row))
        self._on_row(row)

    def _digest(self, row: Mapping[str, Any]) -> bytes:
        return blake2b(self._identity(row).encode(), digest_size=16).digest()

    @contextmanager
    def _opened(self) -> Iterator[IO[bytes]]:
        try:
            with (self.path if self.path.exists() else Path(os.devnull)).open("rb") as file:
                yield file
        except OSError as error:
            raise self._unreadable(first_line(error)) from None

    def _lines_of(self, file: IO[bytes]) -> Iterator[bytes]:
        while line := file.readline(MOST_LINE + 1):
            if len(line) > MOST_LINE:
                raise self._unreadable(f"a line of more than {MOST_LINE} bytes")
            yield line

    def _unreadable(self, why: str) -> ConfigError:
        allowed = f"a new file or one of {self._rows_are}, which can be read ({why})"
        return ConfigError(self._field, str(self.path), allowed)

    def _row(self, number: int, line: bytes) -> Row:
        try:
            row = parse_json(line)
        except ValueError:
            row = None
        if not isinstance(row, dict) or not {"prompt", "config"} <= set(row):
            allowed = f"a new file or one of {self._rows_are}, and its line {number} is none"
            raise ConfigError(self._field, str(self.path), allowed)
        return row


def _is_json(line: bytes) -> bool:
    try:
        parse_json(line)
    except ValueError:
        return False
    return True
