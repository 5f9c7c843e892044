"""What several commands print on stdout: a result as JSON, or in words. Standard library only."""

from __future__ import annotations

import json
from collections.abc import Mapping

from ..errors import plain
from ..files import finite
from ..runs.verdict import CAVEAT, measure_of


def print_json(data: object) -> None:
    """Print one JSON object, null in the place of every number that is not finite."""
    print(json.dumps(finite(data), indent=1, allow_nan=False))


def print_lines(text: str) -> None:
    """Print lines with names of files, or with what files hold: they steer no terminal."""
    print("\n".join(map(plain, text.split("\n"))))


def print_verdict(summary: Mapping[str, object]) -> None:
    """Print a comparison in words, with what to mind, and the setting to try next if any."""
    print(summary["verdict"])
    if measure := measure_of(summary):
        print(measure)
    for name in ("warning", "suggestion"):
        if summary.get(name):
            print(summary[name])
    print(CAVEAT)
