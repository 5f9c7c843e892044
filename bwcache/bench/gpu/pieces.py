"""What `bench gpu` does: its parts in order of worth, and their pieces. Standard library only.

A piece is what is run, timed, limited, recorded and made again on its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...errors import ConfigError

PARTS = {
    "correctness": "does it do on the device what the tests on a CPU say",
    "cost": "seconds, shares and bytes at real models' shapes, random weights",
    "tinyworld": "the embedded model, trained by its GPU recipe",
    "recorded": "runs of random-weight models for the page's gallery",
}


@dataclass(frozen=True)
class Piece:
    """One thing to do.

    Args:
        part: Of `PARTS`.
        name: Unique within its part.
        about: What it does, a few words.
        limit: Seconds after which it is ended.
        least: It is not begun with fewer seconds left.
    """

    part: str
    name: str
    about: str
    limit: float
    least: float


def _cost(model: str, limit: float, about: str = "") -> Piece:
    return Piece("cost", model, about or "eager; beside two other methods", limit, 25)


PIECES = (
    Piece("correctness", "tests", "pytest -m cuda", 240, 20),
    _cost("wan2.1-t2v-1.3b", 130),
    _cost("wan2.1-t2v-1.3b compiled", 90, "its blocks compiled"),
    _cost("cogvideox-2b", 60),
    _cost("ltx-video", 45),
    _cost("hunyuanvideo-1.5", 150),
    _cost("wan2.1-t2v-14b", 90),
    _cost("wan2.2-t2v-a14b", 110),
    Piece("tinyworld", "training", "the recipe's commands, one after the other", 1200, 60),
    Piece("recorded", "wan2.1-t2v-1.3b", "480p, 33 frames, 30 steps", 120, 40),
    Piece("recorded", "cogvideox-2b", "480p, 33 frames, 30 steps", 100, 30),
)


def chosen(parts: Sequence[str] | None) -> list[Piece]:
    """The pieces of some parts; of all where None.

    Raises:
        ConfigError: There is no such part.
    """
    for part in parts or ():
        if part not in PARTS:
            raise ConfigError("parts", part, ", ".join(PARTS))
    order = PARTS if parts is None else parts
    return [piece for part in dict.fromkeys(order) for piece in PIECES if piece.part == part]
