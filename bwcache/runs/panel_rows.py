"""Events → the small rows that the live panel is fed with. Imports no component and no torch.

A list of rows only grows during a run, so the wire carries each row once. A row stays under
`MAX_BYTES`, which keeps an update with its envelope under 1.5 KB. Recorded runs keep the same rows:
a row of a new kind is declared here, and nowhere else.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, NotRequired, Required  # pydantic reads these on 3.11, too

from typing_extensions import TypedDict

from ..cache.method import LETTERS, Method
from ..cache.methods.bwcache import BWCacheConfig
from ..cache.predict import predict
from ..cache.schedule_table import schedule_table
from ..cache.trace import Trace
from ..models import ModelSpec, find
from ..models.progress import Loading, Stage
from .consume import Consumer
from .controls import Control
from .events import ComparisonFinished, RunFinished, RunName, RunStarted, StepDone
from .request import Request
from .rounding import EXACT, rounded
from .ruler import Place, ruler_of
from .summary import Summary
from .verdict import Say, english, measure_of, sentence, warning

MAX_BYTES = 1200
FRAMES_A_ROW = 40
MOST_DISTURBED = 20  # steps of a run that a row names
EXPENDABLE: tuple[Literal["p", "w"], ...] = ("p", "w")  # dropped in this order if too long


class SettingsPart(TypedDict, total=False):
    """What was asked for: enough to ask again.

    `control` is the kind of the uncached run beside the two, or "none". What follows `method` is
    BWCache's alone. `pays_from` is the model's, None where unmeasured.
    """

    model: str
    prompt: str
    seed: int
    control: Literal["none", Control]
    method: str
    threshold: float
    interval: str
    interval_steps: int
    tail_fraction: float
    gate: str
    reuse: str
    pays_from: list[int] | None


class BeginRow(TypedDict, total=False):
    """The first row: which runs will follow, and what they share.

    `race`: in turns, so that the rows of several runs come among one another.
    """

    k: Required[Literal["begin"]]
    id: Required[str]
    runs: Required[list[RunName]]
    race: bool
    steps: int
    method: str
    threshold: float | None
    settings: SettingsPart
    fps: int
    frames: int
    aspect: float | None


class LoadingRow(TypedDict):
    """What is done to make the model ready; bytes as GB. After a "retry" all begins anew."""

    k: Literal["loading"]
    stage: Stage
    done: NotRequired[float]
    total: NotRequired[float]
    note: NotRequired[str]


class StartRow(TypedDict):
    """A run begins. In a race the uncached and the cached one do so together."""

    k: Literal["start"]
    run: RunName
    steps: int
    remembered: bool


class StepRow(TypedDict, total=False):
    """A step: `v` the indicator, `d` the distances, `s` seconds so far, `p` a WebP, `w` why.

    `s` is the run's own clock: waiting for its turn, text and decoding are no part of it.
    `blocks` is a letter a block, as often as the number behind it says: "C" ran, "r" was replayed.
    Of the uncached run also `n`, the step's seconds without measuring, and `b`, those in blocks.
    `v` keeps every digit.
    """

    k: Required[Literal["step"]]
    run: Required[RunName]
    i: Required[int]
    a: Required[Literal["C", "r", "p"]]
    v: float | None
    s: float | None
    w: str
    n: float | None
    b: float | None
    d: list[float | None]
    blocks: str
    p: str


class ScheduleTableRow(TypedDict):
    """Says that a table of what any threshold would do follows, in so many rows.

    `whole` is the uncached run's seconds. At or below `starts_above` this run's settings would
    reuse nothing, None where they never do; `trigger` is the step after which they do.
    """

    k: Literal["schedule_table"]
    parts: int
    whole: NotRequired[float | None]
    starts_above: NotRequired[float | None]
    trigger: NotRequired[int | None]


class ThresholdsRow(TypedDict):
    """The thresholds at which a schedule of the table changes, rising."""

    k: Literal["thresholds"]
    values: list[float]


class SchedulesRow(TypedDict):
    """Of one interval and gate, the schedules for thresholds above so many as `below` says.

    Letters come with how often each follows itself: "C3r" is "CCCr".
    """

    k: Literal["schedules"]
    interval: str
    interval_steps: NotRequired[int]
    gate: str
    below: list[int]
    letters: list[str]
    seconds: NotRequired[list[float | None]]
    exact: NotRequired[list[bool]]


class VideoRow(TypedDict):
    """A run's video is there."""

    k: Literal["video"]
    run: RunName
    url: NotRequired[str]


class ShareRow(TypedDict):
    """The video to hand on is there; apart from the other files, so that no row is too long."""

    k: Literal["share"]
    url: NotRequired[str]


class FramesRow(TypedDict):
    """PSNR (dB; None where identical) and SSIM of each frame from `at` on, a few dozen a row.

    Each row also says how much the difference video is amplified, and why there is no LPIPS or
    no VMAF, where there is none.
    """

    k: Literal["frames"]
    at: int
    psnr: list[float | None]
    ssim: list[float | None]
    gain: int
    lpips_reason: str | None
    vmaf_reason: NotRequired[str | None]


class RulerRow(TypedDict):
    """Where the cached video lies between things that everybody knows; see `runs/ruler.py`.

    `marks`: of each its name, PSNR (dB; None where identical) and VMAF, from far to near, medians
    over so many `prompts`, at so many `steps`.
    """

    k: Literal["ruler"]
    place: Place
    psnr: float | None
    vmaf: float | None
    marks: list[list[str | float | None]]  # as JSON has them: a recorded run is read strictly
    prompts: int
    steps: int


class Words(TypedDict):
    """The verdict, the warning, and how far the figure goes, in one language."""

    verdict: str
    warning: str | None
    measure: str | None


class SpeedRow(TypedDict):
    """How many times as fast, and how far that can be trusted; see `speedup.Speedup`.

    `disturbed`: by run, the first few steps that were. `waited`: seconds in all. `measure`: the
    same in a language's sentences.
    """

    k: Literal["speed"]
    race: bool
    speedup: float | None
    measured: float | None
    ceiling: float | None
    robust: float | None
    spread: float | None
    busy: bool
    disturbed: dict[str, list[int]]
    waited: float | None
    baseline_total: float | None
    cached_total: float | None
    measure: str | None


class DoneRow(TypedDict, total=False):
    """The verdict in a language, its numbers, and where the files are."""

    k: Required[Literal["done"]]
    verdict: str
    warning: str | None
    device: str
    baseline_seconds: float | None
    cached_seconds: float | None
    speedup: float | None
    steps_computed: int
    steps_reused: int
    steps_partial: int
    psnr_db: float | None
    ssim: float | None
    vmaf: float | None
    lpips: float | None
    indicator_share: float | None
    identical: bool
    control_steps: int
    control_seconds: float | None
    control_psnr_db: float | None
    control_kind: Control
    files: dict[str, str]


class MessageRow(TypedDict):
    """Says something in the place of a run."""

    k: Literal["waiting", "stopped", "error"]
    text: str


class EndRow(TypedDict):
    """Not in a list: takes the rows' place, so that they are not sent twice."""

    k: Literal["end"]


# what a recorded run may hold, and all that the panel is sent
RecordedRow = (
    BeginRow
    | StartRow
    | StepRow
    | ScheduleTableRow
    | ThresholdsRow
    | SchedulesRow
    | VideoRow
    | ShareRow
    | FramesRow
    | SpeedRow
    | RulerRow
    | DoneRow
)
Row = RecordedRow | LoadingRow | MessageRow | EndRow
END: EndRow = {"k": "end"}


def size(row: Mapping[str, object]) -> int:
    """Bytes of a row as JSON."""
    return len(json.dumps(row, separators=(",", ":")).encode())


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


def schedules(trace: Trace, config: Method) -> list[Row]:
    """What every other threshold would do, foretold from the uncached run: a table to look up.

    Nothing for a method of which an uncached run tells nothing, or that has no threshold.

    Raises:
        TraceError: The run is incomplete or reused steps itself.
    """
    if config.forecast == "none" or not hasattr(config, "threshold"):
        return []
    table = schedule_table(trace, config)
    parts: list[Row] = list(_fitting({"k": "thresholds"}, {"values": table.thresholds}))
    for row in table.rows:
        changed = config.having(**row.settings)
        interval = getattr(changed, "reuse_interval", None)
        head: dict[str, object] = {
            "k": "schedules",
            "interval": str(interval),
            "gate": getattr(changed, "gate", ""),
        }
        if isinstance(changed, BWCacheConfig):
            head["interval_steps"] = changed.interval_steps(trace.num_steps)
        columns: dict[str, Sequence[object]] = {
            "below": [schedule.changes_below for schedule in row.schedules],
            "letters": [run_lengths(schedule.letters) for schedule in row.schedules],
            "seconds": [rounded(schedule.seconds) for schedule in row.schedules],
            "exact": [schedule.exact for schedule in row.schedules],
        }
        parts.extend(_fitting(head, columns))
    own = {name: getattr(config, name) for name in table.rows[0].settings}
    first: ScheduleTableRow = {
        "k": "schedule_table",
        "parts": len(parts),
        "whole": rounded(trace.net_seconds),
        "starts_above": table.reuse_starts_above(own),
        "trigger": predict(trace, config).trigger_step,
    }
    return [first, *parts]


def run_lengths(letters: str) -> str:
    """Letters with how often each follows itself: "CCCr" is "C3r"."""
    return re.sub(r"(.)\1+", lambda found: f"{found[1]}{len(found[0])}", letters)


def _fitting(head: Mapping[str, Any], columns: Mapping[str, Sequence[Any]]) -> Iterator[Any]:
    """Rows of the same head that together hold the columns, each as much as there is room for."""
    start, count = 0, len(next(iter(columns.values())))
    while start < count:
        stop = count
        while size(row := {**head, **_slice(columns, start, stop)}) > MAX_BYTES:
            if stop == start + 1:
                break
            stop -= 1
        yield row
        start = stop


def _slice(columns: Mapping[str, Sequence[Any]], start: int, stop: int) -> dict[str, list[Any]]:
    return {name: list(values[start:stop]) for name, values in columns.items()}


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
