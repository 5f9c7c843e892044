"""`bench ruler`: how far a model's presets move its videos, between things that one knows."""

from __future__ import annotations

import base64
import io
import sys
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from ..cache.method import Method
from ..errors import ConfigError
from ..explore.ruler import measure_with
from ..models import ModelSpec
from ..models.loading import result_of
from ..models.spec import Preset
from ..runs.events import RunFinished, RunName
from ..runs.generate import generate
from ..runs.metrics import PSNR_CONVENTION, difference, pixel_distance
from ..runs.perceptual import VMAF_CONVENTION
from ..runs.request import Request
from ..runs.ruler import Mark, Ruler
from .frontier import IDENTICAL_DB
from .workload import Workload

LINES = 96  # of a picture


def ruler(
    workload: Workload,
    methods: Sequence[str] = (),
    kept: Mapping[str, Any] | None = None,
) -> dict[str, object]:
    """Measure a model's marks, and its methods' presets between them, over some prompts.

    Args:
        workload: The model and the prompts; the first one is what the pictures show.
        methods: Whose presets; all that have some where there are none.
        kept: An earlier result: its marks and the other methods' answers stay.

    Returns:
        What `bwcache.runs.ruler.measured` reads, with each prompt's numbers.

    Raises:
        ConfigError: A method has no presets on this model, or the earlier result is of other runs.
        ModelError: The model cannot be loaded.
    """
    spec, prompts = workload.spec, workload.many_prompts
    presets = _presets(spec, methods)
    if kept is not None:
        _check_kept(workload, kept)
    pipe = workload.pipe()
    rulers: list[Ruler] = []
    runs = {name: _Answers(found) for name, found in presets.items()}

    def run(name: RunName, prompt: str, config: Method) -> RunFinished:
        *_, made = generate(pipe, spec, name, prompt, workload.seed, spec.steps, config)
        return made

    for prompt in tqdm(prompts, desc="ruler", unit="prompt", file=sys.stderr):
        request = Request(prompt, spec.name, spec.steps, workload.seed)
        baseline = run("baseline", prompt, workload.measuring())
        for answers in runs.values():
            for name, preset in answers.presets.items():
                answers.take(name, prompt, run("cached", prompt, preset.config), baseline)
        if kept is None:
            rulers.append(result_of(measure_with(pipe, spec, request, baseline)))
    header = workload.header()
    made = {
        name: {"device": header["device"], "versions": header["versions"], **answers.as_dict()}
        for name, answers in runs.items()
    }
    if kept is not None:
        earlier = {**kept["methods"], **made}
        return {
            **kept,
            "methods": {name: earlier[name] for name in spec.caching if name in earlier},
        }
    return {
        **header,
        "ruler": medians(rulers).as_dict(),
        "marks_of_each_prompt": [
            {"prompt": prompt, "marks": [vars(mark) for mark in one.marks]}
            for prompt, one in zip(prompts, rulers, strict=True)
        ],
        "methods": made,
        "psnr_convention": PSNR_CONVENTION,
        "vmaf_convention": VMAF_CONVENTION,
    }


def _presets(spec: ModelSpec, methods: Sequence[str]) -> dict[str, Mapping[str, Preset]]:
    """The presets to measure, by method."""
    having = {name: facts.presets for name, facts in spec.caching.items() if facts.presets}
    for name in methods:
        if name not in having:
            raise ConfigError("methods", name, ", ".join(having) or "none: there are no presets")
    return {name: found for name, found in having.items() if not methods or name in methods}


def _check_kept(workload: Workload, kept: Mapping[str, Any]) -> None:
    """Refuse an earlier result of another model, size, seed or number of steps."""
    for name, value in workload.header().items():
        if name not in ("device", "versions") and kept.get(name) != value:
            allowed = f"a result whose {name} is {value!r}, or a file that is not there yet"
            raise ConfigError("out", kept.get(name), allowed)


class _Answers:
    """What a method's presets gave, prompt by prompt.

    Args:
        presets: By name, gentlest first.
    """

    def __init__(self, presets: Mapping[str, Preset]):
        self.presets = presets
        self._rows: dict[str, list[dict]] = {name: [] for name in presets}
        self._first: dict[str, RunFinished] = {}  # of the prompt that the pictures show
        self._prompts: list[str] = []
        self._uncached: np.ndarray | None = None

    def take(self, name: str, prompt: str, cached: RunFinished, baseline: RunFinished) -> None:
        found = difference(cached.frames, baseline.frames, as_seen=True)
        numbers = {"psnr_db": found.psnr_db, "ssim": found.ssim, "vmaf": found.vmaf}
        row = {"prompt": prompt, "compute_share": cached.trace.compute_share, **numbers}
        self._rows[name].append(row)
        if prompt not in self._prompts:
            self._prompts.append(prompt)
        if prompt == self._prompts[0]:
            self._first[name], self._uncached = cached, baseline.frames

    def as_dict(self) -> dict[str, object]:
        assert self._uncached is not None
        at = worst_frame([run.frames for run in self._first.values()], self._uncached)
        (noise, *_) = [run.trace.noise for run in self._first.values()]
        return {
            "prompts": len(self._prompts),
            "prompt": self._prompts[0],
            "noise": noise,
            "answers": [
                {
                    "name": name,
                    "config": self.presets[name].config.as_dict(),
                    "compute_share": median(row["compute_share"] for row in self._rows[name]),
                    **_medians(self._rows[name]),
                    "schedule": run.trace.letters,
                    "picture": picture(run.frames[at]),
                }
                for name, run in self._first.items()
            ],
            "picture": picture(self._uncached[at]),
            "picture_frame": at,
            "presets_of_each_prompt": self._rows,
        }


def medians(rulers: Sequence[Ruler]) -> Ruler:
    """The ruler whose marks are the medians of several rulers'."""
    first = rulers[0]
    marks = tuple(
        Mark(several[0].name, **_medians([vars(one) for one in several]))
        for several in zip(*(one.marks for one in rulers), strict=True)
    )
    return Ruler(first.model, first.steps, len(rulers), marks)


def _medians(rows: Sequence[dict]) -> dict[str, float | None]:
    """A PSNR of None is that of identical videos; a VMAF of None could not be measured."""
    decibels = median(IDENTICAL_DB if row["psnr_db"] is None else row["psnr_db"] for row in rows)
    scores = [row["vmaf"] for row in rows]
    return {
        "psnr_db": None if decibels >= IDENTICAL_DB else decibels,
        "ssim": median(row["ssim"] for row in rows),
        "vmaf": None if None in scores else median(scores),
    }


def worst_frame(videos: Sequence[np.ndarray], reference: np.ndarray) -> int:
    """The frame in which videos differ most from one, so that pictures of them flatter nobody."""
    if not videos:
        return len(reference) // 2
    return int(np.argmax(sum(pixel_distance(v, reference).mean(axis=(1, 2)) for v in videos)))


def picture(frame: np.ndarray) -> str:
    """A frame `[height, width, 3]` in 0-1 as a small WebP, in base64."""
    image = Image.fromarray((frame.clip(0, 1) * 255).round().astype(np.uint8))
    size = (max(1, round(LINES * image.width / image.height)), LINES)
    buffer = io.BytesIO()
    image.resize(size, Image.Resampling.LANCZOS).save(buffer, "WEBP", quality=85, method=6)
    return base64.b64encode(buffer.getvalue()).decode()
