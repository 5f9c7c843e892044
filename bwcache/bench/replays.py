"""`bench replays`: how close BWCache's own replays and gates stay, for how much less work."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from tqdm import tqdm

from ..cache.methods.bwcache import BWCacheConfig
from ..cache.predict import predict
from ..runs.events import RunFinished, RunName
from ..runs.generate import generate
from ..runs.metrics import PSNR_CONVENTION, difference
from .frontier import IDENTICAL_DB, decibels_at, stops_paying
from .settings_to_try import FEWER_STEPS, Approach, SettingToTry, find_approaches, pairs_to_try
from .workload import Workload

PEAK_MEMORY_CONVENTION = (
    "the most that was allocated on the GPU during a run, weights included; null on a CPU, where "
    "nothing tells one run's memory from the process's: see bench memory"
)
PACE_EVERY = 4  # runs between two uncached ones


@dataclass(frozen=True)
class Sample:
    """One setting on one prompt.

    Args:
        speedup: Over the prompt's uncached run; denoising seconds.
        psnr_db: Against its frames; 99 where they are identical.
        ssim: Against its frames.
        steps_computed: Steps whose blocks ran.
        peak_memory_bytes: As in `events.RunFinished`; None on a CPU.
    """

    speedup: float
    psnr_db: float
    ssim: float
    steps_computed: int
    peak_memory_bytes: int | None


def replays(
    workload: Workload,
    names: Sequence[str] | None = None,
    thresholds: Sequence[float] | None = None,
    intervals: Sequence[int | float] | None = None,
) -> dict[str, object]:
    """Run every setting of every method on every prompt, beside the prompt's uncached run.

    Args:
        workload: What to run.
        names: Of `settings_to_try.APPROACHES`; all where None.
        thresholds, intervals: Of the caching methods; see `settings_to_try.pairs_to_try`.

    Returns:
        `points`, one for each setting; `psnr_at_2x` and `psnr_at_half`, how many dB each method
        keeps at twice the speed and at half of the steps computed (the latter needs no clock);
        `where_caching_stops_paying`, see `frontier.stops_paying`; `forecast_against_holding`, see
        `forecast_gain`; `runs` made and `runs_saved`.

    Raises:
        ConfigError: A value is out of its bounds.
        ModelError: The model cannot be loaded.

    Before a setting runs, its schedule is predicted from the uncached run. Where that is exact and
    the method has run the same schedule on the prompt, the numbers are those of that run.
    """
    chosen = find_approaches(names)
    for pair in pairs_to_try(workload.spec, None, thresholds, intervals):
        BWCacheConfig(*pair)  # a wrong value shall end it before any work
    runner = Runner(workload)
    samples: dict[tuple[str, SettingToTry], list[Sample]] = {}
    pairs = None
    with tqdm(desc="replays", unit="run", file=sys.stderr) as bar:
        for prompt in workload.many_prompts:
            baseline = runner.start(prompt)
            bar.update()
            if pairs is None:
                found = None if workload.random_weights else workload.spec.facts().indicator_range
                found = found or baseline.trace.indicator_range()
                pairs = pairs_to_try(workload.spec, found, thresholds, intervals)
                to_try = [
                    (each, one) for each in chosen for one in each.settings(workload.spec, pairs)
                ]
                bar.reset((1 + len(to_try)) * len(workload.many_prompts))
                bar.update()
            for approach, setting in to_try:
                bar.set_postfix_str(f"{approach.name}, {setting.text}", refresh=False)
                sample = runner.sample(approach, setting)
                samples.setdefault((approach.name, setting), []).append(sample)
                bar.update()
    points = [point(name, setting, same, runner.steps) for (name, setting), same in samples.items()]
    return {
        **workload.header(),
        "prompts": list(workload.many_prompts),
        "points": points,
        **conclusions(points, [each.name for each in chosen]),
        "forecast_against_holding": forecast_gain(samples),
        "runs": runner.runs,
        "runs_saved": runner.saved,
        "psnr_convention": f"{PSNR_CONVENTION}; {IDENTICAL_DB:g} dB where identical",
        "peak_memory_convention": PEAK_MEMORY_CONVENTION,
    }


class Runner:
    """Makes the runs of one prompt after the other, none of them twice but the uncached one.

    That is made anew every `PACE_EVERY` others, for its seconds: a shared machine changes pace.
    """

    def __init__(self, workload: Workload):
        self._workload, self._pipe = workload, workload.pipe()
        self._baseline: RunFinished | None = None
        self._seen: dict[tuple, Sample] = {}
        self.runs = self.saved = 0

    @property
    def steps(self) -> int:
        """Steps of the uncached run, as the scheduler counts them."""
        return self._baseline.trace.num_steps

    def start(self, prompt: str) -> RunFinished:
        """Make a prompt's uncached run, which all that follow are compared with."""
        self._prompt, self._seen = prompt, {}
        self._baseline = self._uncached()
        return self._baseline

    def _uncached(self) -> RunFinished:
        run = self._run("baseline", self._workload.measuring())
        self._whole, self._since = run.trace.net_seconds, 0
        return run

    def sample(self, approach: Approach, setting: SettingToTry) -> Sample:
        """One setting on the running prompt."""
        if setting.config is None:
            run = self._run("control", self._workload.measuring(), setting.steps)
            return self._compared(run, run.trace.net_seconds)
        prediction = predict(self._baseline.trace, setting.config)
        key = (approach.name, *prediction.schedule)
        if prediction.exact and key in self._seen:
            self.saved += 1
            return self._seen[key]
        run = self._run("cached", setting.config)
        sample = self._compared(run, run.trace.seconds)
        if prediction.exact:
            self._seen[key] = sample
        return sample

    def _run(self, name: RunName, config: BWCacheConfig, steps: int | None = None) -> RunFinished:
        spec, seed = self._workload.spec, self._workload.seed
        self.runs += 1
        given = (name, self._prompt, seed, steps or spec.steps, config)
        *_, finished = generate(self._pipe, spec, *given)
        return finished

    def _compared(self, run: RunFinished, seconds: float) -> Sample:
        speedup = self._whole / seconds
        self._since += 1
        if self._since == PACE_EVERY:
            self._uncached()
        found = difference(run.frames, self._baseline.frames)
        return Sample(
            speedup,
            IDENTICAL_DB if found.psnr_db is None else min(found.psnr_db, IDENTICAL_DB),
            found.ssim,
            run.trace.steps_computed,
            run.peak_memory_bytes,
        )


def point(
    approach: str, setting: SettingToTry, samples: Sequence[Sample], steps: int
) -> dict[str, object]:
    """One setting over its prompts: the median speed-up, the means of the rest."""
    speedups = [sample.speedup for sample in samples]
    decibels = [sample.psnr_db for sample in samples]
    computed = fmean(sample.steps_computed for sample in samples)
    peaks = [each.peak_memory_bytes for each in samples if each.peak_memory_bytes is not None]
    return {
        "method": approach,
        "knob": setting.text,
        "config": setting.as_dict(),
        "prompts": len(samples),
        "prompts_identical": sum(sample.psnr_db == IDENTICAL_DB for sample in samples),
        "speedup": median(speedups),
        "speedup_min": min(speedups),
        "speedup_max": max(speedups),
        "psnr_db": fmean(decibels),
        "psnr_db_min": min(decibels),
        "psnr_db_max": max(decibels),
        "ssim": fmean(sample.ssim for sample in samples),
        "compute_share": computed / steps,
        "steps_computed": computed,
        "peak_memory_bytes": max(peaks, default=None),
    }


def conclusions(
    points: Sequence[dict[str, object]], names: Sequence[str]
) -> dict[str, dict[str, float | None]]:
    """What the points say about each method.

    Points that left some prompt's video as it was are passed over: the mean of a number that
    stands for infinity and real ones says nothing about caching.
    """

    def of(name: str, *fields: str) -> list[tuple[float, ...]]:
        own = [p for p in points if p["method"] == name and not p["prompts_identical"]]
        return [tuple(p[field] for field in fields) for p in own]

    def at_half(name: str) -> float | None:
        less = [(-share, psnr) for share, psnr in of(name, "compute_share", "psnr_db")]
        return decibels_at(less, -0.5)

    speeds = {name: of(name, "speedup", "psnr_db") for name in (*names, FEWER_STEPS)}
    control = speeds[FEWER_STEPS]
    return {
        "psnr_at_2x": {name: decibels_at(speeds[name], 2.0) for name in names},
        "psnr_at_half": {name: at_half(name) for name in names},
        "where_caching_stops_paying": {
            name: stops_paying(of(name, "speedup", "psnr_db", "steps_computed"), control)
            for name in names
            if name != FEWER_STEPS and control
        },
    }


def forecast_gain(samples: Mapping[tuple[str, SettingToTry], Sequence[Sample]]) -> dict | None:
    """What a forecast gains over holding the residual, for each setting and prompt.

    Returns:
        `pairs` compared, and the `mean_db`, `worst_db` and `best_db` of forecast minus residual;
        None where one of the two was not run.
    """
    held = {one.text: same for (name, one), same in samples.items() if name == "bwcache-residual"}
    gains = [
        ours.psnr_db - theirs.psnr_db
        for (name, one), same in samples.items()
        if name == "bwcache-forecast" and one.text in held
        for ours, theirs in zip(same, held[one.text], strict=True)
    ]
    if not gains:
        return None
    return {
        "pairs": len(gains),
        "mean_db": fmean(gains),
        "worst_db": min(gains),
        "best_db": max(gains),
    }
