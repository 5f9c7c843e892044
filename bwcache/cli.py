"""The command line: the same code as the page, JSON for scripts, one clear line for errors."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import get_args

from .config import BWCacheConfig, ConfigError, Gate, Reuse, parse_interval
from .events import TraceError, TraceFile, finite
from .models import ModelError, find
from .whatif import predict

USAGE_ERROR = 2


class Parser(argparse.ArgumentParser):
    """argparse, with an error in one line."""

    def error(self, message: str):
        self.exit(USAGE_ERROR, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit status."""
    args = build_parser().parse_args(arguments)
    try:
        return args.run(args)
    except (ConfigError, TraceError, ModelError) as error:
        return _fail(error)
    except KeyboardInterrupt:
        return _fail("stopped", status=130)


def _fail(message: object, status: int = USAGE_ERROR) -> int:
    print(f"bwcache: {message}", file=sys.stderr)
    return status


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="bwcache", description="Reuse the work a video diffusion model repeats.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=Parser)

    command = commands.add_parser("compare", help="make a video uncached and cached, and compare")
    command.add_argument("--prompt", required=True, help="what the video shows")
    command.add_argument("--model", default="tinyworld", help="catalogue name (%(default)s)")
    command.add_argument("--steps", type=int, help="denoising steps")
    command.add_argument("--seed", type=int, default=0, help="of the noise")
    command.add_argument("--out", type=Path, required=True, help="folder for the files")
    command.add_argument("--device", choices=("cpu", "cuda"), help="the best there is by default")
    command.add_argument(
        "--control", action="store_true", help="also run uncached with as many steps as computed"
    )
    _add_config(command)
    command.set_defaults(run=run_compare)

    command = commands.add_parser("predict", help="the schedule a recorded run would have had")
    command.add_argument("trace", help="trace.json of a comparison")
    _add_config(command, required=True)
    command.set_defaults(run=run_predict)
    return parser


def _add_config(command: argparse.ArgumentParser, required: bool = False) -> None:
    defaults = BWCacheConfig()
    about = "delta" if required else "delta; with its interval from the default preset if left out"
    command.add_argument("--threshold", type=float, required=required, help=about)
    command.add_argument("--reuse-interval", type=_interval, help="steps, or a share of them")
    command.add_argument("--tail-fraction", type=float, default=defaults.tail_fraction)
    command.add_argument("--reuse", choices=get_args(Reuse), default=defaults.reuse)
    command.add_argument("--gate", choices=get_args(Gate), default=defaults.gate)
    command.add_argument("--indicator-blocks", type=int, help="how many are measured; all")
    command.add_argument("--indicator-tokens", type=int, help="how many are measured; all")
    command.add_argument("--json", action="store_true", help="print one JSON object")


def _interval(text: str) -> int | float:
    try:
        return parse_interval(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def read_config(args: argparse.Namespace) -> BWCacheConfig:
    """The settings asked for; without a threshold, the model's default preset."""
    threshold, interval = args.threshold, BWCacheConfig.reuse_interval
    if threshold is None:
        preset = find(args.model).default_preset
        threshold, interval = preset.threshold, preset.reuse_interval
    return BWCacheConfig(
        threshold=threshold,
        reuse_interval=interval if args.reuse_interval is None else args.reuse_interval,
        tail_fraction=args.tail_fraction,
        reuse=args.reuse,
        gate=args.gate,
        indicator_blocks=args.indicator_blocks,
        indicator_tokens=args.indicator_tokens,
    )


def run_predict(args: argparse.Namespace) -> int:
    recorded = TraceFile.load(args.trace)
    prediction = predict(recorded.baseline, read_config(args))
    if args.json:
        _print_json(asdict(prediction))
        return 0
    letters = "".join("C" if action == "compute" else "r" for action in prediction.schedule)
    certainty = "exact" if prediction.exact else "an estimate"
    part, whole = prediction.predicted_seconds, recorded.baseline.net_seconds
    print(f"{letters}\n{prediction.steps_reused} of {len(letters)} steps reused ({certainty}),")
    print(f"about {part:.1f} s instead of {whole:.1f} s (estimated from that run's step times)")
    return 0


def run_compare(args: argparse.Namespace) -> int:
    from .commands import compare_command  # torch takes seconds to load; predict does without

    return compare_command(args, read_config(args), _print_json)


def _print_json(data: object) -> None:
    print(json.dumps(finite(data), indent=1, allow_nan=False))
