"""The command line: the same code as the page, JSON for scripts, one clear line for errors.

One file a command. At its top it imports what its arguments need, and that is light; what runs a
model is imported where the command runs. So `--help`, a refusal and `predict` load no torch.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import TextIO

from ..errors import (
    CacheError,
    ConfigError,
    MachineError,
    ModelError,
    RecordedError,
    TraceError,
    first_line,
    machine_fault,
    plain,
)
from . import bench, calibrate, compare, deploy, freeze, predict, record, score, sweep
from .arguments import USAGE_ERROR, Parser, is_follower

MACHINE_FAULT = 1
INTERRUPTED = 130  # what a shell gives a program that Ctrl+C ended
# each has HELP, add_arguments(parser) and run(args), which returns the exit status
COMMANDS = {
    "compare": compare,
    "record": record,
    "predict": predict,
    "sweep": sweep,
    "score": score,
    "bench": bench,
    "calibrate": calibrate,
    "deploy": deploy,
    "freeze": freeze,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit status.

    2 for what was asked, 1 for what this machine cannot do, both with one line on stderr.
    """
    try:
        return _run(arguments)
    finally:
        _let_go(sys.stderr)


def _run(arguments: Sequence[str] | None) -> int:
    if is_follower(sys.argv[1:] if arguments is None else arguments):
        sys.stdout = sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    try:
        args = build_parser().parse_args(arguments)
        if sys.stdout is None:
            return _fail("standard output is closed", MACHINE_FAULT)
        with suppress(AttributeError, ValueError):  # a × on a terminal that knows ASCII alone
            sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        status = args.run(args)
        sys.stdout.flush()
        return status
    except (ConfigError, TraceError, ModelError, RecordedError, CacheError) as error:
        return _fail(error, USAGE_ERROR)
    except MachineError as error:
        return _fail(error, MACHINE_FAULT)
    except BrokenPipeError:
        _let_go(sys.stdout)
        return _fail("standard output was closed before all was said", MACHINE_FAULT)
    except (OSError, MemoryError) as error:
        _let_go(sys.stdout)
        fault = machine_fault(error)
        said = first_line(error)
        return _fail(f"{fault}: {said}" if fault else said, MACHINE_FAULT)
    except KeyboardInterrupt:
        return _fail("stopped", INTERRUPTED)


def _let_go(stream: TextIO | None) -> None:
    """Of what a stream does not take: Python would end with a status of its own, 120."""
    if stream is None:
        return
    try:
        stream.flush()
    except OSError:
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _fail(message: object, status: int) -> int:
    if sys.stderr is not None:
        with suppress(OSError):
            print(f"bwcache: {plain(message)}", file=sys.stderr, flush=True)
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
