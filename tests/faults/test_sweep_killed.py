"""Sweeps under `accelerate launch`, killed with SIGKILL and started twice at once: nothing is lost
or made twice. TinyWorld on the CPU; eight jobs and one kill, or with `BWCACHE_RELIABILITY=full`
forty jobs and two.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import psutil
import pytest

from tests import reliability
from tests.environments import ROOT

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(os.name != "posix", reason="POSIX's signals"),
]
GROUPS, SETTINGS = reliability.amount(2, 8), reliability.amount(4, 5)
JOBS = GROUPS * SETTINGS
PATIENCE = 900  # seconds, for slow machines; nothing depends on it where all goes well
ONE, TWO = ("--cpu", "--num_processes", "2"), ("--multi_gpu", "--num_processes", "2")


class Launched:
    """`accelerate launch` with a sweep, in a session of its own."""

    def __init__(self, out: Path, how: tuple[str, ...]):
        sweep = ["-m", "bwcache", "sweep", "--device", "cpu", "--steps", "4", "--out", str(out)]
        sweep += ["--prompt", "a red circle moving right on a white background"]
        thresholds = ",".join(str(each) for each in (0.02, 0.05, 0.1, 0.4, 1000)[:SETTINGS])
        sweep += ["--seeds", f"0-{GROUPS - 1}", "--thresholds", thresholds, "--intervals", "1"]
        launch = ["accelerate.commands.launch", *how, "--main_process_port", "0"]
        self.log = out.with_name(f"{len(list(out.parent.iterdir()))}.log").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-m", *launch, *sweep],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            stdout=self.log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def kill_all(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def kill_a_worker(self) -> None:
        """The launcher ends the others, which finish what they are at."""
        launcher = psutil.Process(self.process.pid)
        while len(workers := launcher.children()) < 2:
            time.sleep(0.1)
        workers[-1].kill()
        assert self.process.wait(PATIENCE) != 0

    def said(self) -> str:
        self.log.seek(0)
        return self.log.read()[-3000:]


def rows(out: Path) -> list[dict]:
    if not out.exists():
        return []
    return [json.loads(line) for line in out.read_text().split("\n")[:-1]]


def wait_for_rows(out: Path, count: int, *started: Launched) -> None:
    for _ in range(PATIENCE * 10):
        if len(rows(out)) >= count:
            return
        for each in started:
            assert each.process.poll() in (None, 0), each.said()
        time.sleep(0.1)
    pytest.fail(f"{len(rows(out))} of {count} rows: {[each.said() for each in started]}")


def ended(*started: Launched) -> None:
    for each in started:
        assert each.process.wait(PATIENCE) == 0, each.said()


def test_killed_and_started_twice_at_once(tmp_path, tried):
    out, started = tmp_path / "rows.jsonl", []

    def start(how: tuple[str, ...]) -> Launched:
        started.append(Launched(out, how))
        return started[-1]

    try:
        if reliability.FULL:
            first = start(TWO)
            wait_for_rows(out, 3, first)
            first.kill_all()
        one, two = start(ONE), start(TWO)  # at once
        wait_for_rows(out, len(rows(out)) + 2, one, two)
        if reliability.FULL:
            two.kill_a_worker()
            two = start(TWO)
            ended(one, two)
        else:
            two.kill_all()
            ended(one)
    finally:
        for each in started:
            if each.process.poll() is None:
                each.kill_all()
            each.log.close()
    found = rows(out)
    tried("jobs of sweeps killed with SIGKILL and started twice at once", JOBS, JOBS - len(found))
    runs = [(row["seed"], row["config"]["threshold"]) for row in found]
    assert len(runs) == len(set(runs)) == JOBS
    uncached = defaultdict(set)
    for row in found:
        uncached[row["seed"]].add(row["baseline_seconds"])
    assert [len(seconds) for seconds in uncached.values()] == [1] * GROUPS
    files = {path.name for path in tmp_path.iterdir() if path.suffix != ".log"}
    assert files == {"rows.jsonl", "rows.jsonl.lock", "rows.html", "rows.summary.md"}
    assert f"{JOBS} of {JOBS} jobs done, {GROUPS} uncached runs" in (
        (tmp_path / "rows.summary.md").read_text()
    )
