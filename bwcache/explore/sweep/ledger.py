"""What of a sweep is done and what has failed, as two files say that all processes read."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from ...errors import first_line
from ..results_file import ResultsFile, key
from .plan import Job, Plan

OPEN, DONE, FAILED = 0, 1, 2
LACKING = 3  # its row is there, but not all of its files: open
FAILURES = "failed.jsonl"


def work_folder(out: Path) -> Path:
    """Where the processes of a sweep keep what they need meanwhile: beside the results file."""
    return Path(f"{out.resolve()}.work")


@dataclass(frozen=True)
class Failure:
    """A job that was given up. `error`: what went wrong the last time; `tries`: how often."""

    job: Job
    error: str
    tries: int


class Ledger:
    """The state of each job, one byte, kept in step with the files as all processes add to them.

    A job is done when its row is in the results file and `complete` says so. It has failed when it
    went wrong more than `retries` times since this ledger was opened, so that a command that is
    started anew tries again.

    Args:
        plan: The jobs.
        out: The results file.
        retries: How often a job that went wrong is tried again.
        complete: Whether a job has all that it should leave besides its row.

    Raises:
        ConfigError: The results file is of some other kind.
    """

    def __init__(
        self,
        plan: Plan,
        out: Path,
        retries: int = 2,
        complete: Callable[[Job], bool] = lambda job: True,
    ):
        self.plan, self.retries, self._complete = plan, retries, complete
        self._left = [len(plan.settings[group.model]) for group in plan.groups]
        self._first = [0, *accumulate(self._left)]  # each group's first place in the states
        self._states = bytearray(plan.size)
        self.open_groups = dict.fromkeys(i for i, left in enumerate(self._left) if left)
        self.counts = Counter({OPEN: plan.size})
        self._tries: Counter[Job] = Counter()
        self._errors: dict[Job, str] = {}
        self.results = ResultsFile(out, self._on_row)
        failures = work_folder(out) / FAILURES
        self._failures = ResultsFile(failures, self._on_failure, _failure_key)
        self._before = True
        self._failures.catch_up()
        self._next_try = Counter(self._tries)  # numbers go on where those of before ended
        self._tries.clear()
        self._errors.clear()
        self._before = False
        self.results.catch_up()

    def catch_up(self) -> None:
        """Read what all processes have added since the last time."""
        self.results.catch_up()
        self._failures.catch_up()

    def is_open(self, job: Job) -> bool:
        """Whether a job is to be done."""
        state = self._states[self._place(job)]
        if state == LACKING and self._complete(job):  # another process has made its files
            self._set(job, DONE)
            return False
        return state in (OPEN, LACKING)

    def open_jobs(self, group: int) -> list[Job]:
        """A group's jobs that are to be done, those that went wrong least often first."""
        found = [job for job in self.plan.jobs(group) if self.is_open(job)]
        return sorted(found, key=lambda job: self._tries[job])

    def finish(self, job: Job, row: Mapping[str, Any]) -> None:
        """Add a job's row.

        Raises:
            OSError: The disk is full.
        """
        self.results.append(row)
        self._set(job, DONE)  # its row may be of before, and what it lacked there now

    def fail(self, job: Job, error: BaseException) -> None:
        """Say that a job went wrong, to all processes."""
        said = f"{type(error).__name__}: {first_line(error)}"
        self._failures.path.parent.mkdir(parents=True, exist_ok=True)
        number = self._next_try[job] + 1
        row = self.plan.described(job) | {"error": said, "try": number}
        self._failures.append(row)

    def failures(self) -> Iterator[Failure]:
        """The jobs that were given up."""
        for job, error in self._errors.items():
            if self._states[self._place(job)] == FAILED:
                yield Failure(job, error, self._tries[job])

    @property
    def closed(self) -> int:
        """How many jobs are done or given up."""
        return self.counts[DONE] + self.counts[FAILED]

    @property
    def retried(self) -> int:
        """How many jobs went wrong, and then went well."""
        return sum(self._states[self._place(job)] == DONE for job in self._errors)

    def _place(self, job: Job) -> int:
        return self._first[job.group] + job.setting

    def _on_row(self, row: Mapping[str, Any]) -> None:
        job = self.plan.find(row)
        if job is not None:
            self._set(job, DONE if self._complete(job) else LACKING)

    def _on_failure(self, row: Mapping[str, Any]) -> None:
        job = self.plan.find(row)
        if job is None:
            return
        self._tries[job] += 1
        if self._before:
            return
        self._next_try[job] += 1
        self._errors[job] = str(row.get("error", "no reason given"))
        if self._tries[job] > self.retries and self.is_open(job):
            self._set(job, FAILED)

    def _set(self, job: Job, state: int) -> None:
        place = self._place(job)
        before, self._states[place] = self._states[place], state
        self.counts[before] -= 1
        self.counts[state] += 1
        if before in (OPEN, LACKING) and state in (DONE, FAILED):
            self._left[job.group] -= 1
            if not self._left[job.group]:
                del self.open_groups[job.group]


def _failure_key(row: Mapping[str, Any]) -> str:
    return json.dumps([key(row), row.get("try")])
