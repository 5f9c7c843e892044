"""The arguments of `python -m bwcache deploy`. Standard library only."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_deploy(commands: argparse._SubParsersAction) -> None:
    """Add the command to the others."""
    command = commands.add_parser("deploy", help="put the page on a Hugging Face Space")
    command.add_argument("space", metavar="OWNER/NAME", help="of the Space; made where missing")
    command.add_argument("--hardware", help="such as zero-a10g, cpu-basic, l4x1; asked for, too")
    command.add_argument("--private", action="store_true", help="a Space only its owner sees")
    command.add_argument("--dry-run", action="store_true", help="write the folder, upload nothing")
    command.add_argument("--out", type=Path, help="new or empty folder, for --dry-run")
    command.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from ..space.deploy import deploy_command  # loads the hub's client

    return deploy_command(args)
