"""Uncached and cached under equal conditions: same prompt, seed, steps, scheduler and machine."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Generator, Iterator
from dataclasses import replace
from statistics import median

from .. import models
from ..cache.predict import reuse_starts_above
from ..cache.trace import Trace, TraceFile
from ..models import timings
from ..models.loaded_models import Ready
from ..models.loading import SHELF, loading, step_down
from ..models.machine import default_device, describe_device, versions
from ..models.memory_errors import out_of_memory
from ..models.spec import ModelSpec, Offload
from .events import ComparisonFinished, Event, Request, RunFinished, RunStarted, StepDone
from .generate import generate
from .metrics import PSNR_CONVENTION, apart, difference, difference_gain
from .verdict import sentence, warning

REMEMBERED, REMEMBERED_BYTES = 4, 2**29  # uncached runs; a long video at 480p takes 390 MB


class BaselineStore:
    """The last few uncached runs, so that another threshold reruns only the cached half."""

    def __init__(self, limit: int = REMEMBERED):
        self._runs: OrderedDict[tuple, RunFinished] = OrderedDict()
        self._limit = limit

    def get(self, request: Request) -> RunFinished | None:
        run = self._runs.get(request.baseline_key)
        if run is not None:
            self._runs.move_to_end(request.baseline_key)
        return run

    def put(self, request: Request, run: RunFinished) -> None:
        self._runs[request.baseline_key] = run
        while len(self._runs) > self._limit or (
            len(self._runs) > 1 and self.nbytes > REMEMBERED_BYTES
        ):
            self._runs.popitem(last=False)

    @property
    def nbytes(self) -> int:
        """What the remembered videos take."""
        return sum(run.frames.nbytes for run in self._runs.values())


def compare(
    request: Request,
    store: BaselineStore | None = None,
    device: str | None = None,
    offload: Offload | None = None,
) -> Iterator[Event]:
    """Make the video twice, uncached and cached, and compare.

    Args:
        request: What to make.
        store: Where uncached runs are remembered and looked up; None remembers nothing.
        device: "cpu", "cuda"…; the best there is where None.
        offload: How the model is put on the device; the fastest mode that fits where None, and
            then once more in the next lighter one if memory runs out.

    Yields:
        What loading does, the events of each run in turn, then `ComparisonFinished`. Closing the
        iterator stops.

    Raises:
        ConfigError: The model is unknown, or the prompt is not one that it understands.
        ModelError: The model cannot be loaded or does not run here.

    The uncached run is measured too. Its seconds leave the measurement out; the cached run's
    seconds include it.
    """
    device = device or default_device()
    spec = models.find(request.model)
    models.check_prompt(spec, request.prompt)
    models.check_image(spec, request.image)
    retry = offload is None
    while True:
        ready = yield from loading(spec, device, request.random_weights, offload, retry=retry)
        mode, retry = ready.offload, retry and not ready.retried
        try:
            with SHELF.in_use(ready):
                yield from _both(request, store, device, spec, ready)
            return
        except Exception as error:
            if not out_of_memory(error):
                raise
            del ready
            again = step_down(spec, device, mode, error, retry)
        retry = False
        yield again


def _both(
    request: Request, store: BaselineStore | None, device: str, spec: ModelSpec, ready: Ready
) -> Iterator[Event]:
    """The runs of a comparison, all on the same model in the same mode, and their summary."""

    def run(name, steps, config):
        of = (request.prompt, request.seed, steps, config, request.image)
        return _through(generate(ready.pipe, spec, name, *of), ready.offload)

    measure_only = request.config.measuring()
    baseline = store.get(request) if store is not None else None
    if baseline is None or baseline.offload != ready.offload:
        baseline = yield from run("baseline", request.steps, measure_only)
        if store is not None:
            store.put(request, baseline)
        remembered = False
    else:
        yield from _remember(baseline)
        remembered = True
    cached = yield from run("cached", request.steps, request.config)
    runs = [baseline, cached]
    if request.control:
        steps = cached.trace.steps_computed
        runs.append((yield from run("control", steps, measure_only)))
    summary = summarise(request, runs, device, remembered, ready.revision)
    trace_file = TraceFile(
        request.model, request.prompt, request.seed, baseline.trace, cached.trace
    )
    finished = ComparisonFinished(summary, trace_file, tuple(runs))
    learn(finished)
    yield finished


def _through(events: Iterator[Event], offload: Offload) -> Generator[Event, None, RunFinished]:
    """Pass a run's events on, and return its last."""
    last = None
    for last in events:
        if isinstance(last, RunFinished):
            last = replace(last, offload=offload)
        yield last
    return last


def _remember(run: RunFinished) -> Iterator[Event]:
    yield RunStarted(run.run, run.trace.num_steps, remembered=True)
    for record in run.trace.steps:
        yield StepDone(run.run, record)
    yield replace(run, remembered=True)


def summarise(
    request: Request,
    runs: list[RunFinished],
    device: str,
    remembered: bool,
    revision: str | None = None,
) -> dict[str, object]:
    """`summary.json` of a comparison: every number measured, seconds and bytes."""
    baseline, cached, *control = runs
    whole, part = baseline.trace.net_seconds, cached.trace.seconds
    measuring = sum(step.indicator_seconds for step in cached.trace.steps)
    in_blocks = sum(step.block_seconds for step in baseline.trace.steps)
    summary = {
        "model": request.model,
        "random_weights": request.random_weights,
        "revision": revision,
        "prompt": request.prompt,
        "seed": request.seed,
        "steps": request.steps,
        "method": "bwcache",
        "config": request.config.as_dict(),
        "speedup": whole / part,
        "baseline_seconds": whole,
        "cached_seconds": part,
        "baseline_total_seconds": baseline.total_seconds,
        "cached_total_seconds": cached.total_seconds,
        "baseline_remembered": remembered,
        "steps_computed": cached.trace.steps_computed,
        "steps_reused": cached.trace.steps_reused,
        "trigger_step": cached.trace.trigger_step,
        "indicator_share": measuring / part,
        "block_share": in_blocks / whole,
        "indicator_range": baseline.trace.indicator_range(),
        "reuse_starts_above": reuse_starts_above(baseline.trace, request.config),
        **difference(cached.frames, baseline.frames),
        "psnr_convention": PSNR_CONVENTION,
        "difference_gain": difference_gain(apart(cached.frames, baseline.frames)),
        "peak_memory_bytes": cached.peak_memory_bytes,
        "device": describe_device(device),
        "offload": cached.offload,
        "versions": versions(),
    }
    if control:
        (run,) = control
        summary |= {
            "control_steps": run.trace.num_steps,
            "control_seconds": run.trace.net_seconds,
            "control_psnr_db": difference(run.frames, baseline.frames)["psnr_db"],
        }
    limits = models.find(request.model).pays_from
    return summary | {"verdict": sentence(summary), "warning": warning(summary, limits)}


def learn(finished: ComparisonFinished) -> None:
    """Remember what a comparison took, in place of the one before on the same device.

    Works in the process that reads the events, too, where another one makes the runs.
    """
    summary, (baseline, cached, *_) = finished.summary, finished.runs
    seconds = [*_computed(baseline.trace), *_computed(cached.trace)]
    if not seconds:
        return
    around = max(0.0, cached.total_seconds - cached.trace.seconds)
    share = cached.trace.steps_computed / cached.trace.num_steps
    timing = timings.Timing(median(seconds), around, share, summary["offload"])
    timings.remember(models.find(summary["model"]), str(summary["device"]), timing)


def _computed(trace: Trace) -> list[float]:
    computed = [step for step in trace.steps if step.action == "compute"]
    return [step.seconds - step.indicator_seconds for step in computed]
