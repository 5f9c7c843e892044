"""The files that `bench gpu` writes, one a part: `gpu-cost.json`… Standard library only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from ...errors import ConfigError
from ...files import write

DONE = "done"  # the status of a piece that need not be made again
Entry = dict[str, object]


def path_of(part: str, folder: Path) -> Path:
    """Where a part's results lie."""
    return folder / f"gpu-{part}.json"


def read(part: str, folder: Path) -> dict[str, Entry]:
    """A part's pieces by name; none where nothing has been written.

    Raises:
        ConfigError: The file holds something else.
    """
    path = path_of(part, folder)
    if not path.exists():
        return {}
    try:
        pieces = json.loads(path.read_text(encoding="utf-8"))["pieces"]
        return {name: dict(entry) for name, entry in pieces.items()}
    except (ValueError, KeyError, TypeError, AttributeError, OSError):
        raise ConfigError("out", str(path), "a results file of bench gpu") from None


def keep(part: str, name: str, entry: Mapping[str, object], folder: Path) -> None:
    """Add a piece's entry to its part's file, or put it in the older one's place."""
    pieces = {**read(part, folder), name: dict(entry)}
    write({"benchmark": "gpu", "part": part, "pieces": pieces}, path_of(part, folder))


def now() -> str:
    """The date and time, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
