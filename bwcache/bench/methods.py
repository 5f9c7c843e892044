"""`bench methods`: every registered method over its knob, on the same prompts, steps and work.

Two sets of prompts: on the first the values of each knob are chosen, on the second they are
reported. What is made is a line of a file at once, and nothing is made twice: a second call goes on
where the first one ended. Several processes can share the work; then no speed is told.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..cache.method import Method
from ..errors import CacheError, ConfigError, TraceError
from ..explore.families import Family, worth_reporting
from ..files import ASSETS, finite
from ..runs.metrics import PSNR_CONVENTION
from ..runs.perceptual import VMAF_CONVENTION
from .frontier import IDENTICAL_DB
from .leaderboard import log_file, points_of, read_rows, standings
from .methods_plan import Grid, Plan
from .methods_runs import Numbers, Runs
from .methods_text import CONVERGED_STEPS
from .workload import Workload

FAULTS = (CacheError, ConfigError, TraceError)  # what keeps a method from running here
MOST_PROCESSES = 256
UNCACHED = Family("uncached", "uncached")
Row = dict[str, Any]


def methods(
    workload: Workload, plan: Plan, log: Path | None = None, processes: int = 1
) -> dict[str, object]:
    """Make the runs that are not in the log, and say what they show.

    Args:
        workload: The model, device, seed and size.
        plan: What to compare.
        log: A file of lines, which is read and added to; reference videos lie in a folder beside
            it. None keeps nothing.
        processes: How many make runs at the same time, on one device; with more than one no speed
            is told, since each would slow the others.

    Returns:
        `points`, one for each family, grid and value, see `leaderboard.point`; `standings`, who is
        how close at equal work; `left_out`, what could not run here, and why; the prompts of both
        sets; the conventions.

    Raises:
        ConfigError: There are to be no processes, or too many; or the log is none, or is being
            written to.
    """
    if not 1 <= processes <= MOST_PROCESSES:
        raise ConfigError("processes", processes, f"a whole number from 1 to {MOST_PROCESSES}")
    bench = _Bench(workload, plan, log)
    with ExitStack() as stack:
        if log is not None:
            stack.enter_context(log_file(log).alone())
        bench.make(stack.enter_context(_Workers(workload, plan, log, processes, bench.add)))
    points = points_of(bench.rows())
    return {
        **workload.header(),
        **date_and_commit(),
        "prompts_to_choose": list(plan.choose),
        "prompts_reported": list(plan.report),
        "points": points,
        "standings": standings(bench.rows()),
        "left_out": bench.left_out,
        "psnr_convention": f"{PSNR_CONVENTION}; {IDENTICAL_DB:g} dB where identical",
        "vmaf_convention": f"{VMAF_CONVENTION}; on {plan.seen} of the prompts",
        "speedup_convention": "median over prompts, from median steps; speedup_in_turns: made in "
        f"turns with the uncached run, on {plan.raced} of the prompts",
        "converged_convention": f"{CONVERGED_STEPS} uncached steps of the same noise",
    }


def date_and_commit() -> dict[str, str]:
    """When a result is made (UTC), and by which commit; "" in an installed package."""
    return {"date": datetime.now(UTC).date().isoformat(), "commit": _commit()}


def _commit() -> str:
    command = ["git", "-C", str(ASSETS.parent), "rev-parse", "--short=12", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


# -- what a process is given to do, and what it brings back -------------------------------------


@dataclass(frozen=True)
class _Job:
    """Runs of one family on one grid.

    Args:
        grid, family: Which.
        prompt: On which they are reported; "" to choose values on the prompts that choose.
        values: To report.
        known: Of choosing, the shares of the work that are known: by value (as JSON) and prompt.
    """

    grid: Grid
    family: Family
    prompt: str = ""
    values: tuple = ()
    known: Mapping[tuple[str, str], float] = field(default_factory=dict)


@dataclass
class _Done:
    """What came of a job.

    Args:
        job: Which.
        made: Value, prompt and numbers of each run.
        shares: Of choosing, by value.
        fault: Why the method cannot run here; "" where it can.
    """

    job: _Job
    made: list[tuple[Any, str, Numbers]] = field(default_factory=list)
    shares: dict[Any, float] = field(default_factory=dict)
    fault: str = ""


def _do(runs: Runs, job: _Job) -> Iterator[_Done]:
    """What a job makes, a part as soon as there is one; the last has the shares, or the fault."""
    if job.family.name == UNCACHED.name:
        yield _Done(job, [(None, job.prompt, runs.uncached(job.grid, job.prompt))])
        return
    if job.prompt:
        try:
            for value in job.values:
                numbers = runs.numbers(job.grid, job.family, value, job.prompt)
                yield _Done(job, [(value, job.prompt, numbers)])
        except FAULTS as error:
            yield _Done(job, fault=str(error))
        return
    made: list[tuple[Any, str, Numbers]] = []

    def share_of(value: Any, config: Method, prompt: str) -> float:
        known = job.known.get((json.dumps(value), prompt))
        if known is None:
            known = runs.share(job.grid, config, prompt)
            made.append((value, prompt, {"compute_share": known}))
        return known

    try:
        yield _Done(job, made, runs.shares(job.grid, job.family, share_of))
    except FAULTS as error:
        yield _Done(job, made, fault=str(error))


# -- who does it ---------------------------------------------------------------------------------

_runs: Runs | None = None  # of a process that works for another one


def _begin(workload: Workload, plan: Plan, folder: Path, threads: int) -> None:
    global _runs
    import torch

    torch.set_num_threads(threads)
    _runs = Runs(workload, plan, folder, timed=False)


def _do_all(job: _Job) -> list[_Done]:
    assert _runs is not None
    return list(_do(_runs, job))


def _make_reference(grid: Grid, prompt: str) -> None:
    assert _runs is not None
    _runs.reference(grid, prompt)


class _Workers:
    """Does jobs: here one after another, or in processes of their own.

    An error that no method should raise is raised at the end: what the others make is kept.
    """

    def __init__(
        self,
        workload: Workload,
        plan: Plan,
        log: Path | None,
        processes: int,
        tell: Callable[..., object],
    ):
        self._workload, self._plan, self._count = workload, plan, processes
        self._folder = None if log is None else log.with_suffix(".runs")
        self._stack, self._tell = ExitStack(), tell
        self._pool: ProcessPoolExecutor | None = None
        self._errors: list[Exception] = []

    def __enter__(self) -> _Workers:
        if self._count == 1:
            self._here = Runs(self._workload, self._plan, self._folder, tell=self._tell)
            return self
        folder = self._folder or Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        threads = max(1, (os.cpu_count() or 1) // self._count)
        self._pool = self._stack.enter_context(
            ProcessPoolExecutor(
                self._count,
                multiprocessing.get_context("spawn"),
                _begin,
                (self._workload, self._plan, folder, threads),
            )
        )
        return self

    def __exit__(self, *error: object) -> None:
        if self._pool is not None and error[0] is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        self._stack.close()
        if self._errors and error[0] is None:
            raise self._errors[0]

    def prepare(self, references: Iterable[tuple[Grid, str]]) -> None:
        """Make uncached runs that many processes would else wait for."""
        if self._pool is None:
            return
        made = [self._pool.submit(_make_reference, *each) for each in references]
        for each in as_completed(made):
            each.result()
            self._tell()

    def do(self, jobs: Sequence[_Job]) -> Iterator[_Done]:
        """What comes of jobs, as it comes."""
        if self._pool is None:
            for job in jobs:
                yield from _do(self._here, job)
            return
        for each in as_completed([self._pool.submit(_do_all, job) for job in jobs]):
            try:
                found = each.result()
            except BrokenProcessPool:
                raise
            except Exception as error:
                self._errors.append(error)
                continue
            for done in found:
                self._tell(len(done.made))
                yield done


# -- which, in which order, and what is kept -------------------------------------------------------


class _Bench:
    """Knows what is made, hands out what is not, and writes down what comes back."""

    def __init__(self, workload: Workload, plan: Plan, log: Path | None):
        self._workload, self._plan = workload, plan
        self._log = None if log is None else log_file(log)
        self._rows: dict[str, Row] = {}
        self.left_out: dict[str, str] = {}
        if log is not None and log.exists():
            self._rows = {row["key"]: row for row in read_rows(log)}
        self._seeds = Runs(workload, plan)
        self._header = date_and_commit() | {"device": workload.header()["device"]}
        self._bar = tqdm(desc="methods", unit="run", file=sys.stderr)
        self.add = self._bar.update

    def rows(self) -> list[Row]:
        """The reported rows of this plan."""
        names = {family.name for family in self._plan.families} | {UNCACHED.name}
        grids = {(grid.steps, grid.shift) for grid in self._plan.grids}
        return [
            row
            for row in self._rows.values()
            if row["set"] == "report"
            and row["family"] in names
            and (row["steps"], row["shift"]) in grids
            and row["prompt"] in self._plan.report
            and (row["model"], row["seed"]) == (self._workload.model, self._workload.seed)
        ]

    def make(self, workers: _Workers) -> None:
        """Grid after grid, prompt after prompt."""
        plan = self._plan
        for grid in plan.grids:
            choices = [self._choice(grid, each) for each in plan.families if each.method]
            if not all(job.known for job in choices):
                workers.prepare((grid, prompt) for prompt in plan.choose)
            chosen = {each.name: each.values(grid.steps) for each in plan.families}
            for done in workers.do(choices):
                self._keep("choose", done)
                chosen[done.job.family.name] = self._worth_reporting(done)
            jobs = list(self._reports(grid, chosen))
            grids = [grid, Grid(CONVERGED_STEPS, grid.shift)] if plan.converged else [grid]
            prompts = list(dict.fromkeys(job.prompt for job in jobs))
            workers.prepare((each, prompt) for prompt in prompts for each in grids)
            for done in workers.do(jobs):
                self._keep("report", done)
        self._bar.close()

    def _choice(self, grid: Grid, family: Family) -> _Job:
        known = {
            (json.dumps(row["value"]), row["prompt"]): row["compute_share"]
            for row in self._rows.values()
            if (row["set"], row["family"]) == ("choose", family.name)
            and (row["model"], row["steps"], row["shift"])
            == (self._workload.model, grid.steps, grid.shift)
        }
        return _Job(grid, family, known=known)

    def _worth_reporting(self, done: _Done) -> list[Any]:
        found = worth_reporting(done.shares, self._plan.values)
        if not found and not done.fault:
            told = ", ".join(f"{share:.2f}" for share in done.shares.values())
            why = f"no value of its knob computes a share to compare: {told}"
            self.left_out[done.job.family.name] = why
        return found

    def _reports(self, grid: Grid, chosen: Mapping[str, Sequence[Any]]) -> Iterator[_Job]:
        """The jobs of a grid that are left to do."""
        for prompt in self._plan.report:
            if self._plan.converged and self._is_left(grid, UNCACHED, None, prompt):
                yield _Job(grid, UNCACHED, prompt)
            for family in self._plan.families:
                values = [
                    value
                    for value in chosen[family.name]
                    if self._is_left(grid, family, value, prompt)
                ]
                if values:
                    yield _Job(grid, family, prompt, tuple(values))

    def _is_left(self, grid: Grid, family: Family, value: Any, prompt: str) -> bool:
        return self._key("report", grid, family, value, prompt) not in self._rows

    # -- rows --------------------------------------------------------------------------------------

    def _key(self, which: str, grid: Grid, family: Family, value: Any, prompt: str) -> str:
        shape = self._workload.spec.shape
        size = [shape.height, shape.width, shape.num_frames]
        facts = [which, self._workload.model, *size, grid.steps, grid.shift, family.name]
        return json.dumps([*facts, value, prompt, self._seeds.seed_of(prompt)])

    def _keep(self, which: str, done: _Done) -> None:
        job = done.job
        if done.fault:
            self.left_out[job.family.name] = done.fault
        for value, prompt, numbers in done.made:
            key = self._key(which, job.grid, job.family, value, prompt)
            self._write(key, which, job, value, prompt, numbers)

    def _write(
        self, key: str, which: str, job: _Job, value: Any, prompt: str, numbers: Numbers
    ) -> None:
        family = job.family
        row = {
            "key": key,
            "set": which,
            "model": self._workload.model,
            "steps": job.grid.steps,
            "shift": job.grid.shift,
            "family": family.name,
            "title": family.title,
            "ours": family.is_ours,
            "value": value,
            "config": {} if family.method is None else family.config(value).as_dict(),
            "prompt": prompt,
            "seed": self._seeds.seed_of(prompt),
            **numbers,
            **self._header,
        }
        self._rows[key] = finite(row)
        self._bar.set_postfix_str(f"{family.name} {value}", refresh=False)
        if self._log is not None:
            self._log.append(self._rows[key])
