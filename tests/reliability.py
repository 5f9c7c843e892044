"""What was tried, how often, and what was lost: the table of `pytest -m "load or faults or abuse"`.

Short by default, as CI runs it; whole with `BWCACHE_RELIABILITY=full`. With
`BWCACHE_RELIABILITY_OUT=FILE` the table is written to a results file as well, with the
seconds that stopped servers took, and with what all this ran on.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterable
from pathlib import Path

FULL = os.environ.get("BWCACHE_RELIABILITY") == "full"
OUT = os.environ.get("BWCACHE_RELIABILITY_OUT")
PROPERTY, SECONDS = "tried", "seconds to end"  # what tests say of themselves
KINDS = ("faults", "abuse", "load")
TITLES = {
    "test_written_whole": "encoders that fail, disks that fill: a file whole or none",
    "test_copies_and_threads": "copies, threads, leftovers, wrong uses of the library",
    "test_files_of_others": "paths that clients name, picture bombs",
    "test_damaged_files": "damaged recorded runs, traces, rows and tokens",
    "test_special_places": "devices, FIFOs, links, standard output that takes nothing",
    "test_process": "workers' errors of every class, time limits, deletion",
    "test_signals": "ends that hang, settings that nobody can start with",
    "test_sweep_killed": "sweeps that are killed, and started twice at once",
    "test_restart": "a server started anew under a page that is open in a browser",
    "test_limits": "too many, too large, wrong passwords",
}


def small_files(finished, folder: Path) -> dict[str, Path]:
    """In the place of `save`, most of whose time goes into videos: files of a byte."""
    names = ["baseline.mp4", "cached.mp4", "difference.mp4", "share.mp4", "trace.json"]
    names += ["control.mp4"] if len(finished.runs) > 2 else []
    for name in names:
        (folder / name).write_bytes(b"x")
    return {Path(name).stem: folder / name for name in names}


def amount(short: int, full: int) -> int:
    """How often something is tried."""
    return full if FULL else short


def table(reports: Iterable) -> list[dict[str, object]]:
    """A row for each thing that was tried: what, of which kind, how often, how often lost.

    Args:
        reports: pytest's, of the tests' calls.
    """
    counted: dict[tuple[str, str], list[int]] = {}
    for report in reports:
        path = Path(report.nodeid.partition("::")[0])
        kind = next((each for each in KINDS if each in report.keywords), None)
        if kind is None:
            continue
        own = [value for name, value in report.user_properties if name == PROPERTY]
        lost = int(report.outcome == "failed")
        for what, times, how_many in own or [(TITLES.get(path.stem, path.stem), 1, 0)]:
            row = counted.setdefault((kind, what), [0, 0])
            row[0] += times
            row[1] += max(how_many, lost)
    return [
        {"kind": kind, "what": what, "tried": tried, "lost": lost}
        for (kind, what), (tried, lost) in sorted(
            counted.items(), key=lambda item: (KINDS.index(item[0][0]), item[0][1])
        )
    ]


def ends(reports: Iterable) -> dict[str, object] | None:
    """How often a server was stopped by a signal, and the seconds until it was gone."""
    seconds = [
        value for report in reports for name, value in report.user_properties if name == SECONDS
    ]
    if not seconds:
        return None
    median = statistics.median(seconds)
    return {
        "signals": len(seconds),
        "median_seconds": round(median, 2),
        "slowest_seconds": round(max(seconds), 2),
    }


def lines(rows: list[dict[str, object]]) -> list[str]:
    """The table for a terminal."""
    width = max(len(str(row["what"])) for row in rows)
    head = f"{'kind':7} {'what was tried':{width}} {'how often':>9} {'lost':>5}"
    body = [
        f"{row['kind']:7} {row['what']:{width}} {row['tried']:>9} {row['lost']:>5}" for row in rows
    ]
    return [head, *body]
