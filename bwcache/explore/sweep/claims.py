"""Who does what: locks of the operating system, which end with the process that holds them.

A process takes a group and works through its jobs, so that it makes their uncached run and has it
at hand. Once no group is free, it helps where an uncached run lies on disk already. Nothing here
waits for another process, so that none that dies holds the others up.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

from .ledger import FAILURES, Ledger
from .plan import Job

PRESENT = "present"  # the folder in which each process of a sweep holds a lock while it works


class Claims:
    """One process's claims on the groups and jobs of a sweep. A context: leaving it lets all go.

    Args:
        ledger: What is to be done.
        folder: Shared by all processes; a lock is an empty file there.
        place: Where among the groups this process begins to look, from 0 to below 1, so that
            processes do not all ask for the same ones.
        kept: Whether an uncached run of a group lies on disk that this process can go on with.
    """

    def __init__(self, ledger: Ledger, folder: Path, place: float, kept: Callable[[int], bool]):
        self._ledger, self._folder, self._kept = ledger, folder, kept
        self._group: int | None = None
        self._group_lock: FileLock | None = None
        groups = list(ledger.open_groups)
        start = int(place * len(groups))
        # those to look at, done ones among them until they are come upon
        self._order = dict.fromkeys(groups[start:] + groups[:start])
        self._own_name = f"{ledger.plan.name}-{uuid4().hex[:12]}"

    def __enter__(self) -> Claims:
        while (presence := _taken(self._folder / PRESENT, self._own_name)) is None:
            pass  # somebody was just looking whether its process had died
        self._presence = presence
        return self

    def __exit__(self, *_: object) -> None:
        """Let all go. Whoever is the last removes what killed processes have left."""
        self._leave_group()
        if not self._others() and not self._ledger.open_groups:
            self._tidy()
        _let_go(self._presence, gone=True)
        for folder in (self._folder / PRESENT, self._folder):
            with suppress(OSError):
                folder.rmdir()  # where it is empty

    @contextmanager
    def job(self) -> Iterator[Job | None]:
        """A job that nobody else does while the block lasts; None where there is none just now."""
        found = self._find()
        if found is None:
            yield None
            return
        job, lock = found
        try:
            yield job
        finally:
            _let_go(lock, gone=not self._ledger.is_open(job))
            if job.group not in self._ledger.open_groups and not self._others(of_other_plans=True):
                shutil.rmtree(self._folder / self._name(job.group), ignore_errors=True)

    def _find(self) -> tuple[Job, FileLock] | None:
        for group in self._candidates():
            if group != self._group:
                lock = _taken(self._folder, self._name(group))
                if lock is None:
                    continue
                self._leave_group()
                self._group, self._group_lock = group, lock
            if (found := self._free_job(group)) is not None:
                return found
        self._leave_group()
        for group in list(self._ledger.open_groups):
            if self._kept(group) and (found := self._free_job(group)) is not None:
                return found
        return None

    def _candidates(self) -> Iterator[int]:
        open_groups = self._ledger.open_groups
        if self._group is not None and self._group in open_groups:
            yield self._group
        for group in list(self._order):
            if group not in open_groups:
                del self._order[group]
            elif group != self._group:
                yield group

    def _free_job(self, group: int) -> tuple[Job, FileLock] | None:
        for job in self._ledger.open_jobs(group):
            lock = _taken(self._folder, self._ledger.plan.job_name(job))
            if lock is not None:
                self._ledger.catch_up()  # whoever had it may have done it meanwhile
                if self._ledger.is_open(job):
                    return job, lock
                _let_go(lock, gone=True)
        return None

    def _leave_group(self) -> None:
        if self._group_lock is not None:
            _let_go(self._group_lock, gone=self._group not in self._ledger.open_groups)
        self._group = self._group_lock = None

    def _name(self, group: int) -> str:
        return self._ledger.plan.group_name(group)

    def _others(self, of_other_plans: bool = False) -> bool:
        """Whether other processes are at work here; names of those that died are removed."""
        for path in (self._folder / PRESENT).glob("*.lock"):
            same = path.name.startswith(self._ledger.plan.name)
            if path.stem == self._own_name or (of_other_plans and same):
                continue
            lock = _taken(path.parent, path.stem)
            if lock is None:
                return True
            _let_go(lock, gone=True)
        return False

    def _tidy(self) -> None:
        for path in self._folder.iterdir():
            if path.name == PRESENT or (path.name.startswith(FAILURES) and self._failed):
                continue
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    @property
    def _failed(self) -> bool:
        return any(True for _ in self._ledger.failures())


def _taken(folder: Path, name: str) -> FileLock | None:
    """A lock, or None where another has it."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{name}.lock", timeout=0)
    try:
        lock.acquire()
    except (Timeout, FileNotFoundError):  # another's, or the folder was tidied away just now
        return None
    return lock


def _let_go(lock: FileLock, gone: bool) -> None:
    """Release a lock; its file goes only if nobody needs what it stood for any more.

    Else two could each hold a file of that name: one that was opened before, and a new one.
    """
    if gone:
        with suppress(OSError):
            os.unlink(lock.lock_file)
    lock.release()
