"""Which transformers a pipeline has: one, or two experts that take turns. Standard library only."""

from __future__ import annotations

from typing import Any

NAMES = ("transformer", "transformer_2")


def transformers_in(pipe: object) -> list[Any]:
    """A pipeline's transformers in the order in which they run, none of them twice."""
    found = [getattr(pipe, name, None) for name in NAMES]
    return [each for each in dict.fromkeys(found) if each is not None]
