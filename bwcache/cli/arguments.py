"""Arguments that several commands share, and the readers of their values. Standard library only."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import NoReturn, get_args

from ..cache.methods.bwcache import BWCacheConfig, Gate, Reuse, parse_interval
from ..errors import ConfigError
from ..models import find

USAGE_ERROR = 2
INDICATOR_PARTS = ("indicator_blocks", "indicator_tokens")


class Parser(argparse.ArgumentParser):
    """argparse, with an error in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE_ERROR, f"{self.prog}: {message}\n")


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which model makes the video, in how many steps, from which noise, and where."""
    parser.add_argument("--model", default="tinyworld", help="catalogue name (%(default)s)")
    parser.add_argument("--steps", type=int, help="denoising steps")
    parser.add_argument("--seed", type=int, default=0, help="of the noise")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="the best there is by default")
    parser.add_argument(
        "--random-weights", action="store_true", help="real shapes and costs, nothing downloaded"
    )


def add_config_arguments(parser: argparse.ArgumentParser, required: bool = False) -> None:
    """Add the caching method's settings, which `read_config` reads.

    Args:
        required: Whether the threshold must be given; else it is the model's default preset's.
    """
    defaults = BWCacheConfig()
    about = "delta" if required else "delta; with its interval from the default preset if left out"
    parser.add_argument("--threshold", type=float, required=required, help=about)
    parser.add_argument("--reuse-interval", type=interval, help="steps, or a share of them")
    parser.add_argument("--tail-fraction", type=float, default=defaults.tail_fraction)
    parser.add_argument("--reuse", choices=get_args(Reuse), default=defaults.reuse)
    parser.add_argument("--gate", choices=get_args(Gate), default=defaults.gate)
    for part in INDICATOR_PARTS:
        about = "how many are measured, or all; the model's usual number if left out"
        option = f"--{part.replace('_', '-')}"
        parser.add_argument(option, type=count, default=argparse.SUPPRESS, help=about)


def read_config(args: argparse.Namespace) -> BWCacheConfig:
    """The settings asked for; without a threshold, the model's default preset.

    Raises:
        ConfigError: One is out of its bounds, or the model is unknown.
    """
    threshold, reuse_interval = args.threshold, BWCacheConfig.reuse_interval
    if threshold is None:
        preset = find(args.model).default_preset.config
        threshold, reuse_interval = preset.threshold, preset.reuse_interval
    # a trace says nothing of the model's usual indicator: `predict` has no `model`
    indicator = dict(find(args.model).indicator) if hasattr(args, "model") else {}
    asked = {part: getattr(args, part) for part in INDICATOR_PARTS if hasattr(args, part)}
    return BWCacheConfig(
        threshold=threshold,
        reuse_interval=reuse_interval if args.reuse_interval is None else args.reuse_interval,
        tail_fraction=args.tail_fraction,
        reuse=args.reuse,
        gate=args.gate,
        **{**indicator, **asked},
    )


def add_json_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--json`."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def interval(text: str) -> int | float:
    """Reads a reuse interval: "3" or "0.1"."""
    try:
        return parse_interval(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def count(text: str) -> int | None:
    """Reads how many: "4", or "all", which is None."""
    return None if text == "all" else int(text)


def threshold(text: str) -> float:
    """Reads one of several thresholds; for use with `listed`."""
    try:
        return float(text)
    except ValueError:
        raise ConfigError("thresholds", text, "numbers such as 0.05,0.1") from None


def listed(of: Callable[[str], object]) -> Callable[[str], list]:
    """Makes a reader of "a,b" from one of "a"."""

    def read(text: str) -> list:
        try:
            return [of(part.strip()) for part in text.split(",")]
        except ConfigError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read
