"""Part "correctness": the tests that are marked `cuda`, run by pytest in a process of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time

from ...files import ASSETS
from .worker import Task, Unfinished

ROOT = ASSETS.parent
TESTS = ROOT / "tests" / "cuda"
PROCESSES = 6
LONGEST = 110  # seconds of one test
MESSAGE = 6000  # characters of a failure that are kept


def run(task: Task) -> tuple[dict[str, object], str]:
    """The outcome of every test; a second try makes those again that did not pass.

    Raises:
        Unfinished: Some did not pass.
    """
    if not TESTS.is_dir():
        raise Unfinished(
            "the tests are not part of an installed package: run it from a checkout of the project"
        )
    known = dict((task.before or {}).get("tests", {}))  # type: ignore[call-overload]
    task.work.mkdir(parents=True, exist_ok=True)
    told, passed = task.work / "tests.jsonl", task.work / "passed.json"
    told.write_text("", encoding="utf-8")
    done = [name for name, test in known.items() if test["outcome"] in ("passed", "skipped")]
    passed.write_text(json.dumps(done), encoding="utf-8")
    marked = "cuda and quick" if task.small else "cuda"
    command = [sys.executable, "-m", "pytest", str(TESTS), "-m", marked, "-q", "--tb=short"]
    command += ["-p", "no:cacheprovider", "--durations=15", "--continue-on-collection-errors"]
    if importlib.util.find_spec("xdist") is not None and not task.small:
        command += ["-n", str(PROCESSES), "--dist", "worksteal"]
    if importlib.util.find_spec("pytest_timeout") is not None:
        command += ["--timeout", str(LONGEST)]
    environment = {
        **os.environ,
        "BWCACHE_TEST_DEVICE": task.device,
        "BWCACHE_TEST_REPORT": str(told),
        "BWCACHE_TEST_PASSED": str(passed),
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
        "HF_HUB_OFFLINE": "1",
    }
    started = time.monotonic()
    print(*command, flush=True)
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    ended_early = False
    while process.poll() is None:
        time.sleep(0.5)
        task.report(*_result(known, told))
        if time.monotonic() - started > task.seconds - 4:
            process.kill()
            process.wait()
            ended_early = True
    result, line = _result(known, told)
    result["exit_status"] = process.returncode
    task.report(result, line)
    if ended_early:
        raise Unfinished(f"the time was over; {line}")
    if process.returncode not in (0, 5) or result["counts"].get("failed"):  # type: ignore[union-attr]
        raise Unfinished(f"pytest ended with status {process.returncode}; {line}")
    return result, line


def _result(known: dict, told) -> tuple[dict[str, object], str]:
    tests = dict(known)
    for line in told.read_text(encoding="utf-8").splitlines():
        try:
            test = json.loads(line)
        except ValueError:
            continue  # it is being written
        if len(text := test["message"]) > MESSAGE:
            test["message"] = f"{text[: MESSAGE // 2]}\n…\n{text[-MESSAGE // 2 :]}"
        tests[test.pop("name")] = test
    counts: dict[str, int] = {}
    for test in tests.values():
        counts[test["outcome"]] = counts.get(test["outcome"], 0) + 1
    words = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
    return {"counts": counts, "tests": tests}, words or "no test has ended"
