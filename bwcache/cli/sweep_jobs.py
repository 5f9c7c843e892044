"""`bwcache sweep` without a goal: this process's part of the jobs, and the report of all."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from tqdm import tqdm

from ..errors import ConfigError, plain
from ..explore.sweep.ledger import FAILED, Ledger, work_folder
from ..explore.sweep.plan import Plan
from ..explore.sweep.processes import Processes, stopping
from ..explore.sweep.report import replace_text, write_report
from ..explore.sweep.tally import Tally, tally
from ..explore.sweep.videos import Videos
from ..explore.sweep.worker import JobFailed, SweepEvent, work
from ..files import check_file, check_folder
from ..models.machine import default_device, describe_device, versions
from ..runs.metrics import AS_SEEN
from ..runs.video import check_encoder
from .output import print_json, print_lines
from .progress import LoadingBar

SOME_FAILED, TERMINATED = 1, 143  # the latter as a shell has it of SIGTERM


def run_jobs(args: argparse.Namespace, plan: Plan) -> int:
    """Do what nobody has done; the first process prints the table, and writes it and the report.

    Returns:
        0; of the first process 1 where jobs have failed; 143 where SIGTERM ended it before the end.
    """
    summary, report = beside(args.out, ".summary.md"), beside(args.out, ".html")
    for path in (args.out, summary, report):
        check_file(path)
    check_folder(work_folder(args.out))
    videos = None
    if args.videos is not None:
        videos = _videos(args, plan)
    complete = {} if videos is None else {"complete": videos.complete}
    saved = {} if videos is None else {"save": videos.save}
    ledger = Ledger(plan, args.out, args.retries, **complete)

    processes = Processes(args.device)
    if processes.note is not None:
        print(f"bwcache: {processes.note}", file=sys.stderr)
    from ..runs.compare import compare

    as_seen = [metric for metric in args.metrics if metric in AS_SEEN]
    device = processes.device or default_device()
    hardware = describe_device(device).partition(": ")[2]
    if videos is not None and processes.first:
        videos.begin()
    try:
        with stopping() as stop:
            of = (ledger, partial(compare, as_seen=as_seen), device, hardware, processes.place)
            _show(work(*of, stop=stop, **saved), ledger, processes.first)
    finally:
        if videos is not None:
            videos.close()
        processes.close()
    if ledger.open_groups:
        left = f"{plan.size - ledger.closed} of {plan.size} jobs are left"
        print(f"bwcache: stopped; {left}, and the same command goes on", file=sys.stderr)
        return TERMINATED
    if not processes.first:
        return 0
    found = tally(ledger, ledger.results.read(), args.metrics)
    replace_text(summary, found.markdown())
    write_report(found, report)
    if args.json:
        about = {"device": describe_device(device), "versions": versions()}
        files = {"out": str(args.out), "summary": str(summary), "report": str(report)}
        print_json({**files, **as_json(found, plan), **about})
    else:
        print_lines(found.markdown())
        print_lines(f"{found.videos} rows of this sweep in {args.out}; table in {summary}")
        print_lines(f"report in {report}")
    return SOME_FAILED if found.failures else 0


def beside(out: Path, suffix: str) -> Path:
    """The file of a sweep's results that has another suffix."""
    stem = out.name.removesuffix(".jsonl")
    return out.with_name(stem + suffix)


def as_json(found: Tally, plan: Plan) -> dict[str, object]:
    """A sweep in numbers."""
    settings = [
        {
            "model": each.model,
            "method": each.method,
            "setting": each.label,
            "videos": each.videos,
            "failed": each.failed,
            "identical": each.identical,
            **{name: _quartiles(each.quartiles(name)) for name in found.columns},
        }
        for each in found.settings
    ]
    models = list(plan.settings)
    return {
        "model": models[0] if len(models) == 1 else models,
        "random_weights": plan.random_weights,
        "rows": found.videos,
        "jobs": found.jobs,
        "uncached_runs": found.uncached,
        "failed": len(found.failures),
        "retried": found.retried,
        "settings": settings,
        "failures": found.failures,
    }


def _quartiles(found: tuple[float, float, float] | None) -> dict[str, float] | None:
    return None if found is None else dict(zip(("low", "median", "high"), found, strict=True))


def _videos(args: argparse.Namespace, plan: Plan) -> Videos:
    try:
        videos = Videos(args.videos, plan, args.layout)
    except ConfigError as error:
        if error.field != "out":
            raise
        raise ConfigError("videos", error.given, error.allowed) from None
    check_encoder()
    return videos


def _show(events: Iterable[SweepEvent], ledger: Ledger, shown: bool) -> None:
    """A bar over the jobs of all processes, whose time left is by what all of them do."""
    loading = LoadingBar()
    bar = tqdm(
        total=ledger.plan.size,
        initial=ledger.closed,
        desc="sweep",
        unit="job",
        file=sys.stderr,
        disable=not shown,
    )
    with bar:
        for event in events:
            if shown:
                loading.show(event)
                ledger.catch_up()
                if (failed := ledger.counts[FAILED]) and f"{failed} failed" != bar.postfix:
                    bar.set_postfix_str(f"{failed} failed", refresh=False)
                bar.update(ledger.closed - bar.n)
            if isinstance(event, JobFailed):
                tqdm.write(f"went wrong: {plain(event.error)[:200]}", file=sys.stderr)
        bar.update(ledger.closed - bar.n)
