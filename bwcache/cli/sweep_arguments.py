"""The arguments of `python -m bwcache sweep`. Standard library only."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from ..cache.methods.bwcache import parse_interval
from ..explore.search import MOST_TRIALS

Listed = Callable[[Callable[[str], object]], Callable[[str], list]]


def add_sweep(command: argparse.ArgumentParser, listed: Listed, number: Callable) -> None:
    """Add them; `listed(of)` reads "a,b" with `of` for each part, `number` is for thresholds."""
    given = command.add_mutually_exclusive_group(required=True)
    given.add_argument("--prompt", help="what the video shows")
    given.add_argument("--prompts", type=Path, help="text file, a prompt on each line")
    command.add_argument("--goal", help="psnr=30 (dB, at least) or speedup=2 (times, at least)")
    command.add_argument("--trials", type=int, default=MOST_TRIALS, help="of a goal, at most")
    command.add_argument("--thresholds", type=listed(number), help="such as 0.05,0.1")
    command.add_argument("--intervals", type=listed(parse_interval), help="such as 1,2,4")
    command.add_argument("--reuse", type=listed(str), help="such as residual,forecast")
    command.add_argument("--out", type=Path, help="file that a line is added to for each run")
    command.add_argument("--json", action="store_true", help="print one JSON object")
