"""Record the page's gallery anew, on an idle machine: four runs of TinyWorld with their controls.

python -m bwcache.cli.record_gallery [FOLDER]      (assets/runs without one)
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..cache.methods.bwcache import BWCacheConfig
from ..models import find
from ..runs.recorded import RUNS
from . import main as bwcache
from .arguments import Parser

CIRCLE = "a red circle moving right on a white background"
SQUARE = "an orange square moving left on a black background"
TRIANGLE = "a yellow triangle growing on a black background"


@dataclass(frozen=True)
class Card:
    """A run of the gallery. `setting`: a preset of TinyWorld by its name, or the run's own.

    The name of the folder, `slug`, gives the card its place.
    """

    slug: str
    prompt: str
    setting: str | BWCacheConfig
    title: str
    caption: str
    reuse: str = "forecast"


GALLERY = (
    Card(
        "1-balanced",
        CIRCLE,
        "Balanced",
        "Balanced",
        "The Balanced preset, beside a control: just as few steps, none of them cached.",
    ),
    Card(
        "2-paper",
        CIRCLE,
        "Balanced",
        "As in the paper",
        "The same steps are reused, each a plain repetition of the last computed one.",
        reuse="residual",
    ),
    Card(
        "3-fast",
        SQUARE,
        "Fast",
        "Fast",
        "The Fast preset: two steps are reused after each computed one, from early on.",
    ),
    Card(
        "4-past-the-cliff",
        TRIANGLE,
        BWCacheConfig(0.15, 27),
        "Past the cliff",
        "Too much is reused: the control, with as few steps and no cache, stays closer.",
        reuse="residual",
    ),
)


def record(card: Card, folder: Path) -> int:
    """Record a card's run in a folder of its name; returns the exit status."""
    preset = card.setting
    if isinstance(preset, str):
        preset = find("tinyworld").facts().presets[preset].config
    options = {
        "prompt": card.prompt,
        "reuse": card.reuse,
        "threshold": preset.threshold,
        "reuse-interval": preset.reuse_interval,
        "title": card.title,
        "caption": card.caption,
        "out": folder / card.slug,
    }
    given = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    return bwcache(["record", "--control", *given])


def main(arguments: Sequence[str] | None = None) -> int:
    """Record them all, until one fails; returns the exit status."""
    parser = Parser(prog="record_gallery", description="Record the page's gallery anew.")
    parser.add_argument("folder", nargs="?", type=Path, default=RUNS, help="%(default)s")
    folder = parser.parse_args(arguments).folder
    return next((status for card in GALLERY if (status := record(card, folder))), 0)


if __name__ == "__main__":
    sys.exit(main())
