"""`bwcache bench`: measure what caching costs and what it gives."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..cache.method import LETTERS
from ..cache.methods.bwcache import parse_interval
from ..files import check_file, write
from .arguments import (
    Parser,
    add_json_argument,
    add_model_arguments,
    interval,
    listed,
    threshold,
)
from .output import print_json
from .progress import LoadingBar

if TYPE_CHECKING:
    from ..bench.workload import Workload

HELP = "measure what caching costs and what it gives"
MIB = 2**20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    benches = parser.add_subparsers(
        dest="bench", required=True, metavar="BENCHMARK", parser_class=Parser
    )

    overhead = benches.add_parser(
        "overhead", help="time: the indicator's, and the gain's efficiency"
    )
    _add_workload(overhead)
    _add_reuse(overhead)
    overhead.add_argument("--rounds", type=int, default=7, help="runs of each kind (%(default)s)")

    memory = benches.add_parser("memory", help="memory over an uncached run, by part")
    _add_workload(memory)
    _add_reuse(memory)

    methods = benches.add_parser("methods", help="closeness against speed, method by method")
    _add_workload(methods)
    methods.add_argument("--methods", type=listed(str), help="such as a,b; all by default")
    methods.add_argument("--thresholds", type=listed(threshold), help="such as 0.05,0.1")
    methods.add_argument("--intervals", type=listed(parse_interval), help="such as 1,2,4")


def _add_workload(parser: argparse.ArgumentParser) -> None:
    add_model_arguments(parser)
    parser.add_argument("--prompt", action="append", help="may be repeated for methods")
    for name in ("height", "width"):
        parser.add_argument(f"--{name}", type=int, help="pixels; the model's by default")
    parser.add_argument("--frames", type=int, help="the model's by default")
    parser.add_argument("--out", type=Path, help="file for the JSON")
    add_json_argument(parser)


def _add_reuse(parser: argparse.ArgumentParser) -> None:
    about = "delta; of the default preset if left out"
    parser.add_argument("--threshold", type=float, help=about)
    parser.add_argument("--reuse-interval", type=interval, help="likewise")


def run(args: argparse.Namespace) -> int:
    """Run a benchmark; its result as JSON, or in a few lines, on stdout; with `--out` in a file."""
    from ..bench.workload import Workload

    workload = Workload(
        args.model,
        args.device,
        args.random_weights,
        args.steps,
        args.seed,
        tuple(args.prompt or ()),
        args.height,
        args.width,
        args.frames,
        LoadingBar().show,
    )
    if args.out is not None:
        check_file(args.out)
    result, lines = {"overhead": _overhead, "memory": _memory, "methods": _methods}[args.bench](
        workload, args
    )
    if args.out is not None:
        write(result, args.out)
    if args.json:
        print_json(result)
    else:
        shape = "{frames} frames of {width} × {height}".format(**result["shape"])
        weights = ", random weights" if result["random_weights"] else ""
        print(f"{result['model']}{weights}, {shape}, {result['steps']} steps, {result['device']}")
        print("\n".join(lines(result)))
    return 0


# -- each benchmark: the result, and a function that puts it in words ---------------------------


def _overhead(workload: Workload, args: argparse.Namespace):
    from ..bench.overhead import overhead

    config = workload.caching(args.threshold, args.reuse_interval)
    return overhead(workload, args.rounds, config), _overhead_lines


def _overhead_lines(result: dict) -> list[str]:
    schedule = "".join(LETTERS[action] for action in result["schedule"])
    return [
        f"Indicator: {_range(result, 'ratio')} of the plain run's denoising time.",
        f"As the paper describes it: {_range(result, 'paper_style_ratio')}; "
        f"ours adds {_share(result['cost_vs_paper_style'])} of what that adds.",
        f"Caching {schedule}: {result['speedup_median']:.2f}× of an ideal "
        f"{_number(result['ideal_speedup_median'])}×, efficiency {_range(result, 'efficiency')}.",
        f"Medians of {result['rounds']} rounds (smallest to largest).",
    ]


def _memory(workload: Workload, args: argparse.Namespace):
    from ..bench.memory import memory

    return memory(workload, workload.caching(args.threshold, args.reuse_interval)), _memory_lines


def _memory_lines(result: dict) -> list[str]:
    def mib(name: str) -> str:
        return f"{result[name] / MIB:.2f} MiB"

    verdict = "within" if result["within_goal"] else "beyond"
    return [
        f"Peak ({result['how']}): {mib('baseline_peak_bytes')} uncached, "
        f"{mib('cached_peak_bytes')} cached.",
        f"Extra: {mib('extra_bytes')}, {verdict} the goal of {mib('goal_bytes')}; "
        f"with forecast {mib('forecast_extra_bytes')}.",
        f"Kept between steps: {mib('stack_bytes')} to replay and {mib('sample_bytes')} of "
        f"samples, for {result['branches']} guidance branches.",
    ]


def _methods(workload: Workload, args: argparse.Namespace):
    from ..bench.methods import methods

    return methods(workload, args.methods, args.thresholds, args.intervals), _methods_lines


def _methods_lines(result: dict) -> list[str]:
    lines = [
        f"{p['method']:26} {p['knob']:16} {p['speedup']:5.2f}× {p['steps_computed']:5.1f} computed "
        f"{p['psnr_db']:5.1f} dB  SSIM {p['ssim']:.3f}"
        for p in result["points"]
    ]
    for name, decibels in result["psnr_at_2x"].items():
        line = f"{name}: {_number(decibels)} dB at 2×, "
        line += f"{_number(result['psnr_at_half'][name])} dB at half of the steps"
        if name in (stops := result["where_caching_stops_paying"]):
            where = "nowhere" if stops[name] is None else f"at {stops[name]:.1f} computed steps"
            line += f"; stops paying {where}"
        lines.append(line)
    return [*lines, f"{result['runs']} runs made, {result['runs_saved']} saved."]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _share(value: float | None) -> str:
    return "an unknown share" if value is None else f"{100 * value:.0f} %"


def _range(result: dict, name: str) -> str:
    middle = result.get(f"{name}_median", result.get(name))
    return (
        f"{_number(middle)} ({_number(result[f'{name}_min'])} to {_number(result[f'{name}_max'])})"
    )
