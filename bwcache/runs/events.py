"""What a comparison reports while it runs.

Frozen records that may cross a process boundary: no tensors, pictures as bytes or NumPy arrays.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..cache.trace import StepRecord, Trace, TraceFile
from ..models.progress import Loading
from ..models.spec import Offload
from .summary import Summary

RunName = Literal["baseline", "cached", "control"]


@dataclass(frozen=True)
class RunStarted:
    """A run begins. `remembered`: it was made earlier.

    In a race the uncached and the cached run begin together, and their steps come in turns; those
    of a remembered run come when the clock passes them, else at once.
    """

    run: RunName
    num_steps: int
    remembered: bool = False


@dataclass(frozen=True)
class StepDone:
    """A step has finished. `preview`: a small WebP picture of the latents so far, or None."""

    run: RunName
    record: StepRecord
    preview: bytes | None = None


@dataclass(frozen=True)
class RunFinished:
    """A run is complete.

    Args:
        run: Which.
        trace: Its steps.
        frames: The raw decoded video, float32 RGB `[frames, height, width, 3]` in 0-1.
        total_seconds: From the call of the pipeline to its frames: text, denoising, decoding; in a
            race without the time in which the other runs had their turns.
        peak_memory_bytes: The most that was allocated on the GPU during the run, weights included.
            None in a race, where memory is that of all its runs, and on a CPU: the process keeps
            what it once took, so that its size says nothing of one run; `bench memory` counts the
            tensors there.
        remembered: Whether it was made earlier.
        offload: How the model was put on the device; runs of different modes do not compare.
        sound: The samples of its sound, floats `[channels, samples]`; None for a silent model.
        previews: The small pictures of its steps, see `StepDone`, so that it can be shown again.
    """

    run: RunName
    trace: Trace
    frames: np.ndarray
    total_seconds: float
    peak_memory_bytes: int | None
    remembered: bool = False
    offload: Offload = "none"
    sound: np.ndarray | None = None
    previews: tuple[bytes | None, ...] = ()


@dataclass(frozen=True)
class ComparisonFinished:
    """All runs are complete: what they say, the trace of both, and the runs themselves."""

    summary: Summary
    trace_file: TraceFile
    runs: tuple[RunFinished, ...]


Event = Loading | RunStarted | StepDone | RunFinished | ComparisonFinished
Events = Generator[Event, None, None]
