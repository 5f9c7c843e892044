"""Part "recorded": comparisons of random-weight models, as the page's gallery keeps them.

Each is a zip file of the folder that goes into `assets/runs/`; its card says that the weights are
random. They are made smaller than the models' own size, so that a gallery can hold them.
"""

from __future__ import annotations

import time
import zipfile
from contextlib import closing
from dataclasses import replace
from types import MappingProxyType

from ... import models
from ...cache.methods.bwcache import BWCacheConfig
from ...models.loading import loading, result_of, unload_all
from ...runs.compare import compare
from ...runs.record import check_target, check_texts, record
from ...runs.recorded import RUN_FILE
from ...runs.request import Request
from ..narrow import narrowed
from .worker import Task

STEPS, SMALL_STEPS, FRAMES = 30, 4, 33
TRIGGERS = 10.0  # a threshold above any indicator of random weights
SLUGS = {"wan2.1-t2v-1.3b": "5-wan-random-weights", "cogvideox-2b": "6-cogvideox-random-weights"}


def run(task: Task) -> tuple[dict[str, object], str]:
    """Make a comparison and pack what a gallery needs of it."""
    own = models.find(task.name)
    spec = narrowed(own) if task.small else _with_frames(own)
    models.CATALOGUE = MappingProxyType({**models.CATALOGUE, spec.name: spec})
    try:
        return _recorded(task, spec)
    finally:
        models.CATALOGUE = MappingProxyType({**models.CATALOGUE, own.name: own})
        unload_all()


def _with_frames(spec: models.ModelSpec) -> models.ModelSpec:
    return replace(spec, shape=replace(spec.shape, num_frames=FRAMES))


def _recorded(task: Task, spec: models.ModelSpec) -> tuple[dict[str, object], str]:
    steps = SMALL_STEPS if task.small else STEPS
    shape = spec.shape
    config = BWCacheConfig(
        TRIGGERS, 1 if task.small else 2, warm_up_steps=1 if task.small else 0.2, **spec.indicator
    )
    prompt = spec.examples[0]
    request = Request(prompt, spec.name, steps, 0, config, random_weights=True)
    title = f"{spec.title}, random weights"
    caption = f"Real shapes and costs at {shape.width} × {shape.height}, {shape.num_frames} frames."
    check_texts(title, caption)
    folder = task.work / SLUGS[spec.name]
    check_target(folder)
    started = time.monotonic()
    result_of(loading(spec, task.device, random_weights=True))
    loaded = time.monotonic()
    with closing(compare(request, device=task.device)) as events:
        made = record(events, request, title, caption, folder)
    recorded = time.monotonic()
    target = task.out / f"{folder.name}.zip"
    files = sorted(path for path in folder.iterdir() if path.is_file())
    with zipfile.ZipFile(target, "w") as packed:  # videos are as small as they get
        for path in files:
            packed.write(path, f"{folder.name}/{path.name}")
    result = {
        "folder": folder.name,
        "file": target.name,
        "bytes": {path.name: path.stat().st_size for path in files},
        "load_seconds": round(loaded - started, 1),
        "record_seconds": round(recorded - loaded, 1),
        "run_file": RUN_FILE,
        "summary": made.summary,
    }
    return result, str(made.summary.get("verdict"))
