"""What the commands that run a model do, apart from reading their arguments."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace

from tqdm import tqdm

from ..cache.methods.bwcache import BWCacheConfig
from ..explore.suggestion import after_measuring
from ..files import check_folder
from ..models import find
from ..models import start_picture as picture
from ..models.spec import Offload
from ..runs.compare import compare
from ..runs.events import ComparisonFinished, RunStarted, StepDone
from ..runs.request import Request
from ..runs.result_files import save
from ..runs.verdict import CAVEAT
from .progress import LoadingBar


def compare_command(
    args: argparse.Namespace, config: BWCacheConfig, print_json: Callable[[object], None]
) -> int:
    """Make and save a comparison; the verdict, or with `--json` the summary, on stdout."""
    steps = find(args.model).steps if args.steps is None else args.steps
    image = picture.read(args.image)
    of = (config, args.control, args.random_weights, image)
    request = Request(args.prompt, args.model, steps, args.seed, *of)
    check_folder(args.out)
    finished = with_suggestion(_with_progress(request, args.device, args.offload))
    written = save(finished, args.out)
    if args.json:
        print_json(finished.summary.as_dict())
        return 0
    print_verdict(finished.summary.as_dict())
    if (control := finished.summary.control) is not None:
        print(
            f"Control: {control.steps} uncached steps take {control.seconds:.1f} s and differ by "
            f"PSNR {_decibels(control.psnr_db)}."
        )
    print(f"Files: {', '.join(str(path) for path in written.values())}")
    return 0


def print_verdict(summary: Mapping[str, object]) -> None:
    """The result in words, with what to mind, and the setting to try next where there is one."""
    print(summary["verdict"])
    for name in ("warning", "suggestion"):
        if summary.get(name):
            print(summary[name])
    print(CAVEAT)


def with_suggestion(finished: ComparisonFinished) -> ComparisonFinished:
    """The same, with what to try next in its summary, or None."""
    found = after_measuring(finished.summary.as_dict(), finished.trace_file.baseline)
    return replace(finished, summary=finished.summary.adding(suggestion=found))


def _decibels(value: float | None) -> str:
    return "nothing at all" if value is None else f"{value:.1f} dB"


def _with_progress(
    request: Request, device: str | None, offload: Offload | None
) -> ComparisonFinished:
    """Run to the end, with a bar for the download and for each run on stderr."""
    bar, loading = None, LoadingBar()
    with closing(compare(request, device=device, offload=offload)) as events:
        for event in events:
            loading.show(event)
            if isinstance(event, RunStarted):
                if bar is not None:
                    bar.close()  # of a run that was cut short
                bar = tqdm(total=event.num_steps, desc=event.run, unit="step", file=sys.stderr)
            elif isinstance(event, StepDone):
                bar.update()
                bar.set_postfix_str(event.record.action)
                if event.record.step_index + 1 == bar.total:
                    bar.close()
    return event
