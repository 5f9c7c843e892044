"""The command line: the same code as the page, JSON for scripts, one clear line for errors."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import get_args

from ..cache.methods.bwcache import BWCacheConfig, Gate, Reuse, parse_interval
from ..cache.predict import predict
from ..cache.trace import TraceFile
from ..errors import ConfigError, TraceError
from ..files import finite
from ..models import ModelError, find
from ..models.spec import OFFLOADS
from .deploy import add_deploy
from .sweep_arguments import add_sweep

USAGE_ERROR = 2
INDICATOR_PARTS = ("indicator_blocks", "indicator_tokens")


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
    _add_model(command)
    command.add_argument("--out", type=Path, required=True, help="folder for the files")
    command.add_argument(
        "--control", action="store_true", help="also run uncached with as many steps as computed"
    )
    command.add_argument("--offload", choices=OFFLOADS, help="to the CPU; what fits by default")
    command.add_argument("--image", type=Path, help="the picture to start from, for some models")
    _add_config(command)
    command.set_defaults(run=run_compare)

    command = commands.add_parser("record", help="make a comparison for the page's gallery")
    command.add_argument("--prompt", required=True, help="what the video shows")
    _add_model(command)
    command.add_argument("--out", type=Path, required=True, help="such as assets/runs/1-name")
    command.add_argument("--title", required=True, help="of its card, a few words")
    command.add_argument("--caption", help="one sentence; the prompt if left out")
    command.add_argument(
        "--control", action="store_true", help="also run uncached with as many steps as computed"
    )
    _add_config(command)
    command.set_defaults(run=run_record)

    command = commands.add_parser("predict", help="the schedule a recorded run would have had")
    command.add_argument("trace", help="trace.json of a comparison")
    command.add_argument("--model", dest="of_model", help="refuse a trace of another")
    _add_config(command, required=True)
    command.set_defaults(run=run_predict)

    command = commands.add_parser("sweep", help="many settings, or the one that meets a goal")
    _add_model(command)
    add_sweep(command, _listed, _number)
    command.set_defaults(run=run_sweep)

    command = commands.add_parser("bench", help="measure what caching costs and what it gives")
    _add_benches(command)

    add_deploy(commands)
    return parser


def _add_benches(parser: argparse.ArgumentParser) -> None:
    benches = parser.add_subparsers(
        dest="bench", required=True, metavar="BENCHMARK", parser_class=Parser
    )

    bench = benches.add_parser("overhead", help="time: the indicator's, and the gain's efficiency")
    _add_bench(bench)
    _add_two_of_config(bench)
    bench.add_argument("--rounds", type=int, default=7, help="runs of each kind (%(default)s)")

    bench = benches.add_parser("memory", help="memory over an uncached run, by part")
    _add_bench(bench)
    _add_two_of_config(bench)

    bench = benches.add_parser("methods", help="closeness against speed, method by method")
    _add_bench(bench)
    bench.add_argument("--methods", type=_listed(str), help="such as a,b; all by default")
    bench.add_argument("--thresholds", type=_listed(_number), help="such as 0.05,0.1")
    bench.add_argument("--intervals", type=_listed(parse_interval), help="such as 1,2,4")


def _add_bench(bench: argparse.ArgumentParser) -> None:
    _add_model(bench)
    bench.add_argument("--prompt", action="append", help="may be repeated for methods")
    for name in ("height", "width"):
        bench.add_argument(f"--{name}", type=int, help="pixels; the model's by default")
    bench.add_argument("--frames", type=int, help="the model's by default")
    bench.add_argument("--out", type=Path, help="file for the JSON")
    bench.add_argument("--json", action="store_true", help="print one JSON object")
    bench.set_defaults(run=run_bench)


def _add_two_of_config(command: argparse.ArgumentParser) -> None:
    command.add_argument("--threshold", type=float, help="delta; of the default preset if left out")
    command.add_argument("--reuse-interval", type=_interval, help="likewise")


def _add_model(command: argparse.ArgumentParser) -> None:
    command.add_argument("--model", default="tinyworld", help="catalogue name (%(default)s)")
    command.add_argument("--steps", type=int, help="denoising steps")
    command.add_argument("--seed", type=int, default=0, help="of the noise")
    command.add_argument("--device", choices=("cpu", "cuda"), help="the best there is by default")
    command.add_argument(
        "--random-weights", action="store_true", help="real shapes and costs, nothing downloaded"
    )


def _add_config(command: argparse.ArgumentParser, required: bool = False) -> None:
    defaults = BWCacheConfig()
    about = "delta" if required else "delta; with its interval from the default preset if left out"
    command.add_argument("--threshold", type=float, required=required, help=about)
    command.add_argument("--reuse-interval", type=_interval, help="steps, or a share of them")
    command.add_argument("--tail-fraction", type=float, default=defaults.tail_fraction)
    command.add_argument("--reuse", choices=get_args(Reuse), default=defaults.reuse)
    command.add_argument("--gate", choices=get_args(Gate), default=defaults.gate)
    for part in INDICATOR_PARTS:
        about = "how many are measured, or all; the model's usual number if left out"
        option = f"--{part.replace('_', '-')}"
        command.add_argument(option, type=_count, default=argparse.SUPPRESS, help=about)
    command.add_argument("--json", action="store_true", help="print one JSON object")


def _interval(text: str) -> int | float:
    try:
        return parse_interval(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _count(text: str) -> int | None:
    return None if text == "all" else int(text)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigError("thresholds", text, "numbers such as 0.05,0.1") from None


def _listed(of: Callable[[str], object]) -> Callable[[str], list]:
    """Reads "a,b"."""

    def read(text: str) -> list:
        try:
            return [of(part.strip()) for part in text.split(",")]
        except ConfigError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read


def read_config(args: argparse.Namespace) -> BWCacheConfig:
    """The settings asked for; without a threshold, the model's default preset."""
    threshold, interval = args.threshold, BWCacheConfig.reuse_interval
    if threshold is None:
        preset = find(args.model).default_preset.config
        threshold, interval = preset.threshold, preset.reuse_interval
    return BWCacheConfig(
        threshold=threshold,
        reuse_interval=interval if args.reuse_interval is None else args.reuse_interval,
        tail_fraction=args.tail_fraction,
        reuse=args.reuse,
        gate=args.gate,
        **_indicator(args),
    )


def _indicator(args: argparse.Namespace) -> dict[str, int | None]:
    """How much is measured: as on this model, unless told otherwise."""
    usual = find(args.model).indicator if hasattr(args, "model") else {}
    return usual | {part: getattr(args, part) for part in INDICATOR_PARTS if hasattr(args, part)}


def run_predict(args: argparse.Namespace) -> int:
    recorded = TraceFile.load(args.trace)
    if args.of_model not in (None, recorded.model):
        made = f"{recorded.model}, whose trace this is; thresholds do not carry over"
        raise ConfigError("model", args.of_model, made)
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
    from .compare import compare_command  # torch takes seconds to load; predict does without

    return compare_command(args, read_config(args), _print_json)


def run_record(args: argparse.Namespace) -> int:
    from .record import record_command

    return record_command(args, read_config(args), _print_json)


def run_sweep(args: argparse.Namespace) -> int:
    from .sweep import sweep_command

    return sweep_command(args, _print_json)


def run_bench(args: argparse.Namespace) -> int:
    from .bench import bench_command

    return bench_command(args, _print_json)


def _print_json(data: object) -> None:
    print(json.dumps(finite(data), indent=1, allow_nan=False))
