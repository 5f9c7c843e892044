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
    found = {}
    for repository, pin in json.loads(file.read_text(encoding="utf-8")).items():
        if not COMMIT.fullmatch(str(pin.get("commit"))):
            raise ValueError(f"{file.name}: {repository} has {pin.get('commit')!r} for a commit")
        found[repository] = pin["commit"]
    return found
