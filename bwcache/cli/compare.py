"""`bwcache compare`: make a video uncached and cached, and say how the two differ."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from ..explore.suggestion import after_measuring
from ..files import check_folder
from ..models import check_image, find
from ..models.spec import OFFLOADS, Offload
from . import ruler
from .arguments import (
    add_config_arguments,
    add_control_argument,
    add_json_argument,
    add_model_arguments,
    add_parallel_argument,
    read_config,
)
from .output import print_json, print_lines, print_verdict
from .progress import LoadingBar
from .together import make

if TYPE_CHECKING:
    from ..runs.events import ComparisonFinished
    from ..runs.request import Request

WHERE = {
    "fewer": "",
    "same-levels": " at the noise levels that the cached run computed",
    "shift": " at a larger flow shift",
}
HELP = "make a video uncached and cached, and compare"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--prompt", required=True, help="what the video shows")
    add_model_arguments(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    add_control_argument(parser)
    parser.add_argument(
        "--sequential",
        action="store_true",
        help="one run after the other instead of in turns: tells each run's peak memory",
    )
    parser.add_argument(
        "--ruler",
        action="store_true",
        help="also measure how far another seed, half and twice the steps are (three more runs)",
    )
    parser.add_argument("--offload", choices=OFFLOADS, help="to the CPU; what fits by default")
    parser.add_argument("--image", type=Path, help="the picture to start from, for some models")
    add_parallel_argument(parser)
    add_config_arguments(parser)
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Make and save a comparison; the verdict, or with `--json` the summary, on stdout."""
    config = read_config(args)  # a wrong setting is said before torch is loaded
    from ..models import start_picture
    from ..runs.controls import check_control_on
    from ..runs.request import Request

    steps = find(args.model).steps if args.steps is None else args.steps
    check_image(find(args.model), args.image)
    image = start_picture.read(args.image)
    of = (config, args.control, args.random_weights, image, args.sequential)
    request = Request(args.prompt, args.model, steps, args.seed, *of)
    check_control_on(find(args.model), request.control_kind)
    return make(args, request, partial(_make, args))


def _make(args: argparse.Namespace, request: Request, offload: Offload | None) -> int:
    from ..runs.result_files import NAMES, save
    from ..runs.video import check_encoder, padding

    check_folder(args.out, NAMES)
    check_encoder()
    finished = _finish(request, args.device, offload)
    # what to try next, or None
    suggestion = after_measuring(finished.summary.as_dict(), finished.trace_file.baseline)
    finished = replace(finished, summary=finished.summary.adding(suggestion=suggestion))
    if args.ruler:
        marks = ruler.measure_ruler(finished, request, args.device)
        placed = ruler.as_json(marks, finished.summary)
        finished = replace(finished, summary=finished.summary.adding(ruler=placed))
    written = save(finished, args.out)
    if args.json:
        print_json(finished.summary.as_dict())
        return 0
    print_verdict(finished.summary.as_dict())
    if (control := finished.summary.control) is not None:
        print(
            f"Control: {control.steps} uncached steps{WHERE[control.kind]} take "
            f"{control.seconds:.1f} s and differ by PSNR {_decibels(control.psnr_db)}."
        )
    if args.ruler:
        print("\n".join(ruler.lines(marks, finished.summary)))
    print_lines(f"Files: {', '.join(str(path) for path in written.values())}")
    if any(padded := padding(finished.runs[0].frames)):
        print(
            f"The videos are padded by {padded[0]} columns and {padded[1]} lines: players want "
            "even numbers."
        )
    return 0


def _decibels(value: float | None) -> str:
    return "nothing at all" if value is None else f"{value:.1f} dB"


def _finish(request: Request, device: str | None, offload: Offload | None) -> ComparisonFinished:
    """Run to the end, with a bar for the download and for each run on stderr."""
    from ..runs.compare import compare
    from ..runs.events import RunStarted, StepDone

    bars: dict[str, tqdm] = {}
    loading = LoadingBar()
    with closing(compare(request, device=device, offload=offload)) as events:
        for event in events:
            loading.show(event)
            if isinstance(event, RunStarted):
                if event.run in bars:  # memory ran out: all begins anew
                    _close(bars)
                bars[event.run] = _bar(event.run, event.num_steps, len(bars))
            elif isinstance(event, StepDone):
                bar = bars[event.run]
                bar.update()
                bar.set_postfix_str(event.record.action)
    _close(bars)
    return event


def _bar(run: str, steps: int, line: int) -> tqdm:
    return tqdm(total=steps, desc=run, unit="step", file=sys.stderr, position=line)


def _close(bars: dict[str, tqdm]) -> None:
    for bar in bars.values():
        bar.close()
    bars.clear()
