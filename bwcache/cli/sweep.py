"""`bwcache sweep`: many settings, or the one that meets a goal."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from contextlib import closing, nullcontext
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from .. import models
from ..cache.methods.bwcache import BWCacheConfig, parse_interval
from ..errors import ConfigError, plain
from ..explore.results_file import ResultsFile, key
from ..explore.search import MOST_TRIALS, Goal, psnr_text, setting_text, speed_text
from ..files import check_file, read_text
from ..models.progress import Loading
from .arguments import add_json_argument, add_model_arguments, listed, threshold
from .output import print_json
from .progress import LoadingBar

if TYPE_CHECKING:
    from ..explore.find_setting import SearchFinished
    from ..runs.request import Request

HELP = "many settings, or the one that meets a goal"
MOST_ALLOWED = 100  # trials of a search
MOST_PROMPT_BYTES = 2**22  # of a file of prompts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_arguments(parser)
    prompts = parser.add_mutually_exclusive_group(required=True)
    prompts.add_argument("--prompt", help="what the video shows")
    prompts.add_argument("--prompts", type=Path, help="text file, a prompt on each line")
    parser.add_argument("--goal", help="psnr=30 (dB, at least) or speedup=2 (times, at least)")
    parser.add_argument("--trials", type=int, default=MOST_TRIALS, help="of a goal, at most")
    parser.add_argument("--thresholds", type=listed(threshold), help="such as 0.05,0.1")
    parser.add_argument("--intervals", type=listed(parse_interval), help="such as 1,2,4")
    parser.add_argument("--reuse", type=listed(str), help="such as residual,forecast")
    parser.add_argument("--out", type=Path, help="file that a line is added to for each run")
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Run the search or the sweep; its result in a few lines, or as JSON, on stdout."""
    goal = None if args.goal is None else Goal.parse(args.goal)
    spec = models.find(args.model)
    prompts = [args.prompt] if args.prompts is None else read_prompts(args.prompts)
    steps = spec.steps if args.steps is None else args.steps
    thresholds = args.thresholds
    if goal is None and thresholds is None:
        raise ConfigError("thresholds", None, "such as 0.1,0.15, or a --goal such as psnr=30")
    if goal is None and args.out is None:
        raise ConfigError("out", None, "the file that the results are added to")
    if goal is not None and len(prompts) > 1:
        raise ConfigError("prompts", f"{len(prompts)} prompts", "one for a goal")
    intervals = args.intervals or (
        [spec.default_preset.config.reuse_interval] if goal is None else None
    )
    settings = [
        BWCacheConfig(threshold, interval, reuse=reuse, **spec.indicator)
        for reuse, threshold, interval in product(
            args.reuse or [BWCacheConfig.reuse], thresholds or [0.0], intervals or [1]
        )
    ]
    from ..runs.request import Request

    def requests(some: list[str]) -> list[Request]:
        return [
            Request(prompt, args.model, steps, args.seed, config, False, args.random_weights)
            for prompt, config in product(some, dict.fromkeys(settings))
        ]

    for prompt in prompts:
        requests([prompt])
        models.check_prompt(spec, prompt)
    if not 1 <= args.trials <= MOST_ALLOWED:
        raise ConfigError("trials", args.trials, f"a whole number from 1 to {MOST_ALLOWED}")
    file = None
    if args.out is not None:
        check_file(args.out)
        file = ResultsFile(args.out)
        file.rows()
    if goal is not None:
        with nullcontext() if file is None else file.alone():
            return _search(args, requests(prompts)[0], goal, file)
    return _sweep(args, prompts, requests, file)


def read_prompts(path: Path) -> list[str]:
    """The prompts of a text file, one a line; empty lines are passed over.

    Raises:
        ConfigError: It cannot be read, or holds none.
    """
    try:
        lines = read_text(path, MOST_PROMPT_BYTES).splitlines()
    except (OSError, UnicodeDecodeError):
        lines = []
    prompts = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not prompts:
        raise ConfigError("prompts", str(path), "a readable text file with a prompt on each line")
    return prompts


def _search(
    args: argparse.Namespace, request: Request, goal: Goal, file: ResultsFile | None
) -> int:
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
        print_json(as_json(event, args))
    else:
        print(event.recommendation.sentence)
    return 0


def as_json(finished: SearchFinished, args: argparse.Namespace) -> dict[str, object]:
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
        **_about(args, args.device),
    }


def _sweep(
    args: argparse.Namespace,
    prompts: list[str],
    requests: Callable[[list[str]], list[Request]],
    file: ResultsFile,
) -> int:
    from ..explore.sweep import Share, described, sweep
    from ..runs.events import ComparisonFinished

    share = Share(args.device)
    own, loading = requests(share.of(prompts)), LoadingBar()
    alone = file.alone() if share.first else nullcontext()  # the others are of the same sweep
    with alone, tqdm(total=len(own), desc="sweep", unit="run", file=sys.stderr) as bar:
        for event in sweep(own, file, device=share.device):
            loading.show(event)
            if event is None or isinstance(event, ComparisonFinished):
                bar.update()
    share.wait()
    if not share.first:
        return 0
    asked = {key(described(request)) for request in requests(prompts)}
    rows = [row for row in file.rows() if key(row) in asked]
    if args.json:
        about = _about(args, share.device)
        print_json({"out": str(args.out), "rows": len(rows), **about})
        return 0
    for row in rows:
        config, psnr = row["config"], row["psnr_db"]
        close = "identical" if psnr is None else f"{psnr:5.1f} dB"
        print(
            f"δ {config['threshold']:<7g} R {config['reuse_interval']:<5g} {config['reuse']:9} "
            f"{row['speedup']:5.2f}×  {close}  {plain(row['prompt'])}"
        )
    print(f"{len(rows)} rows of this sweep in {args.out}")
    return 0


def _about(args: argparse.Namespace, device: str | None) -> dict[str, object]:
    from ..models.machine import default_device, describe_device, versions

    return {
        "model": args.model,
        "random_weights": args.random_weights,
        "prompt": args.prompt,
        "seed": args.seed,
        "device": describe_device(device or default_device()),
        "versions": versions(),
    }


def _bar(steps: int, name: str) -> tqdm:
    return tqdm(total=steps, desc=name, unit="step", file=sys.stderr)


def _note(bar: tqdm | None, text: str) -> None:
    if bar is not None:
        bar.set_postfix_str(text)
        bar.close()
