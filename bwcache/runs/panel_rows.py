"""Events → the rows that the live panel is fed with. Imports no component and no torch."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

from typing_extensions import TypedDict

from ..cache.letters import LETTERS
from ..cache.method import Method
from ..cache.methods.bwcache import BWCacheConfig
from ..models import ModelSpec, find
from ..models.progress import Loading
from .consume import Consumer
from .events import ComparisonFinished, RunFinished, RunName, RunStarted, StepDone
from .request import Request
from .rounding import EXACT, rounded
from .row_kinds import (
    MAX_BYTES,
    BeginRow,
    DoneRow,
    FramesRow,
    LoadingRow,
    MessageRow,
    Row,
    RulerRow,
    SettingsPart,
    SpeedRow,
    StartRow,
    StepRow,
    VideoRow,
    size,
)
from .ruler import ruler_of
from .schedule_rows import run_lengths, schedules
from .summary import Summary
from .verdict import Say, english, measure_of, sentence, warning

FRAMES_A_ROW = 40
MOST_DISTURBED = 20  # steps of a run that a row names
EXPENDABLE: tuple[Literal["p", "w"], ...] = ("p", "w")  # dropped in this order if too long


class Words(TypedDict):
    """The verdict, the warning, and how far the figure goes, in one language."""

    verdict: str
    warning: str | None
    measure: str | None


class PanelRows(Consumer[Row]):
    """What a comparison's events are on the panel, but for the first row; see `begin`.

    Args:
        files: Called with the finished comparison; writes its files and gives where each is to be
            found, by name.
        config: What the cached run is asked for.
        say: Gives the verdict's texts in a language.
    """

    def __init__(
        self,
        files: Callable[[ComparisonFinished], Mapping[str, str]],
        config: Method,
        say: Say = english,
    ):
        self._files, self._config, self._say = files, config, say

    def loading(self, event: Loading) -> Iterator[Row]:
        yield loading(event)

    def run_started(self, event: RunStarted) -> Iterator[Row]:
        yield start(event)

    def step(self, event: StepDone, elapsed: float) -> Iterator[Row]:
        yield step(event, elapsed)

    def run_finished(self, event: RunFinished) -> Iterator[Row]:
        if event.run == "baseline":
            yield from schedules(event.trace, self._config)

    def finished(self, event: ComparisonFinished) -> Iterator[Row]:
        places = self._files(event)
        for run in event.runs:
            yield video(run.run, places[run.run])
        if "share" in places:
            yield {"k": "share", "url": places["share"]}
        yield from frames(event.summary)
        yield from ruler(event.summary)
        yield speed(event.summary, self._say)
        listed = {name: place for name, place in places.items() if name != "share"}
        yield done(event.summary, listed, self._say)


def begin(run_id: str, request: Request, spec: ModelSpec) -> BeginRow:
    return {
        "k": "begin",
        "id": run_id,
        "runs": ["baseline", "cached", "control"] if request.control else ["baseline", "cached"],
        "race": not request.sequential,
        "steps": request.steps,
        "method": request.config.title_here,
        "threshold": rounded(getattr(request.config, "threshold", None)),
        "settings": settings(request),
        "fps": spec.shape.fps,
        "frames": spec.shape.num_frames,
        "aspect": rounded(spec.shape.width / spec.shape.height),
    }


def settings(request: Request) -> SettingsPart:
    config = request.config
    asked: SettingsPart = {
        "model": request.model,
        "prompt": request.prompt,
        "seed": request.seed,
        "control": request.control_kind or "none",
        "method": config.name,
    }
    if isinstance(config, BWCacheConfig):
        pays_from = find(request.model).facts().pays_from.get(config.reuse)
        asked["threshold"] = config.threshold
        asked["interval"] = str(config.reuse_interval)
        asked["interval_steps"] = config.interval_steps(request.steps)
        asked["tail_fraction"] = config.tail_fraction
        asked["gate"] = config.gate
        asked["reuse"] = config.reuse
        asked["pays_from"] = None if pays_from is None else list(pays_from)
    return asked


def loading(event: Loading) -> LoadingRow:
    row: LoadingRow = {"k": "loading", "stage": event.stage}
    if event.done is not None and event.total:
        row["done"], row["total"] = round(event.done / 1e9, 2), round(event.total / 1e9, 2)
    if event.note:
        row["note"] = event.note
    return row


def start(event: RunStarted) -> StartRow:
    return {
        "k": "start",
        "run": event.run,
        "steps": event.num_steps,
        "remembered": event.remembered,
    }


def step(event: StepDone, elapsed: float) -> StepRow:
    record = event.record
    row: StepRow = {
        "k": "step",
        "run": event.run,
        "i": record.step_index,
        "a": LETTERS[record.action],
        "v": rounded(record.indicator, 17),
        "s": rounded(elapsed),
        "w": record.reason,
    }
    if event.run == "baseline":
        row["n"], row["b"] = rounded(record.net_seconds), rounded(record.block_seconds)
    if record.distances is not None:
        row["d"] = [rounded(x, 3) for x in record.distances]
    if record.blocks:
        row["blocks"] = run_lengths(record.blocks)
    if event.preview is not None:
        row["p"] = base64.b64encode(event.preview).decode()
    for key in EXPENDABLE:
        if size(row) > MAX_BYTES and key in row:
            del row[key]
    return row


def video(run: RunName, url: str) -> VideoRow:
    return {"k": "video", "run": run, "url": url}


def frames(summary: Summary) -> list[FramesRow]:
    def some(values: Sequence[float | None], at: int) -> list[float | None]:
        return [rounded(value) for value in values[at : at + FRAMES_A_ROW]]

    return [
        {
            "k": "frames",
            "at": at,
            "psnr": some(summary.frames_psnr_db, at),
            "ssim": some(summary.frames_ssim, at),
            "gain": summary.difference_gain,
            "lpips_reason": summary.lpips_reason,
            "vmaf_reason": summary.vmaf_reason,
        }
        for at in range(0, len(summary.frames_psnr_db), FRAMES_A_ROW)
    ]


def speed(summary: Summary, say: Say = english) -> SpeedRow:
    named = {run: list(steps)[:MOST_DISTURBED] for run, steps in summary.disturbed_steps.items()}
    return {
        "k": "speed",
        "race": summary.in_turns,
        "speedup": rounded(summary.speedup, EXACT),
        "measured": rounded(summary.speedup_measured, EXACT),
        "ceiling": rounded(summary.speedup_ceiling, EXACT),
        "robust": rounded(summary.speedup_robust, EXACT),
        "spread": rounded(summary.speedup_spread, EXACT),
        "busy": summary.busy,
        "disturbed": named,
        "waited": rounded(summary.waited_seconds, EXACT),
        "baseline_total": rounded(summary.baseline_total_seconds, EXACT),
        "cached_total": rounded(summary.cached_total_seconds, EXACT),
        "measure": measure_of(summary.as_dict(), say),
    }


def ruler(summary: Summary) -> Iterator[RulerRow]:
    """The row of the model's ruler, where somebody has measured it."""
    found = ruler_of(summary.model, summary.random_weights)
    if found is None:
        return
    yield {
        "k": "ruler",
        "place": found.place(summary.psnr_db),
        "psnr": rounded(summary.psnr_db, EXACT),
        "vmaf": rounded(summary.vmaf, EXACT),
        "marks": [[mark.name, rounded(mark.psnr_db), rounded(mark.vmaf)] for mark in found.marks],
        "prompts": found.prompts,
        "steps": found.steps,
    }


def words(summary: Mapping[str, Any], say: Say) -> Words:
    """Verdict, warning, and how far the figure goes: in English the summary's own.

    Args:
        summary: The content of a `summary.json`.
        say: Gives the texts of a language.
    """
    measure = measure_of(summary, say)
    if say is english:
        own = summary["verdict"], summary["warning"]
        return {"verdict": own[0], "warning": own[1], "measure": measure}
    method = summary.get("method", BWCacheConfig.name)
    limits = find(summary["model"]).facts(method).pays_from
    return {
        "verdict": sentence(summary, say),
        "warning": warning(summary, limits, say),
        "measure": measure,
    }


def done(summary: Summary, files: Mapping[str, str], say: Say = english) -> DoneRow:
    said = words(summary.as_dict(), say)
    row: DoneRow = {
        "k": "done",
        "verdict": said["verdict"],
        "warning": said["warning"],
        "device": summary.device,
        "baseline_seconds": rounded(summary.baseline_seconds, EXACT),
        "cached_seconds": rounded(summary.cached_seconds, EXACT),
        "speedup": rounded(summary.speedup, EXACT),
        "steps_computed": summary.steps_computed,
        "steps_reused": summary.steps_reused,
        "steps_partial": summary.steps_partial,
        "psnr_db": rounded(summary.psnr_db, EXACT),
        "ssim": rounded(summary.ssim, EXACT),
        "vmaf": rounded(summary.vmaf, EXACT),
        "lpips": rounded(summary.lpips, EXACT),
        "indicator_share": rounded(summary.indicator_share, EXACT),
        "identical": summary.identical,
    }
    if summary.control is not None:
        row["control_steps"] = summary.control.steps
        row["control_seconds"] = rounded(summary.control.seconds, EXACT)
        row["control_psnr_db"] = rounded(summary.control.psnr_db, EXACT)
        row["control_kind"] = summary.control.kind
    row["files"] = dict(files)
    return row


def message(kind: Literal["waiting", "stopped", "error"], text: str) -> MessageRow:
    return {"k": kind, "text": text}
