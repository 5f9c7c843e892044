"""Where the project's data lies, and how files are written: whole, or not at all.

Standard library only.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from .errors import ConfigError

_PACKAGE = Path(__file__).parent
# an installed package carries its data; in a checkout it lies beside the package
ASSETS = next(
    (path for path in (_PACKAGE / "assets", _PACKAGE.parent / "assets") if path.is_dir()),
    _PACKAGE.parent / "assets",
)


def finite(data: object) -> object:
    """The same data with null where a number is not finite, as strict JSON needs."""
    if isinstance(data, Mapping):
        return {key: finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """An empty folder to write to, which takes `folder`'s place if the block ends without error."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".writing-", dir=folder.parent) as space:
        new, old = Path(space) / "new", Path(space) / "old"
        new.mkdir()
        yield new
        if folder.exists():
            os.replace(folder, old)
        try:
            os.replace(new, folder)
        except OSError:
            if old.exists():
                os.replace(old, folder)
            raise


def check_folder(folder: Path) -> None:
    """Refuse a folder that cannot be written to, before any work is done. Creates nothing.

    Raises:
        ConfigError: It is a file, or neither it nor its nearest existing parent can be written to.
    """
    nearest = folder
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir() or not _can_write(nearest):
        raise ConfigError("out", str(folder), "a folder that can be written to")


def _can_write(folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def check_file(path: Path) -> None:
    """Refuse a file that cannot be written, before any work is done. Leaves nothing behind.

    Raises:
        ConfigError: It is a folder, or its own folder is missing or cannot be written to.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError:
        allowed = "a file in a folder that is there and can be written to"
        raise ConfigError("out", str(path), allowed) from None


def write(result: dict[str, object], path: Path) -> None:
    """Write a result as JSON, whole or not at all; a file of that name is replaced."""
    with tempfile.TemporaryDirectory(prefix=".writing-", dir=path.parent) as folder:
        staged = Path(folder) / path.name
        text = json.dumps(finite(result), indent=1, allow_nan=False)
        staged.write_text(f"{text}\n", encoding="utf-8")
        os.replace(staged, path)
