"""`bwcache sweep --goal`: the setting that is close or fast enough."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from typing import TYPE_CHECKING

from tqdm import tqdm

from ..explore.results_file import ResultsFile, key
from ..explore.search import Goal, psnr_text, setting_text, speed_text
from ..models.progress import Loading
from .output import print_json
from .progress import LoadingBar

if TYPE_CHECKING:
    from ..explore.find_setting import SearchFinished
    from ..runs.request import Request


def find_setting(
    args: argparse.Namespace, request: Request, goal: Goal, file: ResultsFile | None
) -> int:
    """Search, a bar for each trial on stderr; what is recommended on stdout."""
    from ..explore.find_setting import (
        BaselineStarted,
        SearchStarted,
        Trial,
        TrialStarted,
        search,
    )
    from ..runs.events import StepDone

    there = set() if file is None else {key(row) for row in file.rows()}
    options = {"thresholds": args.thresholds, "intervals": args.intervals, "reuses": args.reuse}
    bar, loading = None, LoadingBar()
    events = search(request, goal, device=args.device, most=args.trials, **options)
    with closing(events):
        for event in events:
            loading.show(event)
            match event:
                case BaselineStarted():
                    bar = _bar(event.steps, "uncached")
                case SearchStarted():
                    _note(bar, f"{event.candidates} settings to choose from")
                case TrialStarted():
                    text = setting_text(event.candidate)
                    bar = _bar(request.steps, f"trial {event.number}, {text}")
                case StepDone():
                    bar.update()
                case Loading(stage="retry"):
                    bar.reset()
                case Trial():
                    found = event.measured
                    verdict = "meets" if event.meets else "misses"
                    speed = speed_text(found)
                    _note(bar, f"{speed}, {psnr_text(found.psnr_db)}: {verdict} the goal")
                    if file is not None and key(event.summary) not in there:
                        there.add(key(event.summary))
                        file.append(event.summary)
    if args.json:
        print_json(as_json(event, request, args.device))
    else:
        print(event.recommendation.sentence)
    return 0


def as_json(finished: SearchFinished, request: Request, device: str | None) -> dict[str, object]:
    """A search's outcome; every number null where no setting reuses anything."""
    found = finished.recommendation
    config = None if found.candidate is None else found.candidate.config
    measured = found.measured
    return {
        "goal": f"{found.goal.kind}={found.goal.value:g}",
        "goal_met": found.goal_met,
        "threshold": config and config.threshold,
        "reuse_interval": config and config.reuse_interval,
        "reuse": config and config.reuse,
        "config": config and config.as_dict(),
        "speedup": measured and measured.speedup,
        "speedup_by_work": measured and measured.speedup_by_work,
        "confirmed": found.confirmed,
        "psnr_db": measured and measured.psnr_db,
        "ssim": measured and measured.ssim,
        "schedule": found.candidate and found.candidate.schedule,
        "cached_runs": found.cached_runs,
        "baseline_runs": finished.baseline_runs,
        "runs_saved": found.runs_saved,
        "sentence": found.sentence,
        **_about(request, device),
    }


def _about(request: Request, device: str | None) -> dict[str, object]:
    from ..models.machine import default_device, describe_device, versions

    return {
        "model": request.model,
        "random_weights": request.random_weights,
        "prompt": request.prompt,
        "seed": request.seed,
        "device": describe_device(device or default_device()),
        "versions": versions(),
    }


def _bar(steps: int, name: str) -> tqdm:
    return tqdm(total=steps, desc=name, unit="step", file=sys.stderr)


def _note(bar: tqdm | None, text: str) -> None:
    if bar is not None:
        bar.set_postfix_str(text)
        bar.close()
