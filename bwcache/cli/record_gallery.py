"""Record the page's gallery anew, on an idle machine: four runs of TinyWorld with their controls.

python -m bwcache.cli.record_gallery [FOLDER]      (assets/runs without one)
"""

from __future__ import annotations

import sys
from pathlib import Path

from ..models import find
from ..runs.recorded import RUNS
from . import main

CIRCLE = "a red circle moving right on a white background"
SQUARE = "a blue square bouncing on a gray background"
TRIANGLE = "a yellow triangle growing on a black background"
# slug: (prompt, preset or (threshold, interval), reuse, title, caption)
GALLERY = {
    "1-balanced": (
        CIRCLE, "Balanced", "residual", "Balanced",
        "The Balanced preset, beside a control: just as few steps, none of them cached.",
    ),
    "2-forecast": (
        CIRCLE, "Balanced", "forecast", "Balanced + forecast",
        "The same steps are reused, each along the trend of the computed ones before it.",
    ),
    "3-fast": (
        SQUARE, "Fast", "residual", "Fast",
        "The Fast preset: four steps are reused after each computed one.",
    ),
    "4-past-the-cliff": (
        TRIANGLE, (0.15, 27), "residual", "Past the cliff",
        "Too much is reused: the control, with as few steps and no cache, stays closer.",
    ),
}  # fmt: skip


def record(slug: str, folder: Path) -> None:
    """Record one run of the gallery; leaves the program where that fails."""
    prompt, setting, reuse, title, caption = GALLERY[slug]
    if isinstance(setting, str):
        preset = find("tinyworld").facts().presets[setting].config
        setting = preset.threshold, preset.reuse_interval
    threshold, interval = setting
    options = {
        "prompt": prompt, "reuse": reuse, "threshold": threshold, "reuse-interval": interval,
        "title": title, "caption": caption, "out": folder / slug,
    }  # fmt: skip
    given = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    if status := main(["record", "--control", *given]):
        sys.exit(status)


if __name__ == "__main__":
    for slug in GALLERY:
        record(slug, Path(sys.argv[1]) if len(sys.argv) > 1 else RUNS)
