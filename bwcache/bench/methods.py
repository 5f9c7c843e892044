"""`bench methods`: every registered method over its knob, on the same prompts, steps and work.

Two sets of prompts: on the first the values of each knob are chosen, on the second they are
reported. Each run is a line of a file as soon as it is made, and none is made twice: a second call
goes on where the first one ended.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from tqdm import tqdm

from ..cache.install import cached
from ..cache.lanes import sharing
from ..cache.method import Method
from ..cache.methods.bwcache_plus import BWCachePlusConfig
from ..cache.predict import predict
from ..cache.trace import Trace
from ..errors import CacheError, ConfigError, TraceError
from ..explore.families import Family, find_families, outwards, worth_reporting
from ..files import ASSETS, finite
from ..models.call import call_arguments, warm_as, warm_up
from ..models.replicas import pipeline_lock
from ..runs.controls import Controlled, with_shift
from ..runs.events import RunFinished
from ..runs.generate import place_of, same_noise
from ..runs.metrics import PSNR_CONVENTION, difference
from ..runs.perceptual import VMAF_CONVENTION, vmaf
from ..runs.race import race
from ..runs.request import Request
from ..runs.speedup import speedup
from .frontier import IDENTICAL_DB
from .leaderboard import points_of, standings
from .workload import Workload

CHOOSE = ASSETS / "prompts" / "methods-choose.txt"
REPORT = ASSETS / "prompts" / "methods-report.txt"
CONVERGED_STEPS = 120
FAULTS = (CacheError, ConfigError, TraceError)  # what keeps a method from running here
SEED_OF_CHOICE = 7  # the reported ones have the workload's


@dataclass(frozen=True)
class Grid:
    """Steps and flow shift; None for the scheduler's own shift."""

    steps: int
    shift: float | None = None

    @classmethod
    def read(cls, text: str) -> Grid:
        """`30`, or `30@5` for a flow shift of 5.

        Raises:
            ConfigError: It is neither.
        """
        steps, _, shift = text.partition("@")
        try:
            found = cls(int(steps), float(shift) if shift else None)
        except ValueError:
            found = cls(0)
        if not 4 <= found.steps <= 200 or (found.shift is not None and not found.shift > 0):
            raise ConfigError(
                "grids", text, "steps from 4 to 200, such as 30, or 30@5 with a shift"
            )
        return found


@dataclass(frozen=True)
class Plan:
    """How much is done.

    Args:
        families: What is compared.
        grids: On which steps and shifts.
        choose, report: The prompts of the two sets; no prompt may be in both.
        values: Of each knob, at most so many are reported.
        converged: Whether each prompt's converged run is made, too.
        seen: On so many of the reported prompts VMAF is measured, which takes seconds.
        raced: On so many of them each setting is also made in turns with the uncached run.
    """

    families: Sequence[Family]
    grids: Sequence[Grid]
    choose: Sequence[str]
    report: Sequence[str]
    values: int = 4
    converged: bool = True
    seen: int = 2
    raced: int = 1

    def __post_init__(self) -> None:
        both = set(self.choose) & set(self.report)
        if both:
            raise ConfigError("prompts", sorted(both)[0], "prompts that chose nothing")


def plan_of(
    names: Sequence[str] | None = None,
    threshold: float | None = None,
    grids: Sequence[Grid] = (),
    prompts: int | None = None,
    quick: bool = False,
    converged: bool = True,
    model: str = "",
) -> Plan:
    """The usual plan, or with `quick` one of about five minutes on TinyWorld.

    Args:
        names: Of families or methods; all where None.
        threshold: BWCache's on this model; the paper's where None.
        grids: Steps and shifts; the model's own where empty.
        prompts: So many of the reported ones; all where None.
        quick: One prompt to choose on, two to report, no race and no converged run.
        converged: Whether each prompt's converged run is made, which takes as long as four others.
        model: Whose calibrations the calibrated ones take.
    """
    choose, report = _lines(CHOOSE), _lines(REPORT)
    if prompts is not None and not 1 <= prompts <= len(report):
        raise ConfigError("prompts", prompts, f"a whole number from 1 to {len(report)}")
    chosen = find_families(names, threshold, model)
    if quick:
        few = report[12 : 12 + (prompts or 2)]
        return Plan(chosen, grids, choose[-1:], few, 2, False, 0, 0)
    # one half of the file shows one shape, the other two: take some of both
    mixed = [p for pair in zip(report[:12], report[12:], strict=True) for p in pair]
    return Plan(chosen, grids, choose[1::2], mixed[:prompts], converged=converged)


def _lines(path: Path) -> list[str]:
    return list(filter(None, path.read_text(encoding="utf-8").splitlines()))


def methods(workload: Workload, plan: Plan, log: Path | None = None) -> dict[str, object]:
    """Make the runs that are not in the log, and say what they show.

    Args:
        workload: The model, device, seed and size.
        plan: What to compare.
        log: A file of lines, which is read and added to; reference videos lie in a folder beside
            it. None keeps nothing.

    Returns:
        `points`, one for each family, grid and value, see `leaderboard.point`; `standings`, who is
        how close at equal work; `left_out`, what could not run here, and why; the prompts of both
        sets; the conventions.
    """
    bench = _Bench(workload, plan, log)
    bench.make()
    points = points_of(bench.rows())
    return {
        **workload.header(),
        **date_and_commit(),
        "prompts_to_choose": list(plan.choose),
        "prompts_reported": list(plan.report),
        "points": points,
        "standings": standings(bench.rows()),
        "left_out": bench.left_out,
        "psnr_convention": f"{PSNR_CONVENTION}; {IDENTICAL_DB:g} dB where identical",
        "vmaf_convention": f"{VMAF_CONVENTION}; on {plan.seen} of the prompts",
        "speedup_convention": "median over prompts, from median steps; speedup_in_turns: made in "
        f"turns with the uncached run, on {plan.raced} of the prompts",
        "converged_convention": f"{CONVERGED_STEPS} uncached steps of the same noise",
    }


def date_and_commit() -> dict[str, str]:
    """When a result is made (UTC), and by which code."""
    return {"date": datetime.now(UTC).date().isoformat(), "commit": _commit()}


def _commit() -> str:
    """The checkout's commit; "" where this is an installed package."""
    command = ["git", "-C", str(ASSETS.parent), "rev-parse", "--short=12", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


@dataclass(frozen=True)
class _Made:
    """A run that was made: its video, its trace, and what its method kept at most, in bytes."""

    frames: np.ndarray
    trace: Trace
    kept_bytes: int = 0


class _Bench:
    """Makes the runs, grid after grid and prompt after prompt."""

    def __init__(self, workload: Workload, plan: Plan, log: Path | None):
        self._workload, self._plan, self._log = workload, plan, log
        self._rows: dict[str, dict[str, Any]] = {}
        self._references: dict[str, _Made] = {}
        self.left_out: dict[str, str] = {}
        if log is not None and log.exists():
            for line in log.read_text(encoding="utf-8").splitlines():
                row = json.loads(line)
                self._rows[row["key"]] = row
        self._bar = tqdm(desc="methods", unit="run", file=sys.stderr)

    def rows(self) -> list[dict[str, Any]]:
        """The reported rows of this plan."""
        names = {family.name for family in self._plan.families} | {"uncached"}
        grids = {(grid.steps, grid.shift) for grid in self._plan.grids}
        return [
            row
            for row in self._rows.values()
            if row["set"] == "report"
            and row["family"] in names
            and (row["steps"], row["shift"]) in grids
            and row["prompt"] in self._plan.report
            and (row["model"], row["seed"]) == (self._workload.model, self._workload.seed)
        ]

    def make(self) -> None:
        pipe = self._workload.pipe()
        warm_up(pipe, self._workload.spec)
        for grid in self._plan.grids:
            own = sharing(pipe)
            warm_as(own, pipe)
            if grid.shift is not None:
                own.scheduler = with_shift(own.scheduler, grid.shift)
            chosen = {
                family.name: self._chosen(own, grid, family) for family in self._plan.families
            }
            for place, prompt in enumerate(self._plan.report):
                self._references.clear()
                if self._plan.converged:
                    self._uncached(own, grid, prompt)
                for family in self._plan.families:
                    for value in chosen[family.name]:
                        self._report(own, grid, family, value, prompt, place)
        self._bar.close()

    # -- which values ----------------------------------------------------------------------------

    def _chosen(self, pipe, grid: Grid, family: Family) -> list[Any]:
        """The values of a family's knob that are reported on a grid."""
        values = family.values(grid.steps)
        if family.method is None:
            return values

        def share_of(value: Any) -> float:
            config = family.config(value)
            given = (pipe, grid, family, value, config)
            return fmean(self._share(*given, prompt) for prompt in self._plan.choose)

        try:
            if values or family.knob is None:
                shares = {value: share_of(value) for value in values or [None]}
            else:
                shares = outwards(family.knob, share_of)
        except FAULTS as error:
            self.left_out[family.name] = str(error)
            return []
        found = worth_reporting(shares, self._plan.values)
        if not found:
            told = ", ".join(f"{share:.2f}" for share in shares.values())
            self.left_out[family.name] = f"no value of its knob computes a share to compare: {told}"
        return found

    def _share(
        self, pipe, grid: Grid, family: Family, value: Any, config: Method, prompt: str
    ) -> float:
        """The share of the work that a setting computes on a prompt, without a run if possible."""
        key = self._key("choose", grid, family, value, prompt)
        if key not in self._rows:
            if config.forecast == "exact":
                share = predict(self._reference(pipe, grid, prompt).trace, config).compute_share
            else:
                share = self._run(pipe, grid, config, prompt).trace.compute_share or 0.0
            self._keep(key, "choose", grid, family, value, prompt, {"compute_share": share})
        return self._rows[key]["compute_share"]

    # -- the reported runs -------------------------------------------------------------------------

    def _report(
        self, pipe, grid: Grid, family: Family, value: Any, prompt: str, place: int
    ) -> None:
        key = self._key("report", grid, family, value, prompt)
        if key in self._rows:
            return
        reference = self._reference(pipe, grid, prompt)
        if family.control is not None:
            made = self._control(pipe, grid, family, value, prompt)
            share, gain = made.trace.num_steps / grid.steps, None
        else:
            try:
                made = self._run(pipe, grid, family.config(value), prompt)
            except FAULTS as error:
                self.left_out[family.name] = str(error)
                return
            share = made.trace.compute_share or 0.0
            gain = speedup(reference.trace, made.trace, remembered=True).robust
        found = difference(made.frames, reference.frames)
        numbers = {
            "compute_share": share,
            "letters": made.trace.letters,
            "speedup": gain or 1 / share,
            "psnr_db": _decibels(found.psnr_db),
            "ssim": found.ssim,
            "kept_bytes": made.kept_bytes,
            "seconds": made.trace.seconds,
        }
        if place < self._plan.seen:
            numbers["vmaf"] = vmaf(made.frames, reference.frames).value
        if self._plan.converged:
            other = self._reference(pipe, Grid(CONVERGED_STEPS, grid.shift), prompt)
            numbers["converged_psnr_db"] = _decibels(difference(made.frames, other.frames).psnr_db)
        if place < self._plan.raced and family.control is None:
            numbers["speedup_in_turns"] = self._raced(pipe, grid, family.config(value), prompt)
        self._keep(key, "report", grid, family, value, prompt, numbers)

    def _uncached(self, pipe, grid: Grid, prompt: str) -> None:
        """How far the uncached run itself is from the converged one."""
        family = Family("uncached", "uncached")
        key = self._key("report", grid, family, None, prompt)
        if key in self._rows:
            return
        own = self._reference(pipe, grid, prompt)
        other = self._reference(pipe, Grid(CONVERGED_STEPS, grid.shift), prompt)
        found = difference(own.frames, other.frames)
        numbers = {"compute_share": 1.0, "speedup": 1.0, "psnr_db": IDENTICAL_DB, "ssim": 1.0}
        numbers |= {"converged_psnr_db": _decibels(found.psnr_db), "kept_bytes": 0}
        self._keep(key, "report", grid, family, None, prompt, numbers)

    def _raced(self, pipe, grid: Grid, config: Method, prompt: str) -> float:
        workload = self._workload
        request = Request(prompt, workload.model, grid.steps, workload.seed, config)
        with closing(race(pipe, workload.spec, request)) as events:
            ended = [event for event in events if isinstance(event, RunFinished)]
        uncached, with_cache = sorted(ended, key=lambda run: run.run)
        return speedup(uncached.trace, with_cache.trace).figure

    def _control(self, pipe, grid: Grid, family: Family, count: int, prompt: str) -> _Made:
        assert family.control is not None
        controlled = Controlled(sharing(pipe), family.control)
        warm_as(controlled.pipe, pipe)
        like = predict(
            self._reference(pipe, grid, prompt).trace,
            BWCachePlusConfig(work_share=count / grid.steps),
        )
        computed = [i for i, action in enumerate(like.schedule) if action == "compute"]
        steps = count
        if controlled.kind == "same-levels":
            steps = grid.steps
            controlled.keep(computed)
        with controlled.inside():
            return self._call(controlled.pipe, steps, self._workload.measuring(), prompt)

    # -- runs --------------------------------------------------------------------------------------

    def _reference(self, pipe, grid: Grid, prompt: str) -> _Made:
        """A prompt's uncached run, of this grid; from the folder if it lies there."""
        seed = self._seed(prompt)
        facts = [self._workload.model, prompt, seed, grid.steps, grid.shift, self._shape()]
        name = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:24]
        if name in self._references:
            return self._references[name]
        path = None if self._log is None else self._log.with_suffix(".runs") / f"{name}.npz"
        if path is not None and path.is_file():
            with np.load(path) as kept:
                trace = Trace.from_dict(json.loads(str(kept["trace"])))
                made = _Made(kept["frames"], trace)
        else:
            made = self._call(pipe, grid.steps, self._workload.measuring(), prompt)
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                trace = json.dumps(finite(made.trace.as_dict()))
                np.savez(path, frames=made.frames, trace=trace)
        self._references[name] = made
        return made

    def _run(self, pipe, grid: Grid, config: Method, prompt: str) -> _Made:
        return self._call(pipe, grid.steps, config, prompt)

    def _call(self, pipe, steps: int, config: Method, prompt: str) -> _Made:
        kept: list[int] = [0]

        def weigh(record, latents) -> None:
            tensors = [
                x
                for branch in run.branches
                for x in (*branch.replay_tensors, *branch.sample_tensors)
            ]
            kept.append(sum(x.nbytes for x in tensors))

        seed = self._seed(prompt)
        arguments = call_arguments(self._workload.spec, prompt, seed, steps)
        with (
            pipeline_lock(pipe),
            cached(pipe, config, on_step=weigh) as run,
            same_noise(place_of(pipe), seed),
        ):
            frames = pipe(**arguments).frames[0]
        self._bar.update()
        return _Made(np.asarray(frames), run.trace, max(kept))

    # -- rows --------------------------------------------------------------------------------------

    def _seed(self, prompt: str) -> int:
        return SEED_OF_CHOICE if prompt in self._plan.choose else self._workload.seed

    def _shape(self) -> list[int]:
        shape = self._workload.spec.shape
        return [shape.height, shape.width, shape.num_frames]

    def _key(self, which: str, grid: Grid, family: Family, value: Any, prompt: str) -> str:
        facts = [which, self._workload.model, *self._shape(), grid.steps, grid.shift, family.name]
        return json.dumps([*facts, value, prompt, self._seed(prompt)])

    def _keep(
        self,
        key: str,
        which: str,
        grid: Grid,
        family: Family,
        value: Any,
        prompt: str,
        numbers: Mapping[str, Any],
    ) -> None:
        config = {} if family.method is None else family.config(value).as_dict()
        row = {
            "key": key,
            "set": which,
            "model": self._workload.model,
            "steps": grid.steps,
            "shift": grid.shift,
            "family": family.name,
            "title": family.title,
            "ours": family.is_ours,
            "value": value,
            "config": config,
            "prompt": prompt,
            "seed": self._seed(prompt),
            **numbers,
            **date_and_commit(),
            "device": self._workload.header()["device"],
        }
        self._rows[key] = finite(row)
        self._bar.set_postfix_str(f"{family.name} {value}", refresh=False)
        if self._log is not None:
            with self._log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(finite(row)) + "\n")


def _decibels(value: float | None) -> float:
    return IDENTICAL_DB if value is None else min(value, IDENTICAL_DB)
