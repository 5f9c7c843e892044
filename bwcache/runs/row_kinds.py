"""The kinds of small rows that the live panel is fed with: the wire's format, and a file's.

A list of rows only grows during a run, so the wire carries each row once. A row stays under
`MAX_BYTES`, which keeps an update with its envelope under 1.5 KB. Recorded runs keep the same rows:
a row of a new kind is declared here, and nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Literal, NotRequired, Required  # pydantic reads these on 3.11, too

from typing_extensions import TypedDict

from ..models.progress import Stage
from .controls import Control
from .events import RunName
from .ruler import Place

MAX_BYTES = 1200


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
