"""A stand-in for `bwcache.runs.compare`: the same events in the same order, without a model.

The indicator falls, rests and rises as a real one does; the real policy decides; the frames show
a circle crossing the picture. Everything follows from the request, so tests can count on it.
"""

from __future__ import annotations

import io
import math
import time
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

from bwcache.cache.methods.bwcache import BWCacheConfig
from bwcache.cache.methods.policy import PolicyState, decide
from bwcache.cache.predict import reuse_starts_above
from bwcache.cache.trace import StepRecord, Trace, TraceFile
from bwcache.models import find
from bwcache.runs.events import (
    ComparisonFinished,
    Event,
    Request,
    RunFinished,
    RunName,
    RunStarted,
    StepDone,
)
from bwcache.runs.metrics import apart, difference_gain
from bwcache.runs.verdict import sentence, warning

EDGE, FRAMES, BLOCKS = 64, 17, 8
COMPUTED, REUSED, MEASURING = 0.12, 0.02, 0.004  # seconds a step pretends to take


class Store:
    """Remembers uncached runs, without a limit."""

    nbytes = 0

    def __init__(self) -> None:
        self.runs: dict[tuple, RunFinished] = {}

    def get(self, request: Request) -> RunFinished | None:
        return self.runs.get(request.baseline_key)

    def put(self, request: Request, run: RunFinished) -> None:
        self.runs[request.baseline_key] = run


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
    """A red circle crossing a light ground, `[17, 64, 64, 3]` in 0-1; `shift` pixels further.

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


class FakeBackend:
    """Callable as `compare`.

    Args:
        pause: Seconds that each step really takes.
        fail_at: A step of the cached run that raises `error`.
        error: What it raises.
        blocks: How many blocks the pretended model has.
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
        self.closed = 0  # comparisons that were stopped before their end

    def __call__(
        self, request: Request, store: Store | None = None, device: str | None = None
    ) -> Iterator[Event]:
        self.requests.append(request)
        try:
            yield from self._compare(request, store)
        except GeneratorExit:
            self.closed += 1
            raise

    def _compare(self, request: Request, store: Store | None) -> Iterator[Event]:
        known = store.get(request) if store is not None else None
        if known is not None:
            yield RunStarted("baseline", request.steps, remembered=True)
            for record in known.trace.steps:
                yield StepDone("baseline", record)
            baseline = RunFinished(
                "baseline", known.trace, known.frames, known.total_seconds, 10**8, remembered=True
            )
            yield baseline
        else:
            baseline = yield from self._run("baseline", request.steps, BWCacheConfig(threshold=0))
            if store is not None:
                store.put(request, baseline)
        cached = yield from self._run("cached", request.steps, request.config)
        runs = [baseline, cached]
        if request.control:
            steps = max(cached.trace.steps_computed, 1)
            runs.append((yield from self._run("control", steps, BWCacheConfig(threshold=0))))
        trace = TraceFile(request.model, request.prompt, request.seed, baseline.trace, cached.trace)
        yield ComparisonFinished(summarise(request, runs), trace, tuple(runs))

    def _run(self, run: RunName, steps: int, config: BWCacheConfig) -> Iterator[Event]:
        yield RunStarted(run, steps)
        state, seen, records = PolicyState(steps), None, []
        for step in range(steps):
            time.sleep(self.pause)
            if run == "cached" and step == self.fail_at:
                raise self.error()
            decision, state = decide(config, state, step, seen)
            reused = decision.action == "reuse"
            measured = not reused and step > 0
            seen = indicator(step, steps) if measured else None
            records.append(
                StepRecord(
                    step,
                    decision.action,
                    decision.reason,
                    seen,
                    distances(step, steps, self.blocks) if measured else None,
                    REUSED if reused else COMPUTED + MEASURING,
                    0.0 if reused else COMPUTED - REUSED,
                    0.0 if reused else MEASURING,
                )
            )
            yield StepDone(run, records[-1], preview(step, steps))
        trace = Trace(steps, self.blocks, config.as_dict(), tuple(records), state.trigger_step)
        finished = RunFinished(
            run, trace, frames(0.02 * trace.steps_reused), trace.seconds + 0.3, 10**8
        )
        yield finished
        return finished


def psnr(one: np.ndarray, other: np.ndarray) -> float | None:
    error = float(np.mean((one - other) ** 2))
    return 10 * math.log10(1 / error) if error else None


def summarise(request: Request, runs: list[RunFinished]) -> dict[str, object]:
    """The numbers that `compare` promises, from the pretended seconds."""
    baseline, cached, *control = runs
    whole, part = baseline.trace.net_seconds, cached.trace.seconds
    difference = psnr(baseline.frames, cached.frames)
    each = [psnr(*pair) for pair in zip(cached.frames, baseline.frames, strict=True)]
    summary: dict[str, object] = {
        "model": find(request.model).name,
        "revision": None,
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
        "baseline_remembered": baseline.remembered,
        "steps_computed": cached.trace.steps_computed,
        "steps_reused": cached.trace.steps_reused,
        "indicator_share": sum(s.indicator_seconds for s in cached.trace.steps) / part,
        "reuse_starts_above": reuse_starts_above(baseline.trace, request.config),
        "psnr_db": difference,
        "ssim": 1.0 if difference is None else 0.982,
        "identical": difference is None,
        "lpips": None,
        "lpips_reason": "not measured by the fake",
        "frames_psnr_db": each,
        "frames_ssim": [1.0 if one is None else 1 - 1 / one for one in each],
        "difference_gain": difference_gain(apart(cached.frames, baseline.frames)),
        "peak_memory_bytes": 10**8,
        "device": "cpu: a fake",
        "offload": "none",
        "versions": {},
    }
    for run in control:
        summary |= {
            "control_steps": run.trace.num_steps,
            "control_seconds": run.trace.net_seconds,
            "control_psnr_db": psnr(baseline.frames, run.frames),
        }
    limits = find(request.model).pays_from
    return summary | {"verdict": sentence(summary), "warning": warning(summary, limits)}
