"""`bwcache bench`: measure what caching costs and what it gives."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..bench.gpu.pieces import PARTS, chosen
from ..cache.letters import LETTERS
from ..cache.methods.bwcache import parse_interval
from ..errors import ConfigError, is_number
from ..files import ASSETS, check_file, check_folder, parse_json, read_text, write
from . import scale
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
MOST_MINUTES = 1440
MOST_BYTES = 2**24  # of an earlier result


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

    race = benches.add_parser("race", help="how far a speed-up holds on a busy machine")
    _add_workload(race)
    race.add_argument("--rounds", type=int, default=8, help="comparisons (%(default)s)")
    race.add_argument("--busy", type=int, default=2, help="busy processes (%(default)s)")

    methods = benches.add_parser("methods", help="every method, on the same prompts and work")
    _add_workload(methods)
    methods.add_argument("--methods", type=listed(str), help="such as a,b/c; all by default")
    methods.add_argument("--grids", type=listed(str), help="steps, or steps@shift: 30,30@5")
    methods.add_argument("--prompts", type=int, help="so many of those that are reported")
    methods.add_argument("--quick", action="store_true", help="two prompts: about five minutes")
    methods.add_argument("--no-converged", action="store_true", help="leave out the 120-step runs")
    methods.add_argument("--processes", type=int, default=1, help="at a time; above 1 no speed")
    methods.add_argument("--log", type=Path, help="a line a run; a second call goes on there")
    methods.add_argument("--leaderboard", type=Path, help="JSON to put the results into")

    replays = benches.add_parser("replays", help="BWCache's own replays and gates")
    _add_workload(replays)
    replays.add_argument("--methods", type=listed(str), help="such as a,b; all by default")
    replays.add_argument("--thresholds", type=listed(threshold), help="such as 0.05,0.1")
    replays.add_argument("--intervals", type=listed(parse_interval), help="such as 1,2,4")

    gpu = benches.add_parser("gpu", help="everything that needs a GPU, in the minutes there are")
    gpu.add_argument("--minutes", type=float, default=25.0, help="in all (%(default)g)")
    gpu.add_argument("--out", type=Path, help="folder for the results; a second call goes on there")
    gpu.add_argument("--work", type=Path, help="folder for what is needed meanwhile; OUT/work")
    gpu.add_argument("--parts", type=listed(str), help=f"of {','.join(PARTS)}; all by default")
    gpu.add_argument("--device", choices=("cpu", "cuda"), help="the best there is by default")
    gpu.add_argument("--small", action="store_true", help="tiny shapes, for any machine")
    gpu.add_argument("--list", action="store_true", help="say what would be done, and do nothing")

    scale.add_arguments(benches.add_parser("scale", help=scale.HELP))

    ruler = benches.add_parser("ruler", help="how far presets move videos, between known things")
    _add_workload(ruler)
    ruler.add_argument(
        "--methods",
        type=listed(str),
        help="such as a,b; all that have presets by default. With it, what else --out holds stays",
    )


def _add_workload(parser: argparse.ArgumentParser) -> None:
    add_model_arguments(parser)
    parser.add_argument("--prompt", action="append", help="may be repeated for methods, ruler")
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
    if args.bench == "gpu":
        return _gpu(args)
    if args.bench == "scale":
        return scale.run(args)
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
    benches = {
        "overhead": _overhead,
        "memory": _memory,
        "race": _race,
        "methods": _methods,
        "replays": _replays,
        "ruler": _ruler,
    }
    result, lines = benches[args.bench](workload, args)
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


def _gpu(args: argparse.Namespace) -> int:
    """Everything that needs a GPU; 0 where all of it is done, 1 where some failed or is left."""
    from ..bench.gpu.runner import listing, run_pieces

    pieces = chosen(args.parts)
    if not is_number(args.minutes) or not 0 < args.minutes <= MOST_MINUTES:
        raise ConfigError("minutes", args.minutes, f"a number up to {MOST_MINUTES}")
    if args.list:
        folders = [ASSETS / "results", *([] if args.out is None else [args.out])]
        print("\n".join(listing(pieces, folders)))
        return 0
    if args.out is None:
        raise ConfigError("out", None, "a folder for the results")
    if not args.small:
        _check_gpu(args.device)
    work = args.out / "work" if args.work is None else args.work
    for folder in (args.out, work):
        check_folder(folder)

    def tell(line: str) -> None:
        print(line, flush=True)

    done = run_pieces(pieces, args.minutes, args.out, work, args.device, args.small, tell)
    return 0 if done else 1


def _check_gpu(device: str | None) -> None:
    """Refuse to begin without a GPU: on a CPU the real shapes would take days.

    Raises:
        ConfigError: There is none, or a CPU is asked for.
    """
    import torch

    if device == "cpu" or not torch.cuda.is_available():
        allowed = "a CUDA GPU; with --small it runs on a CPU"
        found = device if device == "cpu" else "no CUDA GPU"
        raise ConfigError("device", found, allowed)


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


def _race(workload: Workload, args: argparse.Namespace):
    from ..bench.race import race

    return race(workload, args.rounds, args.busy), _race_lines


def _race_lines(result: dict) -> list[str]:
    lines = [f"{result['rounds']} comparisons beside {result['busy_processes']} busy processes:"]
    for name in ("in_turns", "one_after_the_other"):
        found = result[name]
        each = ", ".join(f"{one['measured']:.2f}" for one in found["comparisons"])
        lines.append(
            f"{name.replace('_', ' ')}: measured {each}; said {found['speedup_median']:.2f}×, "
            f"the farthest {_share(found['farthest_from_median'])} from that."
        )
    return lines


def _methods(workload: Workload, args: argparse.Namespace):
    from ..bench.leaderboard import add_to
    from ..bench.methods import methods
    from ..bench.methods_plan import Grid, plan_of

    if args.prompt:
        raise ConfigError("prompt", args.prompt[0], "none here: the prompts are those of two files")
    given = args.grids or [str(workload.spec.steps)]
    grids = [Grid.read(each) for each in given]
    threshold = workload.spec.default_preset.config.threshold
    of = (args.methods, threshold, grids, args.prompts, args.quick, not args.no_converged)
    plan = plan_of(*of, workload.model)
    for path in (args.log, args.leaderboard):
        if path is not None:
            check_file(path)
    result = methods(workload, plan, args.log, args.processes)
    if args.leaderboard is not None:
        write(add_to(args.leaderboard, result["points"]), args.leaderboard)
    return result, _methods_lines


def _methods_lines(result: dict) -> list[str]:
    lines = []
    for each in result["standings"]:
        shift = "" if each["shift"] is None else f", shift {each['shift']:g}"
        lines.append(f"{each['steps']} steps{shift}, {_share(each['share'])} of the work:")
        lines += [
            f"  {one['title']:44} {one['psnr_db']:5.1f} dB, worst {one['psnr_db_worst']:5.1f}"
            for one in each["families"]
        ]
        lead = (each["lead_db"], each["lead_worst_db"])
        if None not in lead:
            lines.append(f"  BWCache+ ahead by {lead[0]:+.1f} dB, worst prompt {lead[1]:+.1f} dB")
    lines += [f"left out: {name}: {why}" for name, why in result["left_out"].items()]
    chosen, reported = len(result["prompts_to_choose"]), len(result["prompts_reported"])
    return [*lines, f"Chosen on {chosen} prompts, reported on {reported} others."]


def _replays(workload: Workload, args: argparse.Namespace):
    from ..bench.replays import replays

    return replays(workload, args.methods, args.thresholds, args.intervals), _replays_lines


def _replays_lines(result: dict) -> list[str]:
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


def _ruler(workload: Workload, args: argparse.Namespace):
    from ..bench.ruler import ruler

    kept = None
    if args.methods and args.out is not None and args.out.is_file():
        kept = _earlier(args.out)
    return ruler(workload, args.methods or (), kept), _ruler_lines


def _earlier(path: Path) -> dict:
    """An earlier result of `bench ruler`."""
    try:
        found = parse_json(read_text(path, MOST_BYTES))
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("methods"), dict):
        raise ConfigError("out", str(path), "a result of `bench ruler`, or a file not there yet")
    return found


def _ruler_lines(result: dict) -> list[str]:
    answers = [
        (f"{method} {each['name']} ({1 / each['compute_share']:.2f}× by work)", each)
        for method, found in result["methods"].items()
        for each in found["answers"]
    ]
    marks = [(each["name"].replace("_", " "), each) for each in result["ruler"]["marks"]]
    rows = [*marks, *answers]
    rows.sort(key=lambda row: float("inf") if row[1]["psnr_db"] is None else row[1]["psnr_db"])
    return [
        f"{name:40} {_decibels(each['psnr_db'])}  SSIM {each['ssim']:.3f}  VMAF "
        f"{_number(each['vmaf'])}"
        for name, each in rows
    ]


def _decibels(value: float | None) -> str:
    return "identical" if value is None else f"{value:6.1f} dB"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _share(value: float | None) -> str:
    return "an unknown share" if value is None else f"{100 * value:.0f} %"


def _range(result: dict, name: str) -> str:
    middle = result.get(f"{name}_median", result.get(name))
    return (
        f"{_number(middle)} ({_number(result[f'{name}_min'])} to {_number(result[f'{name}_max'])})"
    )
