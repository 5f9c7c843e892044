"""Which commit of each hub repository is meant: `revisions.json`, checked when read."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

FILE = Path(__file__).with_name("revisions.json")
COMMIT = re.compile(r"[0-9a-f]{40}")


def read(file: Path = FILE) -> Mapping[str, str]:
    """Repository ("owner/name") → commit.

    `pin_revisions.py` writes the file; beside each commit it says where it was found.

    Raises:
        ValueError: A commit is not 40 hexadecimal digits.
    """
    return commits(json.loads(file.read_text(encoding="utf-8")))


def commits(pins: Mapping[str, Mapping[str, str]]) -> Mapping[str, str]:
    """Repository → commit, from what the file holds.

    Raises:
        ValueError: A commit is not 40 hexadecimal digits.
    """
    for repository, pin in pins.items():
        if not COMMIT.fullmatch(str(pin.get("commit"))):
            raise ValueError(f"{FILE.name}: {repository} has {pin.get('commit')!r} for a commit")
    return {repository: pin["commit"] for repository, pin in pins.items()}
