"""For tests of what stands on a comparison: a page, a service, a command.

`FakeBackend` stands in for `bwcache.runs.compare.compare`: the same events in the same order, and
the real summary of them, without a model. The indicator falls, rests and rises as a real one does;
the real method decides by it; the frames show a circle crossing the picture. Everything follows
from the request, so tests can count on it.
"""

from __future__ import annotations

import io
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from .cache.letters import Action
from .cache.method import Method
from .cache.predict import Prediction, predict
from .cache.trace import StepRecord, Trace, TraceFile
from .models import find
from .runs.baselines import BaselineStore, measuring, remembering
from .runs.compare import summarise
from .runs.events import (
    ComparisonFinished,
    Event,
    Events,
    RunFinished,
    RunName,
    RunStarted,
    StepDone,
)
from .runs.request import Request

DEVICE = "cpu: a fake"
EDGE, FRAMES, BLOCKS = 64, 33, 8
COMPUTED, REUSED, MEASURING = 0.12, 0.02, 0.004  # seconds a step pretends to take


def indicator(step: int, steps: int) -> float:
    """From 0.4 at the start down to about 0.03 halfway, and up to 0.1 at the end."""
    at = step / max(steps - 1, 1)
    return 0.03 + 0.4 * math.exp(-13 * at) + 0.06 * max(0.0, at - 0.7) / 0.3


def distances(step: int, steps: int, blocks: int = BLOCKS) -> tuple[float, ...]:
    """The indicator spread over blocks; their mean is the indicator."""
    tilt = [1 + 0.5 * math.sin(2.5 * b + step / 4) for b in range(blocks)]
    mean = sum(tilt) / blocks
    return tuple(indicator(step, steps) * t / mean for t in tilt)


def frames(shift: float = 0.0) -> np.ndarray:
    """A red circle crossing a light ground, `[33, 64, 64, 3]` in 0-1; `shift` pixels further.

    Each frame has its share of the shift, so that the first is the same whatever the shift.
    """
    rows, columns = np.mgrid[:EDGE, :EDGE]
    pictures = []
    for frame in range(FRAMES):
        x = 14 + (36 + shift) * frame / (FRAMES - 1)
        inside = np.clip(11 - np.hypot(columns - x, rows - EDGE / 2), 0, 1)[..., None]
        pictures.append(inside * [0.88, 0.16, 0.2] + (1 - inside) * [0.96, 0.95, 0.92])
    return np.stack(pictures).astype(np.float32)


def preview(step: int, steps: int) -> bytes:
    """The circle under noise that fades with the steps, as a small WebP."""
    clear = (step + 1) / steps
    noise = np.random.default_rng(step).random((EDGE // 2, EDGE // 2, 3))
    picture = clear * frames()[FRAMES // 2][::2, ::2] + (1 - clear) * noise
    buffer = io.BytesIO()
    Image.fromarray((picture * 255).astype(np.uint8)).save(buffer, "WEBP", quality=5)
    return buffer.getvalue()


def vmaf_of(psnr_db: float | None) -> float:
    """What stands in for VMAF, which takes a second."""
    return 100.0 if psnr_db is None else min(99.0, 2 * psnr_db)


def _foretold(trace: Trace, config: Method) -> Prediction:
    """What the method would do; one that tells nothing beforehand replays part of every other."""
    if config.forecast != "none":
        return predict(trace, config)
    schedule: list[Action] = ["partial" if i % 2 else "compute" for i in range(trace.num_steps)]
    return Prediction(schedule, None, 0, trace.net_seconds, False, 1.0)


class FakeBackend:
    """Callable as `bwcache.runs.compare.compare`, and much faster.

    Args:
        pause: Seconds that each step really takes.
        fail_at: A step of the cached run that raises `error`.
        error: What it raises.
        blocks: How many blocks the pretended model has.

    Attributes:
        requests: What was asked for, oldest first.
        closed: How many comparisons were stopped before their end.
    """

    def __init__(
        self,
        pause: float = 0.0,
        fail_at: int | None = None,
        error: Callable[[], Exception] = lambda: RuntimeError("the fake was told to fail"),
        blocks: int = BLOCKS,
    ):
        self.pause, self.fail_at, self.error, self.blocks = pause, fail_at, error, blocks
        self.requests: list[Request] = []
        self.closed = 0

    def __call__(
        self, request: Request, store: BaselineStore | None = None, device: str | None = None
    ) -> Events:
        self.requests.append(request)
        try:
            yield from remembering(self._compare)(request, store, device)
        except GeneratorExit:
            self.closed += 1
            raise

    def _compare(
        self, request: Request, baseline: RunFinished | None, device: str | None
    ) -> Events:
        uncached, remembered = measuring(find(request.model)), baseline is not None
        if baseline is None:
            baseline = self._made("baseline", request.steps, uncached)
        found = _foretold(baseline.trace, request.config)
        cached = self._made("cached", request.steps, request.config, found)
        runs = [replace(baseline, remembered=remembered), cached]
        if request.control:
            runs.append(self._made("control", max(cached.trace.steps_computed, 1), uncached))
        yield from self._one_by_one(runs) if request.sequential else self._in_turns(runs)
        control = runs[2] if request.control else None
        waited = sum(run.total_seconds for run in runs)
        summary = summarise(
            *(request, baseline, cached, control, DEVICE, remembered),
            waited_seconds=waited,
            as_seen=False,
        )
        summary = replace(summary, vmaf=vmaf_of(summary.psnr_db), vmaf_reason=None)
        of = (request.model, request.prompt, request.seed)
        version = find(request.model).version
        of_runs = (baseline.trace, cached.trace, version, request.control_kind)
        trace_file = TraceFile(*of, *of_runs)
        yield ComparisonFinished(summary, trace_file, tuple(runs))

    def _one_by_one(self, runs: Sequence[RunFinished]) -> Iterator[Event]:
        for run in runs:
            yield RunStarted(run.run, run.trace.num_steps, run.remembered)
            yield from self._steps(run)
            yield run

    def _in_turns(self, runs: Sequence[RunFinished]) -> Iterator[Event]:
        """The next step is that of the run whose clock shows less; a control run's come last."""
        racing, control = runs[:2], runs[2:]
        for run in racing:
            yield RunStarted(run.run, run.trace.num_steps, run.remembered)
        steps = [(run, self._steps(run)) for run in racing]
        clocks = dict.fromkeys((run.run for run in racing), 0.0)
        while steps:
            run, coming = min(steps, key=lambda pair: clocks[pair[0].run])
            if (event := next(coming, None)) is None:
                steps.remove((run, coming))
                continue
            record = event.record
            clocks[run.run] += record.seconds if run.run == "cached" else record.net_seconds
            yield event
        for run in control:
            yield RunStarted(run.run, run.trace.num_steps)
            yield from self._steps(run)
        yield from runs

    def _steps(self, run: RunFinished) -> Iterator[StepDone]:
        for record, picture in zip(run.trace.steps, run.previews, strict=True):
            if not run.remembered:
                time.sleep(self.pause)
            if run.run == "cached" and record.step_index == self.fail_at:
                raise self.error()
            yield StepDone(run.run, record, picture)

    def _made(
        self, run: RunName, steps: int, config: Method, found: Prediction | None = None
    ) -> RunFinished:
        records: list[StepRecord] = []
        for step in range(steps):
            action = "compute" if found is None else found.schedule[step]
            share = {"compute": 1.0, "partial": 1 / self.blocks, "reuse": 0.0}[action]
            computed, reused = round(share * self.blocks), action != "compute"
            measured = not reused and step > 0
            records.append(
                StepRecord(
                    step_index=step,
                    action=action,
                    reason=f"{action}, as the method would with these numbers",
                    indicator=indicator(step, steps) if measured else None,
                    distances=distances(step, steps, self.blocks) if measured else None,
                    seconds=REUSED if reused else COMPUTED + MEASURING,
                    block_seconds=0.0 if reused else COMPUTED - REUSED,
                    indicator_seconds=0.0 if reused else MEASURING,
                    blocks="C" * computed + "r" * (self.blocks - computed),
                    compute_share=share,
                )
            )
        trace = Trace(
            num_steps=steps,
            num_blocks=self.blocks,
            config=config.as_dict(),
            steps=tuple(records),
            state={"trigger_step": None if found is None else found.trigger_step},
            method=config.name,
        )
        made = frames(0.02 * (steps - trace.steps_computed))
        pictures = tuple(preview(step, steps) for step in range(steps))
        return RunFinished(run, trace, made, trace.seconds + 0.3, None, previews=pictures)
