"""The process that does pieces of `bench gpu`: a task's file on each line of stdin.

    python -m bwcache.bench.gpu.worker          started by runner.py

What a piece has found so far is in its answer's file, whole, after each `report`.
"""

from __future__ import annotations

import faulthandler
import gc
import importlib
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ...files import write
from .results import DONE

MODULES = {
    "correctness": "correctness",
    "cost": "cost",
    "tinyworld": "training",
    "recorded": "recorded",
}
TRACEBACK_CHARACTERS = 8000


class Unfinished(Exception):
    """A piece that has a result, and has to be made again: what was wrong, in a line."""


@dataclass(frozen=True)
class Task:
    """A piece to do.

    Args:
        part, name: Which.
        seconds: How long it may take.
        out, work: Folders for results and for what is needed in between.
        answer: The file that tells of it.
        device: "cpu" or "cuda".
        small: Tiny shapes.
        before: What an earlier try had found.
    """

    part: str
    name: str
    seconds: float
    out: Path
    work: Path
    answer: Path
    device: str
    small: bool
    before: Mapping[str, object] | None

    @classmethod
    def read(cls, path: Path) -> Task:
        given = json.loads(path.read_text(encoding="utf-8"))
        from ...models.machine import default_device

        given["device"] = given["device"] or default_device()
        for name in ("out", "work", "answer"):
            given[name] = Path(given[name])
        return cls(**given)

    def report(self, result: Mapping[str, object], line: str = "") -> None:
        """Keep what has been found so far; `line` is shown at the end."""
        tell = {"status": "running", "machine": machine(self.device), "result": dict(result)}
        write({**tell, "line": line}, self.answer)


_machine: dict[str, dict[str, object]] = {}


def machine(device: str) -> dict[str, object]:
    """The device, its driver and what a result depends on."""
    if device not in _machine:
        import torch

        from ...models.machine import describe_device, processor, versions

        found: dict[str, object] = {"device": describe_device(device), "versions": versions()}
        if device.startswith("cuda"):
            properties = torch.cuda.get_device_properties(device)
            found |= {
                "driver": _driver(),
                "cuda": torch.version.cuda,
                "cudnn": torch.backends.cudnn.version(),
                "device_bytes": properties.total_memory,
                "processor": processor(),
            }
        _machine[device] = found
    return _machine[device]


def _driver() -> str | None:
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(query, capture_output=True, text=True, timeout=20).stdout.split()[0]
    except (OSError, IndexError, subprocess.SubprocessError):
        return None


def do(task: Task) -> bool:
    """Do a piece and write its answer; whether it ended well."""
    faulthandler.dump_traceback_later(max(task.seconds - 3, 1), exit=False)
    answer: dict[str, object] = {"status": "failed"}
    try:
        module = importlib.import_module(f".{MODULES[task.part]}", __package__)
        result, line = module.run(task)
        answer = {"status": DONE, "result": result, "line": line}
    except BaseException as error:
        text = traceback.format_exc()
        print(text, flush=True)
        so_far = json.loads(task.answer.read_text()) if task.answer.exists() else {}
        brief = str(error) if isinstance(error, Unfinished) else text[-TRACEBACK_CHARACTERS:]
        answer = {**so_far, **answer, "error": brief}
    finally:
        faulthandler.cancel_dump_traceback_later()
    try:
        answer["machine"] = machine(task.device)
    except Exception as error:  # a device that is gone cannot be asked
        answer.setdefault("machine", {"error": repr(error)})
    write(answer, task.answer)
    return answer["status"] == DONE


def main() -> int:
    """Do what stdin names until it ends, or until a piece fails."""
    faulthandler.enable()
    for line in sys.stdin:
        if not do(Task.read(Path(line.strip()))):
            return 1
        gc.collect()
        if "torch" in sys.modules:
            torch = sys.modules["torch"]
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
    return 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    os._exit(status)  # nothing of a library's own threads shall hold it
