"""What a sweep's bookkeeping costs: ten thousand jobs that take no time, everything else as it is.

    python -m bwcache.bench.sweep_bookkeeping --out assets/results/sweep-bookkeeping.json

Claims, rows, locks, and the uncached runs on disk at TinyWorld's size are real; a job's comparison
is one that was made before. So all the time there is is bookkeeping.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from ..cache.methods.bwcache import BWCacheConfig
from ..explore.sweep.ledger import Ledger
from ..explore.sweep.plan import Group, Plan
from ..explore.sweep.worker import JobDone, work
from ..files import check_file, write
from ..models import find
from ..models.machine import describe_device, versions
from ..runs.baselines import remembering
from ..runs.compare import compare
from ..runs.events import ComparisonFinished, Events, RunFinished
from ..runs.request import Request

SIZES = (1_000, 10_000)  # jobs
SETTINGS = 5  # of each group
BLOCKS = 10  # whose times show the spread, and whether later jobs cost more
SHARE = 0.01  # of the time, that bookkeeping may take
STEPS = 30  # of the rows: their length is that of real ones


class Stub:
    """Callable as `bwcache.runs.compare.compare`: whatever is asked for, what was made once."""

    def __init__(self, made: ComparisonFinished):
        self._made = made
        self.uncached_runs = 0

    def __call__(self, request: Request, store: Any = None, device: str | None = None) -> Events:
        return remembering(self._make)(request, store, device)

    def _make(self, request: Request, baseline: RunFinished | None, device: str | None) -> Events:
        uncached = replace(baseline or self._made.runs[0], remembered=baseline is not None)
        self.uncached_runs += baseline is None
        yield uncached
        summary = replace(
            self._made.summary,
            prompt=request.prompt,
            seed=request.seed,
            steps=request.steps,
            config=request.config.as_dict(),
            baseline_remembered=baseline is not None,
        )
        yield replace(self._made, summary=summary, runs=(uncached, self._made.runs[1]))


def plan_of(jobs: int) -> Plan:
    """So many jobs, five to a group."""
    groups = [Group("tinyworld", f"prompt {i}", 0, STEPS) for i in range(jobs // SETTINGS)]
    return Plan(groups, {"tinyworld": [BWCacheConfig(0.01 * (i + 1)) for i in range(SETTINGS)]})


def measure(jobs: int, stub: Stub, folder: Path) -> dict[str, Any]:
    """Seconds a job of one process, and seconds to read all rows at a later start."""
    plan, out = plan_of(jobs), folder / f"{jobs}.jsonl"
    process = psutil.Process()
    blocks: list[dict[str, float]] = []
    done, started, worked = 0, time.perf_counter(), time.process_time()
    for event in work(Ledger(plan, out), stub):
        done += isinstance(event, JobDone)
        if isinstance(event, JobDone) and done % (jobs // BLOCKS) == 0:
            now, by_now = time.perf_counter(), time.process_time()
            blocks.append(
                {
                    "seconds_per_job": (now - started) * BLOCKS / jobs,
                    "processor_seconds_per_job": (by_now - worked) * BLOCKS / jobs,
                    "resident_bytes": process.memory_info().rss,
                }
            )
            started, worked = now, by_now
    if done != jobs:
        raise RuntimeError(f"{done} of {jobs} jobs were done")
    taken = median(block["seconds_per_job"] for block in blocks)
    started = time.perf_counter()
    again = Ledger(plan, out)
    reading = time.perf_counter() - started
    if again.open_groups:
        raise RuntimeError("a row was not found again")
    return {
        "jobs": jobs,
        "seconds_per_job": taken,
        "processor_seconds_per_job": median(block["processor_seconds_per_job"] for block in blocks),
        "each_tenth": blocks,
        "one_per_cent_from_seconds": taken / SHARE,
        "start_seconds": reading,
        "row_bytes": out.stat().st_size / jobs,
    }


def kept_bytes(jobs: int, stub: Stub, folder: Path) -> float:
    """Bytes of Python objects that a done job leaves."""
    plan, out = plan_of(jobs), folder / f"memory-{jobs}.jsonl"
    tracemalloc.start()
    ledger = Ledger(plan, out)
    events = work(ledger, stub)
    next(events)
    before, _ = tracemalloc.get_traced_memory()
    for _ in events:
        pass
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return (after - before) / jobs


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, nargs="+", default=SIZES)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args(arguments)
    if args.out is not None:
        check_file(args.out)
    spec = find("tinyworld")
    *_, made = compare(Request(spec.examples[0], steps=STEPS), as_seen=False)
    stub = Stub(made)
    with tempfile.TemporaryDirectory(prefix="bwcache-") as folder:
        times = [measure(jobs, stub, Path(folder)) for jobs in args.jobs]
        kept = kept_bytes(min(args.jobs), stub, Path(folder))
    result = {
        "settings_per_group": SETTINGS,
        "frames_bytes": made.runs[0].frames.nbytes,
        "times": times,
        "kept_bytes_per_job": kept,
        "job_seconds": made.summary.waited_seconds,
        "share_of_time": times[-1]["seconds_per_job"] / made.summary.waited_seconds,
        "device": describe_device("cpu"),
        "versions": versions(),
    }
    print(json.dumps(result, indent=1))
    if args.out is not None:
        write(result, args.out)


if __name__ == "__main__":
    main()
