"""The files that `bench gpu` writes, one a part: `gpu-cost.json`… Standard library only."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from ...errors import ConfigError
from ...files import parse_json, read_bytes, write

DONE = "done"  # the status of a piece that need not be made again
Entry = dict[str, object]
# of a path, what a reader of the results has no use for
ABOVE_A_PACKAGE = re.compile(
    r"/(?:[^\s\"':,]*/)?(?=(?:bwcache|tests|diffusers|transformers|accelerate|peft|torch)/)"
)


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
        pieces = parse_json(read_bytes(path))["pieces"]
        return {name: dict(entry) for name, entry in pieces.items()}
    except (ValueError, KeyError, TypeError, AttributeError, OSError):
        raise ConfigError("out", str(path), "a results file of bench gpu") from None


def keep(part: str, name: str, entry: Mapping[str, object], folder: Path) -> None:
    """Add a piece's entry to its part's file, or put it in the older one's place."""
    pieces = {**read(part, folder), name: without_folders(entry)}
    write({"benchmark": "gpu", "part": part, "pieces": pieces}, path_of(part, folder))


def without_folders(data: object) -> object:
    """The same data with paths of packages' files cut to what is below their own folder."""
    if isinstance(data, Mapping):
        return {key: without_folders(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [without_folders(value) for value in data]
    return ABOVE_A_PACKAGE.sub("", data) if isinstance(data, str) else data


def now() -> str:
    """The date and time, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
