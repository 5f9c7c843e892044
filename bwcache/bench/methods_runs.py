"""Makes the runs of `bench methods` on one pipeline, and says what each shows."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections import OrderedDict
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from filelock import FileLock

from ..cache.install import cached
from ..cache.lanes import sharing
from ..cache.method import Method
from ..cache.methods.bwcache_plus import BWCachePlusConfig
from ..cache.predict import predict
from ..cache.trace import Trace
from ..explore.families import Family, outwards
from ..files import finite
from ..models.call import call_arguments, warm_as, warm_up
from ..models.replicas import pipeline_lock
from ..runs.controls import Controlled, with_shift
from ..runs.events import RunFinished
from ..runs.generate import place_of, same_noise
from ..runs.metrics import difference, psnr
from ..runs.perceptual import vmaf
from ..runs.race import race
from ..runs.request import Request
from ..runs.speedup import speedup
from .frontier import IDENTICAL_DB
from .methods_plan import Grid, Plan
from .methods_text import CONVERGED_STEPS
from .workload import Workload

SEED_OF_CHOICE = 7  # the reported ones have the workload's
MOST_REFERENCES = 8  # uncached runs that are kept in memory
Numbers = dict[str, Any]


@dataclass(frozen=True)
class Made:
    """A run that was made: its video, its trace, and what its method kept at most, in bytes."""

    frames: np.ndarray
    trace: Trace
    kept_bytes: int = 0


class Runs:
    """Makes runs, and keeps the uncached ones that others are compared with.

    Args:
        workload: The model, device, seed and size.
        plan: What is compared.
        folder: For uncached runs, which several processes may share; None keeps the last few.
        timed: Whether speed is told: not where other runs are made at the same time.
        tell: Called after each run.
    """

    def __init__(
        self,
        workload: Workload,
        plan: Plan,
        folder: Path | None = None,
        timed: bool = True,
        tell: Callable[[], object] = lambda: None,
    ):
        self._workload, self._plan, self._folder = workload, plan, folder
        self._timed, self._tell = timed, tell
        self._references: OrderedDict[str, Made] = OrderedDict()
        self._pipe: Any = None
        self._of_grid: dict[Grid, Any] = {}

    # -- what is asked for -----------------------------------------------------------------------

    def shares(
        self, grid: Grid, family: Family, share_of: Callable[[Any, Method, str], float]
    ) -> dict[Any, float]:
        """The mean share of the work that values of a family's knob compute on a grid.

        Args:
            grid, family: Which.
            share_of: Gives it for a value, its config and a prompt; `share`, or what is known.

        Raises:
            CacheError, ConfigError, TraceError: The method cannot run here.
        """

        def mean(value: Any) -> float:
            config = self._config(family, value)
            return fmean(share_of(value, config, prompt) for prompt in self._plan.choose)

        values = family.values(grid.steps)
        if values or family.knob is None:
            return {value: mean(value) for value in values or [None]}
        return outwards(family.knob, mean)

    def share(self, grid: Grid, config: Method, prompt: str) -> float:
        """The share of the work that a setting computes on a prompt, without a run if possible."""
        if config.forecast == "exact":
            return predict(self.reference(grid, prompt).trace, config).compute_share
        made = self._call(self._pipe_of(grid), grid.steps, config, prompt)
        return made.trace.compute_share or 0.0

    def uncached(self, grid: Grid, prompt: str) -> Numbers:
        """How far the uncached run itself is from the converged one."""
        own, other = self.reference(grid, prompt), self._converged(grid, prompt)
        numbers = {"compute_share": 1.0, "speedup": 1.0, "psnr_db": IDENTICAL_DB, "ssim": 1.0}
        far = _decibels(psnr(own.frames, other.frames))
        return {**numbers, "converged_psnr_db": far, "kept_bytes": 0}

    def numbers(self, grid: Grid, family: Family, value: Any, prompt: str) -> Numbers:
        """What a reported run shows.

        Raises:
            CacheError, ConfigError, TraceError: The method cannot run here.
        """
        plan, reference = self._plan, self.reference(grid, prompt)
        place = plan.report.index(prompt)
        gain: float | None
        if family.control is not None:
            made = self._control(grid, family, value, prompt)
            share = made.trace.num_steps / grid.steps
            gain = 1 / share
        else:
            made = self._call(self._pipe_of(grid), grid.steps, self._config(family, value), prompt)
            share = made.trace.compute_share or 0.0
            gain = speedup(reference.trace, made.trace, remembered=True).robust
        found = difference(made.frames, reference.frames)
        numbers = {
            "compute_share": share,
            "letters": made.trace.letters,
            "speedup": gain if self._timed else None,
            "psnr_db": _decibels(found.psnr_db),
            "ssim": found.ssim,
            "kept_bytes": made.kept_bytes,
            "seconds": made.trace.seconds if self._timed else None,
        }
        if place < plan.seen:
            numbers["vmaf"] = vmaf(made.frames, reference.frames).value
        if plan.converged:
            converged = self._converged(grid, prompt).frames
            numbers["converged_psnr_db"] = _decibels(psnr(made.frames, converged))
        if self._timed and place < plan.raced and family.control is None:
            numbers["speedup_in_turns"] = self._raced(grid, family.config(value), prompt)
        return numbers

    def reference(self, grid: Grid, prompt: str) -> Made:
        """A prompt's uncached run, of this grid; from the folder if it lies there."""
        seed, shape = self.seed_of(prompt), self._workload.spec.shape
        size = [shape.height, shape.width, shape.num_frames]
        facts = [self._workload.model, prompt, seed, grid.steps, grid.shift, size]
        name = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:24]
        if name not in self._references:
            self._references[name] = self._from_folder(name, grid, prompt)
        self._references.move_to_end(name)
        while len(self._references) > MOST_REFERENCES:
            self._references.popitem(last=False)
        return self._references[name]

    def seed_of(self, prompt: str) -> int:
        """The seed of a prompt's noise."""
        return SEED_OF_CHOICE if prompt in self._plan.choose else self._workload.seed

    def _config(self, family: Family, value: Any) -> Method:
        config = family.config(value)
        self._workload.spec.check_method(config)
        return config

    # -- runs ------------------------------------------------------------------------------------

    def _converged(self, grid: Grid, prompt: str) -> Made:
        return self.reference(Grid(CONVERGED_STEPS, grid.shift), prompt)

    def _from_folder(self, name: str, grid: Grid, prompt: str) -> Made:
        if self._folder is None:
            return self._uncached(grid, prompt)
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{name}.npz"
        with FileLock(path.with_suffix(".lock")):  # who comes second waits, and reads it
            if path.is_file():
                with np.load(path) as kept:
                    trace = Trace.from_dict(json.loads(str(kept["trace"])))
                    return Made(kept["frames"], trace)
            made = self._uncached(grid, prompt)
            trace_text = json.dumps(finite(made.trace.as_dict()))
            with tempfile.NamedTemporaryFile(dir=self._folder, delete=False) as file:
                np.savez(file, frames=made.frames, trace=trace_text)
            os.replace(file.name, path)
        return made

    def _uncached(self, grid: Grid, prompt: str) -> Made:
        return self._call(self._pipe_of(grid), grid.steps, self._workload.measuring(), prompt)

    def _control(self, grid: Grid, family: Family, count: int, prompt: str) -> Made:
        assert family.control is not None
        pipe = self._pipe_of(grid)
        controlled = Controlled(sharing(pipe), family.control)
        warm_as(controlled.pipe, pipe)
        steps = count
        if controlled.kind == "same-levels":
            like = predict(
                self.reference(grid, prompt).trace,
                BWCachePlusConfig(work_share=count / grid.steps),
            )
            steps = grid.steps
            controlled.keep([i for i, action in enumerate(like.schedule) if action == "compute"])
        with controlled.inside():
            return self._call(controlled.pipe, steps, self._workload.measuring(), prompt)

    def _raced(self, grid: Grid, config: Method, prompt: str) -> float:
        workload = self._workload
        request = Request(prompt, workload.model, grid.steps, workload.seed, config)
        with closing(race(self._pipe_of(grid), workload.spec, request)) as events:
            ended = [event for event in events if isinstance(event, RunFinished)]
        uncached, with_cache = sorted(ended, key=lambda run: run.run)
        return speedup(uncached.trace, with_cache.trace).figure

    def _call(self, pipe: Any, steps: int, config: Method, prompt: str) -> Made:
        kept: list[int] = [0]

        def weigh(record, latents) -> None:
            tensors = [
                x
                for branch in run.branches
                for x in (*branch.replay_tensors, *branch.sample_tensors)
            ]
            kept.append(sum(x.nbytes for x in tensors))

        seed = self.seed_of(prompt)
        arguments = call_arguments(self._workload.spec, prompt, seed, steps)
        with (
            pipeline_lock(pipe),
            cached(pipe, config, on_step=weigh) as run,
            same_noise(place_of(pipe), seed),
        ):
            frames = pipe(**arguments).frames[0]
        self._tell()
        return Made(np.asarray(frames), run.trace, max(kept))

    def _pipe_of(self, grid: Grid) -> Any:
        """A pipeline with the grid's flow shift; all share their modules."""
        if self._pipe is None:
            self._pipe = self._workload.pipe()
            warm_up(self._pipe, self._workload.spec)
        if grid not in self._of_grid:
            own = sharing(self._pipe)
            warm_as(own, self._pipe)
            if grid.shift is not None:
                own.scheduler = with_shift(own.scheduler, grid.shift)
            self._of_grid[grid] = own
        return self._of_grid[grid]


def _decibels(value: float | None) -> float:
    return IDENTICAL_DB if value is None else min(value, IDENTICAL_DB)
