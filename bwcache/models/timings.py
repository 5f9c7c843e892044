"""How long a step takes here, remembered from the comparisons of this process. No torch."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from statistics import median

from ..cache.trace import Trace
from ..runs.events import ComparisonFinished
from . import find
from .spec import ModelSpec, Offload


@dataclass(frozen=True)
class Timing:
    """What the last comparison of a model took.

    Args:
        step_seconds: Of a computed step, the median; measuring is left out.
        around_seconds: Of a run beside its denoising: text and decoding.
        computed_share: Of the cached run's steps, 0 to 1.
        offload: The mode it ran in.
    """

    step_seconds: float
    around_seconds: float
    computed_share: float
    offload: Offload

    def comparison_seconds(self, steps: int) -> float:
        """An uncached and a cached run of so many steps, estimated from the last ones."""
        computed = steps * (1 + self.computed_share)
        return self.step_seconds * computed + 2 * self.around_seconds


_lock = threading.Lock()
_learnt: dict[tuple, Timing] = {}


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
    timing = Timing(median(seconds), around, share, summary["offload"])
    key = _key(find(summary["model"]), str(summary["device"]))
    with _lock:
        _learnt[key] = timing


def last(spec: ModelSpec, device: str) -> Timing | None:
    """What the last comparison of a model at its own size took; None where there was none.

    Args:
        spec: Its entry.
        device: "cpu", "cuda"…
    """
    with _lock:
        return _learnt.get(_key(spec, device))


def seconds_per_step(spec: ModelSpec, device: str) -> float | None:
    """Of a computed step, as last measured in this process; None where nothing was."""
    timing = last(spec, device)
    return None if timing is None else timing.step_seconds


def forget() -> None:
    """Let go of all that was learnt."""
    with _lock:
        _learnt.clear()


def _key(spec: ModelSpec, device: str) -> tuple:
    """A device is known by its kind: "cuda:0: NVIDIA H200" is "cuda"."""
    return spec.name, device.partition(":")[0], spec.height, spec.width, spec.num_frames


def _computed(trace: Trace) -> list[float]:
    computed = [step for step in trace.steps if step.action == "compute"]
    return [step.seconds - step.indicator_seconds for step in computed]
