"""Uncached and cached under equal conditions: same prompt, seed, steps, scheduler and machine; in
turns, step by step, unless one after the other is asked for.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from statistics import median

from .. import models
from ..cache.lanes import sharing
from ..cache.method import Method
from ..cache.methods.bwcache import BWCacheConfig
from ..cache.predict import reuse_starts_above
from ..cache.trace import Trace, TraceFile
from ..models import ModelSpec, processes, timings
from ..models.call import warm_as
from ..models.loaded_models import LoadedModel
from ..models.loading import using_model
from ..models.machine import default_device, describe_device, versions
from ..models.spec import Offload
from .baselines import BaselineStore, measuring, remembering
from .controls import Controlled
from .events import ComparisonFinished, Event, Events, RunFinished, RunName, RunStarted, StepDone
from .generate import generate
from .metrics import (
    PSNR_CONVENTION,
    AsSeen,
    difference,
    difference_gain,
    pixel_distance,
    sound_difference_db,
)
from .race import race, steps_of_work
from .request import Request
from .speedup import speedup
from .summary import ControlRun, Summary
from .verdict import sentence, warning

NO_PEAK_IN_TURNS = (
    "the runs were made in turns, so that memory is that of all; `--sequential` tells each run's"
)
NO_PEAK_ON_CPU = "nothing tells one run's memory from the process's on a CPU"


def compare(
    request: Request,
    store: BaselineStore | None = None,
    device: str | None = None,
    offload: Offload | None = None,
    as_seen: AsSeen = True,
) -> Events:
    """Make the video twice, uncached and cached, and compare.

    Args:
        request: What to make.
        store: Where uncached runs are remembered and looked up; None remembers nothing.
        device, offload, as_seen: As of `make_comparison`, which says what is yielded and raised.
    """
    options = {"offload": offload, "as_seen": as_seen}
    yield from remembering(make_comparison)(request, store, device, **options)


def make_comparison(
    request: Request,
    baseline: RunFinished | None = None,
    device: str | None = None,
    offload: Offload | None = None,
    as_seen: AsSeen = True,
) -> Events:
    """Make the video twice, uncached and cached, and compare; remembers nothing.

    Args:
        request: What to make.
        baseline: Its uncached run, if there is one: it is not made again where the model is put
            on the device in the same way.
        device: "cpu", "cuda"…; the best there is where None.
        offload: How the model is put on the device; the fastest mode that fits where None, and
            then once more in the next lighter one if memory runs out.
        as_seen: Whether VMAF and LPIPS are asked for, or which, see `difference`.

    Yields:
        What loading does, the events of the runs (see `race`; each run whole before the next where
        the request says so), then `ComparisonFinished`. Closing the iterator stops.

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
        lambda model: _runs(request, baseline, device, spec, model, as_seen),
        request.random_weights,
        offload,
    )


def _runs(
    request: Request,
    baseline: RunFinished | None,
    device: str,
    spec: ModelSpec,
    model: LoadedModel,
    as_seen: AsSeen,
) -> Events:
    """The runs of a comparison, all on the same model in the same mode, and their summary."""

    started = time.perf_counter()
    ghost = None
    if baseline is not None and baseline.offload == model.offload:
        ghost = baseline
    make = _one_after_the_other if request.sequential else race
    made = yield from _in_mode(make(model.pipe, spec, request, ghost), model.offload)
    waited = time.perf_counter() - started
    uncached, cached, *more = made
    summary = summarise(
        request,
        uncached,
        cached,
        more[0] if more else None,
        processes.described(describe_device(device)),
        remembered=ghost is not None,
        revision=model.revision,
        waited_seconds=waited,
        as_seen=as_seen,
    )
    trace_file = TraceFile(
        request.model,
        request.prompt,
        request.seed,
        uncached.trace,
        cached.trace,
        weights=models.find(request.model).version,
        control_kind=request.control_kind,
    )
    finished = ComparisonFinished(summary, trace_file, tuple(made))
    learn(finished)
    yield finished


def _in_mode(
    events: Generator[Event, None, list[RunFinished]], offload: Offload
) -> Generator[Event, None, list[RunFinished]]:
    """The events, with how the model was put on the device in each run that ends."""
    with closing(events):
        while True:
            try:
                event = next(events)
            except StopIteration as end:
                return [replace(run, offload=offload) for run in end.value]
            yield replace(event, offload=offload) if isinstance(event, RunFinished) else event


def _one_after_the_other(
    pipe, spec: ModelSpec, request: Request, baseline: RunFinished | None
) -> Generator[Event, None, list[RunFinished]]:
    """As `race`, each run whole before the next begins."""

    def run(name: RunName, steps: int, config: Method) -> Generator[Event, None, RunFinished]:
        events = generate(
            pipe, spec, name, request.prompt, request.seed, steps, config, request.image
        )
        for event in events:
            yield event
            if isinstance(event, RunFinished):
                finished = event
        return finished

    if baseline is not None:
        yield from _told_again(baseline)
    else:
        baseline = yield from run("baseline", request.steps, measuring(spec))
    cached = yield from run("cached", request.steps, request.config)
    kind = request.control_kind
    if kind is None:
        return [baseline, cached]
    if kind == "fewer":
        control = yield from run("control", steps_of_work(cached.trace), measuring(spec))
        return [baseline, cached, control]
    controlled = Controlled(sharing(pipe), kind)
    warm_as(controlled.pipe, pipe)
    steps, _ = controlled.steps_to_ask_for(cached.trace, steps_of_work)
    given = (request.prompt, request.seed, steps, measuring(spec), request.image)
    with controlled.inside():
        for event in generate(controlled.pipe, spec, "control", *given):
            yield event
            if isinstance(event, RunFinished):
                control = event
    return [baseline, cached, control]


def _told_again(run: RunFinished) -> Events:
    """The events of a run that was made earlier."""
    yield RunStarted(run.run, run.trace.num_steps, remembered=True)
    previews = run.previews or (None,) * len(run.trace.steps)
    for record, preview in zip(run.trace.steps, previews, strict=True):
        yield StepDone(run.run, record, preview)
    yield replace(run, remembered=True)


def summarise(
    request: Request,
    baseline: RunFinished,
    cached: RunFinished,
    control: RunFinished | None,
    device: str,
    remembered: bool,
    revision: str | None = None,
    waited_seconds: float | None = None,
    as_seen: AsSeen = True,
) -> Summary:
    """What the runs of a comparison say.

    Args:
        request: What was asked for.
        baseline, cached: The two runs.
        control: An uncached run with as many steps as the cached one computed, if there is one.
        device: The hardware, in words.
        remembered: Whether the uncached run was made earlier.
        revision: The hub's commit of the weights.
        waited_seconds: From the first run's beginning to the end of all.
        as_seen: Whether VMAF and LPIPS are asked for, or which, see `difference`.
    """
    whole, part = baseline.trace.net_seconds, cached.trace.seconds
    gain = speedup(baseline.trace, cached.trace, remembered)
    summary = Summary(
        model=request.model,
        random_weights=request.random_weights,
        revision=revision,
        prompt=request.prompt,
        seed=request.seed,
        steps=request.steps,
        method=request.config.name,
        config=request.config.as_dict(),
        speedup=gain.figure,
        speedup_measured=gain.measured,
        speedup_ceiling=gain.ceiling,
        speedup_robust=gain.robust,
        speedup_spread=gain.spread,
        busy=gain.busy,
        disturbed_steps=gain.disturbed,
        in_turns=not request.sequential,
        baseline_seconds=whole,
        cached_seconds=part,
        baseline_total_seconds=baseline.total_seconds,
        cached_total_seconds=cached.total_seconds,
        waited_seconds=waited_seconds,
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
        peak_memory_reason=_peak_memory_reason(cached.peak_memory_bytes, request.sequential),
        device=device,
        offload=cached.offload,
        versions=versions(),
        control=None if control is None else _control_run(control, baseline, request),
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


def _control_run(control: RunFinished, baseline: RunFinished, request: Request) -> ControlRun:
    psnr = difference(control.frames, baseline.frames).psnr_db
    kind = request.control_kind or "fewer"
    return ControlRun(control.trace.num_steps, control.trace.net_seconds, psnr, kind)


def _peak_memory_reason(peak: int | None, sequential: bool) -> str | None:
    if peak is not None:
        return None
    return NO_PEAK_ON_CPU if sequential else NO_PEAK_IN_TURNS


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
