"""Part "tinyworld": the GPU recipe's commands, each in a process of its own, one after another."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import time
import zipfile
from pathlib import Path

from ...files import ASSETS
from .worker import Task, Unfinished

ROOT = ASSETS.parent
TAIL = 4000  # characters of a command's output that are kept
TRAINING = "bwcache.tinyworld_training"  # not part of an installed package
BESIDE = 80.0  # seconds for what the recipe does beside training: starting, writing, checking


def run(task: Task) -> tuple[dict[str, object], str]:
    """Run the commands; one that ended well in an earlier call is not run again.

    Raises:
        Unfinished: One failed, or there is no training code here.
    """
    try:
        recipe = importlib.import_module(f"{TRAINING}.recipe")
    except ModuleNotFoundError as error:
        raise Unfinished(f"no training code here ({error}): run it from a checkout") from None
    folder = task.work / "tinyworld"
    folder.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + task.seconds - 5
    minutes = max(task.seconds - BESIDE, 20) / 60
    commands = recipe.gpu_commands(folder, minutes, task.small)
    before = list((task.before or {}).get("commands", ()))  # type: ignore[call-overload]
    done: list[dict[str, object]] = []
    for place, command in enumerate(commands):
        if place < len(before) and before[place]["status"] == 0 and folder_is_kept(folder):
            done.append(before[place])
            continue
        entry: dict[str, object] = {
            "command": " ".join(command).replace(str(folder), "OUT"),
            "status": None,
        }
        done.append(entry)
        task.report({"commands": done}, _line(done))
        started = time.monotonic()
        log = folder / f"command-{place}.log"
        with log.open("w", encoding="utf-8") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", TRAINING, *command],
                cwd=ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            try:
                entry["status"] = process.wait(timeout=max(deadline - started, 1))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                entry["status"] = "ended at the limit"
        entry["seconds"] = round(time.monotonic() - started, 1)
        entry["output"] = log.read_text(encoding="utf-8", errors="replace")[-TAIL:]
        task.report({"commands": done}, _line(done))
    packed = pack(folder, task.out / "tinyworld.zip")
    result: dict[str, object] = {"commands": done, "packed": packed}
    if (told := folder / "check.json").exists():
        result["check"] = json.loads(told.read_text(encoding="utf-8"))
    task.report(result, _line(done))
    # a check that says which goals are missed has done its work, and ends with status 1
    if "check" in result and done[-1]["status"] == 1:
        done[-1]["status"] = 0
    if bad := [entry["command"] for entry in done if entry["status"] != 0]:
        raise Unfinished(f"{len(bad)} of {len(done)} commands failed, the first: {bad[0]}")
    return result, _line(done)


def folder_is_kept(folder: Path) -> bool:
    """Whether what earlier commands made is still there."""
    return any(path.is_dir() for path in folder.iterdir())


def pack(folder: Path, target: Path) -> list[str]:
    """Put the models made (folders with a `model_index.json`) into one zip file; their files."""
    tops = [path.parent for path in sorted(folder.rglob("model_index.json"))]
    files = [path for top in tops for path in sorted(top.rglob("*")) if path.is_file()]
    if not files:
        return []
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in files:
            packed.write(path, path.relative_to(folder))
    return [str(path.relative_to(folder)) for path in files]


def _line(done: list[dict[str, object]]) -> str:
    return "; ".join(
        f"{str(e['command']).split()[0]} {e['status']} {e.get('seconds', '')} s" for e in done
    )
