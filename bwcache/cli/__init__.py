"""The command line: the same code as the page, JSON for scripts, one clear line for errors.

One file a command. At its top it imports what its arguments need, and that is light; what runs a
model is imported where the command runs. So `--help`, a refusal and `predict` load no torch.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ..errors import ConfigError, ModelError, TraceError
from . import bench, calibrate, compare, deploy, freeze, predict, record, sweep
from .arguments import USAGE_ERROR, Parser

INTERRUPTED = 130  # what a shell gives a program that Ctrl+C ended
# each has HELP, add_arguments(parser) and run(args), which returns the exit status
COMMANDS = {
    "compare": compare,
    "record": record,
    "predict": predict,
    "sweep": sweep,
    "bench": bench,
    "calibrate": calibrate,
    "deploy": deploy,
    "freeze": freeze,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit status."""
    args = build_parser().parse_args(arguments)
    try:
        return args.run(args)
    except (ConfigError, TraceError, ModelError) as error:
        return _fail(error, USAGE_ERROR)
    except KeyboardInterrupt:
        return _fail("stopped", INTERRUPTED)


def _fail(message: object, status: int) -> int:
    print(f"bwcache: {message}", file=sys.stderr)
    return status


def build_parser() -> argparse.ArgumentParser:
    """The parser of every command."""
    parser = Parser(prog="bwcache", description="Reuse the work a video diffusion model repeats.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=Parser)
    for name, command in COMMANDS.items():
        its = commands.add_parser(name, help=command.HELP)
        command.add_arguments(its)
        its.set_defaults(run=command.run)
    return parser
