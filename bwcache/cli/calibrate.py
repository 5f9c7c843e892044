"""`bwcache calibrate`: measure on a model what calibrated methods need."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..cache.calibration import folders
from ..cache.methods import METHODS
from ..errors import ConfigError
from ..files import check_folder, write
from .arguments import add_json_argument
from .output import print_json, print_lines
from .progress import LoadingBar

HELP = "measure on a model what calibrated methods need"
ALL = "all"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    names = [name for name, method in METHODS.items() if method.calibrated]
    parser.add_argument(
        "method", metavar="METHOD", choices=[*names, ALL], help=", ".join([*names, ALL])
    )
    parser.add_argument("model", metavar="MODEL", help="catalogue name")
    parser.add_argument("--steps", help="denoising steps, such as 20,30,50; the model's by default")
    parser.add_argument("--prompt", action="append", help="may be repeated; ours by default")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="the best there is by default")
    for name in ("height", "width"):
        parser.add_argument(f"--{name}", type=int, help="pixels; the model's by default")
    parser.add_argument("--frames", type=int, help="the model's by default")
    about = f"folder for MODEL/METHOD.json; {folders()[0]} by default, where they are found"
    parser.add_argument("--out", type=Path, help=about.replace("%", "%%"))
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Measure, and write a file for each method; their paths on stdout."""
    from ..bench.calibrate import calibrate
    from ..bench.workload import Workload

    workload = Workload(
        args.model,
        args.device,
        prompts=tuple(args.prompt or ()),
        height=args.height,
        width=args.width,
        frames=args.frames,
        tell=LoadingBar().show,
    )
    folder = (folders()[0] if args.out is None else args.out) / args.model
    check_folder(folder)
    names = [name for name, method in METHODS.items() if method.calibrated]
    found = calibrate(
        workload, names if args.method == ALL else [args.method], _steps(args, workload)
    )
    folder.mkdir(parents=True, exist_ok=True)
    for name, calibration in found.items():
        write(calibration, folder / f"{name}.json")
    if args.json:
        print_json(found)
    else:
        print_lines("\n".join(str(folder / f"{name}.json") for name in found))
    return 0


def _steps(args: argparse.Namespace, workload) -> list[int]:
    if args.steps is None:
        return [workload.spec.steps]
    try:
        return [int(part) for part in args.steps.split(",")]
    except ValueError:
        raise ConfigError("steps", args.steps, "whole numbers such as 20,30,50") from None
