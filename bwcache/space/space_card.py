"""The Space's card: its front matter, checked against what Spaces document, and made to fit.

Makes no request. Source: the hub's "Spaces configuration reference" and "Spaces ZeroGPU" pages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

import yaml
from huggingface_hub import SpaceCard, SpaceHardware, metadata_load
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from ..errors import DeployError

HARDWARE = tuple(flavour.value for flavour in SpaceHardware)
ZERO = "zero-a10g"
ZERO_PYTHON = ("3.10.13", "3.12.12")
ZERO_TORCH = ("2.8.0", "2.9.1", "2.10.0", "2.11.0")  # on PyPI; the newest is what is pinned
COLOURS = ("red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray")
LONGEST_DESCRIPTION = 60  # characters
HUB = "https://huggingface.co"


def repo_name(value: object) -> bool:
    """Whether it is OWNER/NAME as the hub allows."""
    try:
        validate_repo_id(value)
    except HFValidationError:
        return False
    return isinstance(value, str) and value.count("/") == 1


def _preload(line: object) -> bool:
    """Whether it is "repo", "repo file,file" or "repo file,file commit"."""
    repo, *rest = str(line).split(" ")
    files = rest[0].split(",") if rest else []
    commit = rest[1] if len(rest) == 2 else "0" * 40
    plain = all(re.fullmatch(r"[\w.-]+(/[\w.-]+)*", file) for file in files)
    return (
        repo_name(repo) and plain and len(rest) < 3 and bool(re.fullmatch("[0-9a-f]{40}", commit))
    )


def _text(pattern: str) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and bool(re.fullmatch(pattern, value))


def _list_of(good: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, list) and bool(value) and all(map(good, value))


def _boolean(value: object) -> bool:
    return isinstance(value, bool)


# key → (what is allowed, whether a value is), for every documented key that this card may have
ALLOWED: Mapping[str, tuple[str, Callable[[object], bool]]] = {
    "title": ("a few words", _text(r"\S.{0,60}")),
    "emoji": ("one emoji", _text(r"[^\x00-\x7f]{1,4}")),
    "colorFrom": (", ".join(COLOURS), COLOURS.__contains__),
    "colorTo": (", ".join(COLOURS), COLOURS.__contains__),
    "sdk": ("gradio", "gradio".__eq__),
    "sdk_version": ("a version such as 6.31.0, in quotes", _text(r"\d+\.\d+\.\d+")),
    "python_version": ("a version such as 3.12.12, in quotes", _text(r"3\.\d+(\.\d+)?")),
    "app_file": ("app.py", "app.py".__eq__),
    "license": ("a licence's short name", _text(r"[a-z0-9.-]+")),
    "short_description": (
        f"1 to {LONGEST_DESCRIPTION} characters", _text(rf"\S.{{0,{LONGEST_DESCRIPTION - 1}}}")
    ),
    "thumbnail": ("a picture of the folder, or its URL", _text(r"\S+\.(png|jpg|webp)")),
    "suggested_hardware": (", ".join(HARDWARE), HARDWARE.__contains__),
    "startup_duration_timeout": ("a duration such as 30m or 1h", _text(r"[1-9]\d*[mh]")),
    "pinned": ("true or false", _boolean),
    "fullWidth": ("true or false", _boolean),
    "header": ("mini or default", ("mini", "default").__contains__),
    "disable_embedding": ("true or false", _boolean),
    "tags": ("a list of short names", _list_of(_text(r"[a-z0-9-]+"))),
    "models": ("a list of hub repositories", _list_of(repo_name)),
    "datasets": ("a list of hub repositories", _list_of(repo_name)),
    "preload_from_hub": ('a list of "repository file,file commit"', _list_of(_preload)),
}  # fmt: skip
NEEDED = (
    *("title", "emoji", "colorFrom", "colorTo", "sdk", "sdk_version", "python_version"),
    *("app_file", "license", "short_description", "suggested_hardware"),
)


def read(path: Path) -> SpaceCard:
    """The card in a file, checked.

    Raises:
        DeployError: It has no front matter, or a key that is unknown, missing or wrong.
    """
    try:
        card = SpaceCard(path.read_text(encoding="utf-8"))
        data = metadata_load(path) or {}  # as it stands there; the card makes a list of any text
    except (OSError, UnicodeDecodeError, ValueError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise DeployError(f"{path.name}: no card that can be read ({reason})") from None
    for key in NEEDED:
        if key not in data:
            raise DeployError(f"{path.name}: {key} is missing; allowed is {ALLOWED[key][0]}")
    for key, value in data.items():
        if key not in ALLOWED:
            raise DeployError(f"{path.name}: {key} is no key that Spaces document; remove it")
        allowed, good = ALLOWED[key]
        if not good(value):
            raise DeployError(f"{path.name}: {key} is {value!r}; allowed is {allowed}")
    return card


def picture(card: SpaceCard) -> str | None:
    """Path in the Space of the thumbnail, where that is a file of its own."""
    thumbnail = card.data.get("thumbnail")
    if thumbnail is None or "://" in thumbnail or PurePosixPath(thumbnail).is_absolute():
        return None
    return thumbnail


def fitted(card: SpaceCard, space: str, hardware: str) -> str:
    """The text of one Space's card.

    The thumbnail becomes a URL, since Spaces show no relative one. Where there is no GPU, the
    models that need one are not fetched at the build.

    Args:
        card: As in the repository.
        space: OWNER/NAME.
        hardware: One of `HARDWARE`.
    """
    data = card.data.to_dict() | {"suggested_hardware": hardware}
    if path := picture(card):
        data["thumbnail"] = f"{HUB}/spaces/{space}/resolve/main/{path}"
    if hardware.startswith("cpu"):
        for key in ("preload_from_hub", "startup_duration_timeout"):
            data.pop(key, None)
    data = {key: data[key] for key in ALLOWED if key in data}
    lines = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=float("inf"))
    return f"---\n{lines}---\n{card.text}"
