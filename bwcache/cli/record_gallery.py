"""Record the page's gallery anew, on an idle machine: runs of TinyWorld with their controls.

python -m bwcache.cli.record_gallery [FOLDER]      (assets/runs without one)
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..cache.method import Method
from ..cache.methods.bwcache import BWCacheConfig
from ..cache.methods.bwcache_plus import BWCachePlusConfig
from ..models import find
from ..runs.controls import Control
from ..runs.recorded import RUNS
from . import main as bwcache
from .arguments import Parser

CIRCLE = "a red circle moving right on a white background"
SQUARE = "an orange square moving left on a black background"
TRIANGLE = "a yellow triangle growing on a black background"


@dataclass(frozen=True)
class Card:
    """A run of the gallery; the name of its folder, `slug`, gives the card its place."""

    slug: str
    prompt: str
    config: Method
    title: str
    caption: str
    control: Control = "fewer"


def preset(name: str, method: type[Method] = BWCacheConfig) -> Method:
    """TinyWorld's preset of a method by its name."""
    return find("tinyworld").facts(method.name).presets[name].config


GALLERY = (
    Card(
        "1-balanced",
        CIRCLE,
        preset("Balanced"),
        "Balanced",
        "The Balanced preset, beside a control: just as few steps, none of them cached.",
    ),
    Card(
        "2-paper",
        CIRCLE,
        replace(preset("Balanced"), reuse="residual"),
        "As in the paper",
        "The same steps are reused, each a plain repetition of the last computed one.",
    ),
    Card(
        "3-fast",
        SQUARE,
        preset("Fast"),
        "Fast",
        "The Fast preset: two steps are reused after each computed one, from early on.",
    ),
    Card(
        "4-past-the-cliff",
        TRIANGLE,
        BWCacheConfig(0.15, 27),
        "Past the cliff",
        "Too much is reused: the control, with as few steps and no cache, stays closer.",
    ),
    Card(
        "5-bwcache-plus",
        SQUARE,
        preset("Fast", BWCachePlusConfig),
        "A third of the work",
        "BWCache+ forecasts two steps of three whole; beside it as many uncached on its levels.",
        control="same-levels",
    ),
)


def record(card: Card, folder: Path) -> int:
    """Record a card's run in a folder of its name; returns the exit status."""
    config = card.config
    first, *others = config.knobs()  # without the first a preset's settings would be the usual ones
    told = [first, *(knob for knob in others if getattr(config, knob.name) != knob.default)]
    options = {
        "prompt": card.prompt,
        "method": config.name,
        **{knob.name.replace("_", "-"): getattr(config, knob.name) for knob in told},
        "control": card.control,
        "title": card.title,
        "caption": card.caption,
        "out": folder / card.slug,
    }
    given = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    return bwcache(["record", *given])


def main(arguments: Sequence[str] | None = None) -> int:
    """Record them all, until one fails; returns the exit status."""
    parser = Parser(prog="record_gallery", description="Record the page's gallery anew.")
    parser.add_argument("folder", nargs="?", type=Path, default=RUNS, help="%(default)s")
    folder = parser.parse_args(arguments).folder
    return next((status for card in GALLERY if (status := record(card, folder))), 0)


if __name__ == "__main__":
    sys.exit(main())
