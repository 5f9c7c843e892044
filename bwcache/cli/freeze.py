"""`bwcache freeze`: the recorded runs as a static folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import ConfigError
from .output import print_lines

HELP = "the recorded runs as a static folder, for talks without a network or a static Space"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", metavar="DIR", type=Path, help="new or empty, or a frozen page")
    parser.add_argument("--runs", type=Path, help="folder of recorded runs; ours if left out")


def run(args: argparse.Namespace) -> int:
    """Write the folder; where its page lies on stdout."""
    try:
        from ..runs.recorded import RUNS
        from ..ui.freeze import INDEX, freeze
    except ImportError as error:
        needed = 'the page\'s packages: pip install "bwcache[page]"'
        raise ConfigError("freeze", str(error), needed) from None
    count = freeze(args.out, args.runs or RUNS)
    print_lines(f"{args.out / INDEX}: {count} recorded runs")
    return 0
