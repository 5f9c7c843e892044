"""Measure the marks of a ruler, see `bwcache.runs.ruler`, beside an uncached run."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing

from .. import models
from ..models import ModelSpec
from ..models.loaded_models import LoadedModel
from ..models.loading import using_model
from ..models.machine import default_device
from ..models.spec import Offload
from ..runs.baselines import measuring
from ..runs.events import Event, RunFinished
from ..runs.generate import generate
from ..runs.metrics import difference
from ..runs.request import MAX_SEED, MAX_STEPS, Request
from ..runs.ruler import Mark, MarkName, Ruler


def runs_to_make(request: Request) -> dict[MarkName, tuple[int, int]]:
    """The uncached runs that the marks need: of each the seed and the steps."""
    seed = request.seed + 1 if request.seed < MAX_SEED else request.seed - 1
    return {
        "other_seed": (seed, request.steps),
        "half_steps": (request.seed, max(2, request.steps // 2)),
        "twice_steps": (request.seed, min(MAX_STEPS, 2 * request.steps)),
    }


def measure(
    request: Request,
    baseline: RunFinished,
    device: str | None = None,
    offload: Offload | None = None,
) -> Generator[Event, None, Ruler]:
    """The ruler of one run: three more uncached runs, which take as long as three and a half.

    Args:
        request: What was asked for.
        baseline: Its uncached run.
        device, offload: As of `bwcache.runs.compare.make_comparison`.

    Yields:
        What loading does, and the steps of the runs, each called "control".

    Raises:
        ModelError: The model cannot be loaded or does not run here.
    """
    spec = models.find(request.model)

    def use(model: LoadedModel) -> Generator[Event, None, Ruler]:
        return (yield from measure_with(model.pipe, spec, request, baseline))

    on = device or default_device()
    return (yield from using_model(spec, on, use, request.random_weights, offload))


def measure_with(
    pipe, spec: ModelSpec, request: Request, baseline: RunFinished
) -> Generator[Event, None, Ruler]:
    """The same with a pipeline that is ready; `spec` may differ from the catalogue's in size."""
    marks = []
    for name, (seed, steps) in runs_to_make(request).items():
        given = (request.prompt, seed, steps, measuring(spec), request.image)
        with closing(generate(pipe, spec, "control", *given)) as events:
            for event in events:
                if isinstance(event, RunFinished):
                    marks.append(_mark(name, event, baseline))
                else:
                    yield event
    marks.append(_mark("identical", baseline, baseline))
    return Ruler(request.model, request.steps, 1, tuple(marks))


def _mark(name: MarkName, run: RunFinished, baseline: RunFinished) -> Mark:
    found = difference(run.frames, baseline.frames, as_seen=True)
    return Mark(name, found.psnr_db, found.ssim, found.vmaf)
