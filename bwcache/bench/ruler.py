"""`bench ruler`: how far a model's presets move its videos, between things that one knows."""

from __future__ import annotations

import base64
import io
import sys
from collections.abc import Sequence
from statistics import median

import numpy as np
from PIL import Image
from tqdm import tqdm

from ..cache.method import Method
from ..explore.ruler import measure_with
from ..models.loading import result_of
from ..runs.events import RunFinished, RunName
from ..runs.generate import generate
from ..runs.metrics import PSNR_CONVENTION, difference, pixel_distance
from ..runs.perceptual import VMAF_CONVENTION
from ..runs.request import Request
from ..runs.ruler import Mark, Ruler
from .frontier import IDENTICAL_DB
from .workload import Workload

LINES = 96  # of a picture


def ruler(workload: Workload) -> dict[str, object]:
    """Measure a model's marks, and its presets between them, over some prompts.

    Args:
        workload: The model and the prompts; the first one is what the pictures show.

    Returns:
        What `bwcache.runs.ruler.measured` reads, with each prompt's numbers.

    Raises:
        ModelError: The model cannot be loaded.
    """
    pipe, spec, prompts = workload.pipe(), workload.spec, workload.many_prompts
    presets = spec.facts().presets
    rulers: list[Ruler] = []
    rows: dict[str, list[dict]] = {name: [] for name in presets}
    videos: dict[str, np.ndarray] = {}

    def run(name: RunName, prompt: str, config: Method) -> RunFinished:
        *_, made = generate(pipe, spec, name, prompt, workload.seed, spec.steps, config)
        return made

    for prompt in tqdm(prompts, desc="ruler", unit="prompt", file=sys.stderr):
        request = Request(prompt, spec.name, spec.steps, workload.seed)
        baseline = run("baseline", prompt, workload.measuring())
        first = prompt == prompts[0]
        if first:
            uncached = baseline.frames
        for name, preset in presets.items():
            cached = run("cached", prompt, preset.config)
            found = difference(cached.frames, baseline.frames, as_seen=True)
            share = cached.trace.compute_share
            numbers = {"psnr_db": found.psnr_db, "ssim": found.ssim, "vmaf": found.vmaf}
            rows[name].append({"prompt": prompt, "compute_share": share, **numbers})
            if first:
                videos[name] = cached.frames
        rulers.append(result_of(measure_with(pipe, spec, request, baseline)))
    at = worst_frame(list(videos.values()), uncached)
    return {
        **workload.header(),
        "ruler": medians(rulers).as_dict(),
        "answers": [
            {
                "name": name,
                "config": presets[name].config.as_dict(),
                "compute_share": median([row["compute_share"] for row in rows[name]]),
                **_medians(rows[name]),
                "picture": picture(video[at]),
            }
            for name, video in videos.items()
        ],
        "prompt": prompts[0],
        "picture": picture(uncached[at]),
        "picture_frame": at,
        "marks_of_each_prompt": [
            {"prompt": prompt, "marks": [vars(mark) for mark in one.marks]}
            for prompt, one in zip(prompts, rulers, strict=True)
        ],
        "presets_of_each_prompt": rows,
        "psnr_convention": PSNR_CONVENTION,
        "vmaf_convention": VMAF_CONVENTION,
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
