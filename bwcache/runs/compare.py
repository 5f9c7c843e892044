"""Uncached and cached under equal conditions: same prompt, seed, steps, scheduler and machine."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from statistics import median

from .. import models
from ..cache.method import Method
from ..cache.methods.bwcache import BWCacheConfig
from ..cache.predict import reuse_starts_above
from ..cache.trace import Trace, TraceFile
from ..models import ModelSpec, timings
from ..models.loaded_models import LoadedModel
from ..models.loading import using_model
from ..models.machine import default_device, describe_device, versions
from ..models.spec import Offload
from .baselines import BaselineStore, measuring, remembering
from .events import ComparisonFinished, Event, Events, RunFinished, RunName, RunStarted, StepDone
from .generate import generate
from .metrics import (
    PSNR_CONVENTION,
    difference,
    difference_gain,
    pixel_distance,
    sound_difference_db,
)
from .request import Request
from .summary import ControlRun, Summary
from .verdict import sentence, warning


def compare(
    request: Request,
    store: BaselineStore | None = None,
    device: str | None = None,
    offload: Offload | None = None,
) -> Events:
    """Make the video twice, uncached and cached, and compare.

    Args:
        request: What to make.
        store: Where uncached runs are remembered and looked up; None remembers nothing.
        device, offload: As of `make_comparison`, which says what is yielded and raised.
    """
    yield from remembering(make_comparison)(request, store, device, offload=offload)


def make_comparison(
    request: Request,
    baseline: RunFinished | None = None,
    device: str | None = None,
    offload: Offload | None = None,
) -> Events:
    """Make the video twice, uncached and cached, and compare; remembers nothing.

    Args:
        request: What to make.
        baseline: Its uncached run, if there is one: it is not made again where the model is put
            on the device in the same way.
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
    yield from using_model(
        spec,
        device,
        lambda model: _runs(request, baseline, device, spec, model),
        request.random_weights,
        offload,
    )


def _runs(
    request: Request, baseline: RunFinished | None, device: str, spec: ModelSpec, model: LoadedModel
) -> Events:
    """The runs of a comparison, all on the same model in the same mode, and their summary."""

    def run(name: RunName, steps: int, config: Method) -> Generator[Event, None, RunFinished]:
        made = generate(
            model.pipe, spec, name, request.prompt, request.seed, steps, config, request.image
        )
        for event in made:
            if isinstance(event, RunFinished):
                finished = replace(event, offload=model.offload)
                yield finished
            else:
                yield event
        return finished

    remembered = False
    if baseline is not None and baseline.offload == model.offload:
        remembered = True
        yield from _told_again(baseline)
    else:
        baseline = yield from run("baseline", request.steps, measuring(spec))
    cached = yield from run("cached", request.steps, request.config)
    control = None
    if request.control:
        control = yield from run("control", steps_of_work(cached.trace), measuring(spec))
    summary = summarise(
        request, baseline, cached, control, describe_device(device), remembered, model.revision
    )
    trace_file = TraceFile(
        request.model, request.prompt, request.seed, baseline.trace, cached.trace
    )
    runs = (baseline, cached) if control is None else (baseline, cached, control)
    finished = ComparisonFinished(summary, trace_file, runs)
    learn(finished)
    yield finished


def _told_again(run: RunFinished) -> Events:
    """The events of a run that was made earlier."""
    yield RunStarted(run.run, run.trace.num_steps, remembered=True)
    for record in run.trace.steps:
        yield StepDone(run.run, record)
    yield replace(run, remembered=True)


def summarise(
    request: Request,
    baseline: RunFinished,
    cached: RunFinished,
    control: RunFinished | None,
    device: str,
    remembered: bool,
    revision: str | None = None,
    as_seen: bool = True,
) -> Summary:
    """What the runs of a comparison say.

    Args:
        request: What was asked for.
        baseline, cached: The two runs.
        control: An uncached run with as many steps as the cached one computed, if there is one.
        device: The hardware, in words.
        remembered: Whether the uncached run was made earlier.
        revision: The hub's commit of the weights.
        as_seen: Whether VMAF and LPIPS are asked for, see `difference`.
    """
    whole, part = baseline.trace.net_seconds, cached.trace.seconds
    summary = Summary(
        model=request.model,
        random_weights=request.random_weights,
        revision=revision,
        prompt=request.prompt,
        seed=request.seed,
        steps=request.steps,
        method=request.config.name,
        config=request.config.as_dict(),
        speedup=whole / part,
        baseline_seconds=whole,
        cached_seconds=part,
        baseline_total_seconds=baseline.total_seconds,
        cached_total_seconds=cached.total_seconds,
        baseline_remembered=remembered,
        steps_computed=cached.trace.steps_computed,
        steps_reused=cached.trace.steps_reused,
        steps_partial=cached.trace.schedule.count("partial"),
        compute_share=cached.trace.compute_share,
        trigger_step=cached.trace.trigger_step,
        indicator_share=sum(step.indicator_seconds for step in cached.trace.steps) / part,
        block_share=sum(step.block_seconds for step in baseline.trace.steps) / whole,
        indicator_range=baseline.trace.indicator_range(),
        reuse_starts_above=_reuse_starts_above(baseline.trace, request.config),
        **vars(difference(cached.frames, baseline.frames, as_seen)),
        psnr_convention=PSNR_CONVENTION,
        difference_gain=difference_gain(pixel_distance(cached.frames, baseline.frames)),
        peak_memory_bytes=cached.peak_memory_bytes,
        device=device,
        offload=cached.offload,
        versions=versions(),
        control=None if control is None else _control_run(control, baseline),
        sound_snr_db=_sound_snr_db(cached, baseline),
        concerns=tuple(cached.trace.concerns()),
    )
    numbers = summary.as_dict()
    limits = models.find(request.model).facts(request.config.name).pays_from
    return replace(summary, verdict=sentence(numbers), warning=warning(numbers, limits))


def _sound_snr_db(cached: RunFinished, baseline: RunFinished) -> float | None:
    if cached.sound is None or baseline.sound is None:
        return None
    return sound_difference_db(cached.sound, baseline.sound)


def _reuse_starts_above(trace: Trace, config: Method) -> float | None:
    return reuse_starts_above(trace, config) if isinstance(config, BWCacheConfig) else None


def _control_run(control: RunFinished, baseline: RunFinished) -> ControlRun:
    psnr = difference(control.frames, baseline.frames).psnr_db
    return ControlRun(control.trace.num_steps, control.trace.net_seconds, psnr)


def steps_of_work(trace: Trace) -> int:
    """How many whole steps a run's computed blocks amount to; at least one."""
    return max(1, round((trace.compute_share or 0.0) * trace.num_steps))


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
    timing = timings.Timing(median(seconds), around, share, summary.offload)
    timings.remember(models.find(summary.model), summary.device, timing)


def _computed(trace: Trace) -> list[float]:
    computed = [step for step in trace.steps if step.action == "compute"]
    return [step.seconds - step.indicator_seconds for step in computed]
