"""`bwcache deploy`: put the page on a Hugging Face Space."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "put the page on a Hugging Face Space"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("space", metavar="OWNER/NAME", help="of the Space; made where missing")
    parser.add_argument("--hardware", help="such as zero-a10g, cpu-basic, l4x1; asked for, too")
    parser.add_argument("--private", action="store_true", help="a Space only its owner sees")
    parser.add_argument("--dry-run", action="store_true", help="write the folder, upload nothing")
    parser.add_argument("--out", type=Path, help="new or empty folder, for --dry-run")


def run(args: argparse.Namespace) -> int:
    """Write the folder, or upload it; what was done on stdout."""
    from ..space.deploy import deploy_command

    return deploy_command(args)
