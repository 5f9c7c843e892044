"""Where the project's data lies, how files are read and how they are written: whole, or not at all.

Standard library only.
"""

from __future__ import annotations

import errno
import json
import math
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

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


# -- reading: one door for what others have written --------------------------------------------

MOST_DIGITS = 18  # of a whole number: what 64 bits hold
LARGEST = 10.0**MOST_DIGITS  # of any number
DEEPEST = 32  # objects and lists within one another
MOST_BYTES = 2**28  # of a file that is read whole


def parse_json(text: str | bytes) -> Any:
    """A text's JSON, with nothing in it that a reader of it stumbles over.

    Numbers are finite and below 10^18, nothing is named `__proto__`, and objects and lists are not
    nested deeper than `DEEPEST`. A byte-order mark is passed over.

    Raises:
        ValueError: It is no such JSON; says why in a line.
    """
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise ValueError("not a text in UTF-8") from None
    try:
        data = json.loads(
            text.removeprefix("\ufeff"),
            parse_constant=_no_constant,
            parse_float=_bounded_number,
            parse_int=_short_integer,
            object_pairs_hook=_plain_object,
        )
    except RecursionError:
        raise ValueError(TOO_DEEP) from None
    level, depth = [data], 0
    while level := [
        inner
        for value in level
        if isinstance(value, dict | list)
        for inner in (value.values() if isinstance(value, dict) else value)
    ]:
        depth += 1
        if depth > DEEPEST:
            raise ValueError(TOO_DEEP)
    return data


TOO_DEEP = f"more than {DEEPEST} objects or lists within one another"


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number there")


def _bounded_number(text: str) -> float:
    number = float(text)
    if not -LARGEST <= number <= LARGEST:
        raise ValueError(f"{text[:20]} is too large a number")
    return number


def _short_integer(text: str) -> int:
    if len(text.lstrip("-")) > MOST_DIGITS:
        raise ValueError(f"a whole number of {len(text)} digits")
    return int(text)


def _plain_object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if "__proto__" in found:  # would become an object's ancestor in a browser
        raise ValueError("a part named __proto__")
    return found


def read_bytes(path: Path, most: int = MOST_BYTES) -> bytes:
    """What a file holds. Of one without an end, no more than so many bytes are looked at.

    Raises:
        OSError: It cannot be read, or holds more.
    """
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"more than {most} bytes", str(path))
    return content


def read_text(path: Path, most: int = MOST_BYTES) -> str:
    """A file's text, without a byte-order mark.

    Raises:
        OSError: It cannot be read, or is too large.
        UnicodeDecodeError: It is not UTF-8.
    """
    return read_bytes(path, most).decode("utf-8-sig")


# -- writing: whole, or not at all --------------------------------------------------------------


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


def write_text(path: Path, text: str) -> None:
    """Write a text as UTF-8; when this returns, the disk has it.

    Raises:
        OSError: The disk is full, or the folder cannot be written to.
    """
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def move_all(staging: Path, folder: Path, names: Iterable[str] = ()) -> list[Path]:
    """Move all files of a folder into another on the same disk: every one, or none.

    Args:
        staging: Emptied.
        folder: Files of the same names are replaced; where one of them cannot be, all are put
            back as they were.
        names: Of files that go, too, if they are there: they belong to what is replaced.

    Returns:
        The files' new paths, in order.

    Raises:
        OSError: One cannot be replaced.
    """
    new = sorted(path.name for path in staging.iterdir())
    done: list[tuple[Path, Path]] = []
    with tempfile.TemporaryDirectory(prefix=".replaced-", dir=folder) as kept:
        try:
            for name in [*new, *sorted(set(names) - set(new))]:
                target = folder / name
                if os.path.lexists(target):
                    if target.is_dir() and not target.is_symlink():
                        raise IsADirectoryError(errno.EISDIR, "is a folder", str(target))
                    os.replace(target, Path(kept) / name)
                    done.append((Path(kept) / name, target))
            for name in new:
                os.replace(staging / name, folder / name)
                done.append((folder / name, staging / name))
        except BaseException:
            for now, before in reversed(done):
                with suppress(OSError):
                    os.replace(now, before)
            raise
    return [folder / name for name in new]


def check_folder(folder: Path, names: Iterable[str] = ()) -> None:
    """Refuse a folder that cannot be written to, before any work is done. Creates nothing.

    Args:
        folder: There, or to be made.
        names: Of the files that are to lie in it.

    Raises:
        ConfigError: It is a file, neither it nor its nearest existing parent can be written to, or
            something that cannot be replaced lies there under one of the names.
    """
    nearest = folder
    try:
        while not os.path.lexists(nearest) and nearest != nearest.parent:
            nearest.is_dir()  # names that no disk takes are refused here
            nearest = nearest.parent
        fits = nearest.is_dir() and _can_write(nearest)
    except (OSError, ValueError):
        fits = False
    if not fits:
        raise ConfigError("out", str(folder), "a folder that can be written to")
    for name in names:
        if not _can_replace(folder / name):
            allowed = f"a folder whose {name}, if there is one, is a file that can be replaced"
            raise ConfigError("out", str(folder), allowed)


def _can_write(folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(4096))
            return True
    except OSError:
        return False


def _can_replace(path: Path) -> bool:
    """Whether there is nothing, or a plain file that can be changed."""
    try:
        kind = path.lstat().st_mode
        if stat.S_ISLNK(kind):
            kind = path.stat().st_mode
        if not stat.S_ISREG(kind):
            return False
        with path.open("r+b"):
            return True
    except FileNotFoundError:
        return not path.is_symlink()
    except (OSError, ValueError):
        return False


def check_file(path: Path) -> None:
    """Refuse a file that cannot be written, before any work is done. Leaves nothing behind.

    Raises:
        ConfigError: It is a folder, a device or the like, or cannot be changed, or its own folder
            is missing or cannot be written to.
    """
    try:
        fits = _can_write(path.resolve().parent) and _can_replace(path)
    except (OSError, RuntimeError, ValueError):  # a link that leads to itself
        fits = False
    if not fits:
        allowed = "a file in a folder that is there and can be written to"
        if os.path.lexists(path):
            allowed = "a new file, or a plain one that can be changed, in a folder that can be, too"
        raise ConfigError("out", str(path), allowed)


def write(result: Mapping[str, object], path: Path) -> None:
    """Write a result as JSON, whole or not at all; a file of that name is replaced.

    Raises:
        OSError: The disk is full, or the file cannot be replaced: it is as it was then.
    """
    path = path.resolve()  # a link stays one
    with tempfile.TemporaryDirectory(prefix=".writing-", dir=path.parent) as folder:
        staged = Path(folder) / path.name
        text = json.dumps(finite(result), indent=1, allow_nan=False)
        write_text(staged, f"{text}\n")
        os.replace(staged, path)
