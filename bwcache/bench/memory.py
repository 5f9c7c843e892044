"""`bench memory`: what caching keeps in memory over an uncached run, part by part."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace

import torch
from tqdm import tqdm

from ..cache.branch import Branch
from ..cache.install import cached
from ..cache.methods.bwcache import BWCacheConfig
from ..cache.trace import StepRecord
from ..models.timings import WARM_UP_STEPS
from .live_bytes import LiveBytes, stored_bytes
from .workload import Workload

ALLOWANCE = 64 * 2**20  # bytes over the replayed tensors that caching may cost
CUDA = "cuda allocator peak"
LIVE = "live tensor bytes"


@dataclass(frozen=True)
class KeptBytes:
    """What the guidance branches keep after a step.

    Args:
        action: Of the step.
        branches: How many there are.
        stack_bytes: One tensor like the stack's output for each, which a reused step replays.
        sample_bytes: The features that the indicator compares with next, and room for the next.
    """

    action: str
    branches: int
    stack_bytes: int
    sample_bytes: int

    @classmethod
    def after(cls, record: StepRecord, branches: list[Branch]) -> KeptBytes:
        return cls(
            record.action,
            len(branches),
            stored_bytes(branch.replay_tensors for branch in branches),
            stored_bytes(branch.sample_tensors for branch in branches),
        )


def memory(workload: Workload, config: BWCacheConfig | None = None) -> dict[str, object]:
    """Peak memory of an uncached run and of cached ones, up to the last latents.

    Args:
        workload: What to run; one prompt.
        config: Of the cached runs; `Workload.caching()` where None.

    Returns:
        In bytes: `baseline_peak_bytes`, `cached_peak_bytes` and their difference `extra_bytes`;
        `forecast_extra_bytes`, the same with `reuse="forecast"`; `stack_bytes` and `sample_bytes`
        of the cached run, see `KeptBytes`, each at the step where it is most; `goal_bytes`, 64 MiB
        over `stack_bytes`, and `within_goal`. `how` says what was counted: the peak of the CUDA
        allocator, weights included, or of the bytes of the tensors that the run itself made.

    Raises:
        ConfigError: A value is out of its bounds.
        ModelError: The model cannot be loaded.
    """
    config = workload.caching() if config is None else config
    prompt = workload.prompt
    pipe = workload.pipe()
    kept: list[KeptBytes] = []
    arms = {
        "baseline": nullcontext,
        "forecast": lambda: caching_counted(pipe, replace(config, reuse="forecast"), []),
        "cached": lambda: caching_counted(pipe, config, kept),
    }
    workload.denoise(pipe, WARM_UP_STEPS)
    bar = tqdm(arms.items(), desc="memory", unit="run", file=sys.stderr)
    peaks = {name: peak_bytes(workload, pipe, arm) for name, arm in bar}
    extra = {name: peak - peaks["baseline"] for name, peak in peaks.items()}
    stack_bytes = max(step.stack_bytes for step in kept)
    return {
        **workload.header(),
        "prompt": prompt,
        "config": config.as_dict(),
        "how": CUDA if workload.place == "cuda" else LIVE,
        "baseline_peak_bytes": peaks["baseline"],
        "cached_peak_bytes": peaks["cached"],
        "extra_bytes": extra["cached"],
        "stack_bytes": stack_bytes,
        "sample_bytes": max(step.sample_bytes for step in kept),
        "forecast_extra_bytes": extra["forecast"],
        "goal_bytes": stack_bytes + ALLOWANCE,
        "within_goal": extra["cached"] <= stack_bytes + ALLOWANCE,
        "branches": max(step.branches for step in kept),
        "steps_reused": [step.action for step in kept].count("reuse"),
    }


@contextmanager
def caching_counted(pipe, config: BWCacheConfig, kept: list[KeptBytes]) -> Iterator[None]:
    """Caching that notes after each step what it keeps."""

    def look(record: StepRecord, latents: torch.Tensor | None) -> None:
        kept.append(KeptBytes.after(record, run.branches))

    with cached(pipe, config, on_step=look) as run:
        yield


def peak_bytes(workload: Workload, pipe, arm: Callable[[], AbstractContextManager]) -> int:
    """The most memory that was in use at once during a run."""
    gc.collect()  # what an earlier run left behind is not this one's
    if workload.place == "cuda":
        torch.cuda.reset_peak_memory_stats()
        with arm():
            workload.denoise(pipe)
        return torch.cuda.max_memory_allocated()
    with arm(), LiveBytes() as live:
        workload.denoise(pipe)
    return live.peak
