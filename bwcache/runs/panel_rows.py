"""Events → the small rows that the live panel is fed with. Knows no component and no torch.

A list of rows only grows during a run, so the wire carries each row once. A row stays under
`MAX_BYTES`, which keeps an update with its envelope under 1.5 KB.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping

from ..cache.methods.bwcache import REUSE_NAMES
from ..models import ModelSpec, find
from ..models.progress import Loading
from .events import Request, RunName, RunStarted, StepDone
from .verdict import sentence, warning

Row = dict[str, object]

MAX_BYTES = 1000
END: Row = {"k": "end"}  # not a list: takes the rows' place, so that they are not sent twice
FRAMES_A_ROW = 48
EXPENDABLE = ("p", "w")  # dropped in this order from a step that is too long
LETTERS = {"compute": "C", "reuse": "r"}
NUMBERS = (
    "baseline_seconds",
    "cached_seconds",
    "speedup",
    "steps_computed",
    "steps_reused",
    "psnr_db",
    "ssim",
    "lpips",
    "indicator_share",
    "identical",
    "baseline_remembered",
    "control_steps",
    "control_seconds",
    "control_psnr_db",
)


def size(row: Row) -> int:
    """Bytes of a row as JSON."""
    return len(json.dumps(row, separators=(",", ":")).encode())


def rounded(value: object, digits: int = 4) -> object:
    """A float with so many significant digits, None where it is not finite; the rest as it is."""
    if not isinstance(value, float):
        return value
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None


def begin(run_id: str, request: Request, spec: ModelSpec) -> Row:
    """The first row: which runs will follow, and what they share."""
    return {
        "k": "begin",
        "id": run_id,
        "runs": ["baseline", "cached", *(["control"] if request.control else [])],
        "steps": request.steps,
        "method": REUSE_NAMES[request.config.reuse],
        "threshold": rounded(float(request.config.threshold)),
        "settings": settings(request),
        "fps": spec.fps,
        "frames": spec.num_frames,
        "aspect": rounded(spec.width / spec.height),
    }


def settings(request: Request) -> Row:
    """What was asked for: enough to ask again, and to predict another threshold's schedule.

    `pays_from` is the model's, for this method; None where unmeasured.
    """
    config = request.config
    pays_from = find(request.model).pays_from.get(config.reuse)
    return {
        "model": request.model,
        "prompt": request.prompt,
        "seed": request.seed,
        "threshold": config.threshold,
        "interval": str(config.reuse_interval),
        "interval_steps": config.interval_steps(request.steps),
        "tail_fraction": config.tail_fraction,
        "gate": config.gate,
        "reuse": config.reuse,
        "pays_from": None if pays_from is None else list(pays_from),
    }


def loading(event: Loading) -> Row:
    """What is done to make the model ready; bytes as GB. After a "retry" all begins anew."""
    row: Row = {"k": "loading", "stage": event.stage}
    if event.done is not None and event.total:
        row |= {"done": round(event.done / 1e9, 2), "total": round(event.total / 1e9, 2)}
    return row | ({"note": event.note} if event.note else {})


def start(event: RunStarted) -> Row:
    return {
        "k": "start",
        "run": event.run,
        "steps": event.num_steps,
        "remembered": event.remembered,
    }


class Clock:
    """Sums up each run's denoising seconds: without the measurement for uncached runs."""

    def __init__(self) -> None:
        self._elapsed: dict[RunName, float] = {}

    def after(self, event: StepDone) -> float:
        record = event.record
        seconds = record.seconds if event.run == "cached" else record.net_seconds
        self._elapsed[event.run] = self._elapsed.get(event.run, 0.0) + seconds
        return self._elapsed[event.run]


def step(event: StepDone, elapsed: float) -> Row:
    """A step: `v` the indicator, `d` the distances, `s` seconds so far, `p` a WebP, `w` why.

    Of the uncached run also `n`, the step's seconds without measuring, and `b`, those in blocks:
    with them the browser foretells what another threshold would do. `v` keeps every digit.
    """
    record = event.record
    row: Row = {
        "k": "step",
        "run": event.run,
        "i": record.step_index,
        "a": LETTERS[record.action],
        "v": rounded(record.indicator, 17),
        "s": rounded(elapsed),
        "w": record.reason,
    }
    if event.run == "baseline":
        row |= {"n": rounded(record.net_seconds), "b": rounded(record.block_seconds)}
    if record.distances is not None:
        row["d"] = [rounded(x, 3) for x in record.distances]
    if event.preview is not None:
        row["p"] = base64.b64encode(event.preview).decode()
    for key in EXPENDABLE:
        if size(row) > MAX_BYTES:
            row.pop(key, None)
    return row


def video(run: str, url: str) -> Row:
    return {"k": "video", "run": run, "url": url}


def frames(summary: Mapping[str, object]) -> list[Row]:
    """PSNR (dB; None where identical) and SSIM of each frame from `at` on, a few dozen a row.

    Each row also says how much the difference video is amplified, and why there is no LPIPS.
    """
    psnr, ssim = summary["frames_psnr_db"], summary["frames_ssim"]
    common = {"gain": summary["difference_gain"], "lpips_reason": summary["lpips_reason"]}
    return [
        {
            "k": "frames",
            "at": at,
            "psnr": [rounded(value) for value in psnr[at : at + FRAMES_A_ROW]],
            "ssim": [rounded(value) for value in ssim[at : at + FRAMES_A_ROW]],
            **common,
        }
        for at in range(0, len(psnr), FRAMES_A_ROW)
    ]


def words(summary: Mapping[str, object], language: str) -> Row:
    """The verdict and the warning: the summary's own in English, else said once more."""
    if language == "en":
        return {name: summary[name] for name in ("verdict", "warning")}
    limits = find(summary["model"]).pays_from
    return {
        "verdict": sentence(summary, language),
        "warning": warning(summary, limits, language),
    }


def done(summary: Mapping[str, object], files: Mapping[str, str], language: str = "en") -> Row:
    """The verdict in a language, its numbers, and where the files are."""
    numbers = {key: rounded(summary[key]) for key in NUMBERS if key in summary}
    return {
        "k": "done",
        **words(summary, language),
        "device": summary["device"],
        **numbers,
        "files": dict(files),
    }


def message(kind: str, text: str) -> Row:
    """`kind` is "waiting", "stopped" or "error"."""
    return {"k": kind, "text": text}
