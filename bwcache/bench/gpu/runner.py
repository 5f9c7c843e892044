"""Gives each piece of `bench gpu` to a process of its own kind, and keeps what comes back.

A worker process goes on with the next piece only where the last one ended well: after an error (a
CUDA error stays in its process), a crash or a piece that took too long, a new one is started. This
process itself never loads torch.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from ...files import write
from .pieces import PARTS, Piece
from .results import DONE, Entry, keep, now, read

LOOK_EVERY = 0.2  # seconds between two looks at the worker's answer
RESERVE = 3.0  # seconds of the budget that are left for ending
LOG_CHARACTERS = 6000  # of a worker's output that are kept with a piece that failed


class Worker:
    """A process that does one piece after another; see `worker.py`."""

    def __init__(self, work: Path, module: str):
        self._log_path = work / "worker.log"
        self._log = self._log_path.open("ab")
        self._process = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that it can be ended with all that it has started
            text=True,
        )

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, task: Path) -> None:
        """Hand over a piece."""
        self._mark = self._log_path.stat().st_size
        assert self._process.stdin is not None
        with suppress(OSError):  # where it has ended, `alive` says so
            self._process.stdin.write(f"{task}\n")
            self._process.stdin.flush()

    def output(self) -> str:
        """The end of what it has printed since the last piece was handed over."""
        with self._log_path.open("rb") as log:
            log.seek(self._mark)
            return log.read().decode("utf-8", "replace")[-LOG_CHARACTERS:]

    def end(self) -> int | None:
        """End it and what it has started; its exit status where it had ended by itself."""
        status = self._process.poll()
        if sys.platform == "win32":
            self._process.kill()
        else:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._log.close()
        return status


def run_pieces(
    pieces: Sequence[Piece],
    minutes: float,
    out: Path,
    work: Path,
    device: str | None,
    small: bool,
    tell: Callable[[str], None] = print,
    module: str = f"{__package__}.worker",
) -> bool:
    """Do what is left of some pieces, within a time.

    Args:
        pieces: In the order to do them.
        minutes: For all of them together; what does not fit is left for the next call.
        out: Where results go; those of an earlier call are gone on from.
        work: For what is needed in between: logs, checkpoints.
        device: "cpu" or "cuda"; the best there is where None.
        small: Tiny shapes.
        tell: Called with a line after each piece.
        module: What a worker process runs.

    Returns:
        Whether all of them are done now.
    """
    deadline = time.monotonic() + 60 * minutes - RESERVE
    for folder in (out, work):
        folder.mkdir(parents=True, exist_ok=True)
    worker: Worker | None = None
    complete = True
    try:
        for piece in pieces:
            before = read(piece.part, out).get(piece.name, {})
            if before.get("status") == DONE:
                tell(f"{piece.part}: {piece.name}: done before")
                continue
            left = deadline - time.monotonic()
            if left < min(piece.least, piece.limit):
                tell(f"{piece.part}: {piece.name}: left for another call, {left:.0f} s remain")
                complete = False
                continue
            if worker is None:
                worker = Worker(work, module)
            seconds = left if small else min(piece.limit, left)  # a busy machine is no failure
            entry, usable = _do(worker, piece, seconds, out, work, device, small, before)
            keep(piece.part, piece.name, entry, out)
            tell(_line(piece, entry))
            complete = complete and entry["status"] == DONE
            if not usable:
                worker.end()
                worker = None
    finally:
        if worker is not None:
            worker.end()
    return complete


def _do(
    worker: Worker,
    piece: Piece,
    seconds: float,
    out: Path,
    work: Path,
    device: str | None,
    small: bool,
    before: Entry,
) -> tuple[Entry, bool]:
    """A piece's entry, and whether its worker can go on."""
    answer, task = work / "answer.json", work / "task.json"
    answer.unlink(missing_ok=True)
    given = {
        "part": piece.part,
        "name": piece.name,
        "seconds": seconds,
        "out": str(out.absolute()),
        "work": str(work.absolute()),
        "answer": str(answer.absolute()),
        "device": device,
        "small": small,
        "before": before.get("result"),
    }
    write(given, task)
    started, date = time.monotonic(), now()
    worker.ask(task)
    found: Entry = {}
    while True:
        alive = worker.alive  # looked at before the answer: it may end right after giving one
        found = _read(answer) or found
        took = time.monotonic() - started
        if found.get("status") in (DONE, "failed") or not alive or took > seconds:
            break
        time.sleep(LOOK_EVERY)
    if found.get("status") not in (DONE, "failed"):
        if worker.alive:
            status, why = "timed out", f"ended after {took:.0f} s, its limit"
        else:
            status, why = "crashed", f"the process ended with status {worker.end()}"
        found = {**found, "status": status, "error": why}
    entry: Entry = {"date": date, "seconds": round(took, 1), "limit_seconds": seconds, **found}
    entry.setdefault("result", before.get("result"))
    if small:
        entry["small"] = True
    if entry["status"] != DONE:
        entry["log"] = worker.output()
    return entry, entry["status"] == DONE


def _read(path: Path) -> Entry:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _line(piece: Piece, entry: Entry) -> str:
    line = f"{piece.part}: {piece.name}: {entry['status']}, {entry['seconds']} s"
    for text in (entry.get("line"), entry.get("error")):
        if isinstance(text, str) and text.strip():
            line += f"; {text.strip().splitlines()[-1][:300]}"
    return line


def listing(pieces: Sequence[Piece], folders: Sequence[Path]) -> list[str]:
    """What would be done, in what limits, and how long each piece took last time."""
    lines = []
    for part in dict.fromkeys(piece.part for piece in pieces):
        lines.append(f"{part}: {PARTS[part]}")
        known: dict[str, Entry] = {}
        for folder in folders:
            known = {**known, **read(part, folder)}
        for piece in pieces:
            if piece.part != part:
                continue
            last = known.get(piece.name)
            took = "not run yet"
            if last is not None:
                took = f"last {last['status']} in {last['seconds']} s, {last['date']}"
                if last.get("small"):
                    took += " (small)"
            lines.append(f"  {piece.name:26} {piece.about:42} at most {piece.limit:4.0f} s; {took}")
    return lines
