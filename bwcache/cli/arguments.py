"""Arguments that several commands share, and the readers of their values. Standard library only."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn

from ..cache.calibration import is_known
from ..cache.knob import Knob
from ..cache.method import Method
from ..cache.methods import METHODS
from ..cache.methods.bwcache import BWCacheConfig, parse_interval
from ..errors import ConfigError
from ..models import find
from ..models.spec import ModelSpec
from ..runs.summary import METRICS

USAGE_ERROR = 2
PARALLEL = "--context-parallel"


class Parser(argparse.ArgumentParser):
    """argparse, with an error in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE_ERROR, f"{self.prog}: {message}\n")

    def print_help(self, file: Any = None) -> None:
        """As argparse's, but that it raises where nobody takes what it says."""
        print(self.format_help(), end="", file=file, flush=True)

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """As argparse's, with the same status where standard error takes nothing, too.

        Python before 3.11.3 or so raises there.
        """
        if message and sys.stderr is not None:
            with suppress(OSError):
                sys.stderr.write(message)
        sys.exit(status)


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which model makes the video, in how many steps, from which noise, and where."""
    parser.add_argument("--model", default="tinyworld", help="catalogue name (%(default)s)")
    parser.add_argument("--steps", type=int, help="denoising steps")
    parser.add_argument("--seed", type=int, default=0, help="of the noise")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="the best there is by default")
    parser.add_argument(
        "--random-weights", action="store_true", help="real shapes and costs, nothing downloaded"
    )


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the caching method and the settings of all methods, which `read_config` reads."""
    usual = BWCacheConfig.name
    parser.add_argument("--method", choices=tuple(METHODS), default=usual, help="%(default)s")
    for name, knobs in _settings().items():
        about = "; ".join(dict.fromkeys(knob.expert.rstrip(".") for _, knob in knobs))
        whose = [method.title for method, _ in knobs]
        if len(whose) < len(METHODS):
            about = f"{about} ({', '.join(whose)})"
        choices = {tuple(value for value, _ in knob.choices) for _, knob in knobs}
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            choices=next(iter(choices)) if len(choices) == 1 and any(choices) else None,
            help=about.replace("%", "%%"),
        )


def _settings() -> dict[str, list[tuple[type[Method], Knob]]]:
    """Every setting by its name, with the methods that have it."""
    found: dict[str, list[tuple[type[Method], Knob]]] = {}
    for method in METHODS.values():
        for knob in method.knobs():
            found.setdefault(knob.name, []).append((method, knob))
    return found


def read_config(
    args: argparse.Namespace, known: Callable[[type[Method]], Mapping[str, Any]] | None = None
) -> Method:
    """The method and the settings asked for.

    Args:
        args: As parsed.
        known: Gives the usual settings of a method, in place of the model's.

    Without its first setting (BWCache's threshold) the others begin as in the model's default
    preset for the method, where there is one.

    Raises:
        ConfigError: One is out of its bounds or of another method, or the model is unknown.
    """
    method = METHODS[args.method]
    texts = {name: getattr(args, name) for name in _settings() if getattr(args, name) is not None}
    own = [knob.name for knob in method.knobs()]
    for name in texts:
        if name not in own:
            raise ConfigError(name, texts[name], f"one of {', '.join(own)} for {method.name}")
    asked = {name: method.knob(name).read(text) for name, text in texts.items()}
    # a trace says nothing of the model: `predict` has none
    spec = find(args.model) if hasattr(args, "model") else None
    usual: dict[str, Any] = {} if known is None else dict(known(method))
    if spec is not None:
        usual = usual_settings(spec, method, own[0] in asked)
    config = method.from_dict({**usual, **asked})
    if spec is not None:
        spec.check_method(config)
    return config


def add_parallel_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--context-parallel`."""
    parser.add_argument(
        PARALLEL,
        type=int,
        default=1,
        metavar="N",
        help="share each video among the N processes that torchrun has started, one a GPU; the "
        "runs are made one after the other",
    )


def is_follower(arguments: Sequence[str]) -> bool:
    """Whether this is one of several processes with one video, and not the first, which speaks."""
    asked = any(each.partition("=")[0] == PARALLEL for each in arguments)
    return asked and os.environ.get("RANK", "0") != "0"


def usual_settings(spec: ModelSpec, method: type[Method], own: bool) -> dict[str, Any]:
    """What a method's settings are on a model unless something else is asked for.

    Args:
        spec: The model.
        method: The method.
        own: Whether its first setting is given: the others are the method's defaults then, not
            those of the model's default preset.
    """
    names = [knob.name for knob in method.knobs()]
    usual: dict[str, Any] = {name: value for name, value in spec.indicator.items() if name in names}
    preset = (
        spec.default_preset if method is BWCacheConfig else spec.facts(method.name).default_preset
    )
    if not own and preset is not None:
        usual = preset.config.as_dict() | usual
    if "calibration" in names and is_known(spec.name, method.name):
        usual["calibration"] = spec.name
    return usual


def add_metrics_argument(parser: argparse.ArgumentParser, usual: Sequence[str]) -> None:
    """Add `--metrics`."""
    about = f"how far videos differ: of {','.join(METRICS)} ({','.join(usual)})"
    parser.add_argument("--metrics", type=listed(_metric), default=list(usual), help=about)


def _metric(text: str) -> str:
    if text not in METRICS:
        raise ConfigError("metrics", text, ", ".join(METRICS))
    return text


def add_json_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--json`."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def interval(text: str) -> int | float:
    """Reads a reuse interval: "3" or "0.1"."""
    try:
        return parse_interval(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


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


def add_control_argument(parser: argparse.ArgumentParser) -> None:
    """`--control`, which may stand alone."""
    parser.add_argument(
        "--control",
        nargs="?",
        const="fewer",
        default=False,
        choices=("fewer", "same-levels", "shift"),
        help="also an uncached run of as much work: fewer steps (usual), the same noise levels as "
        "computed, or fewer steps at a larger flow shift",
    )
