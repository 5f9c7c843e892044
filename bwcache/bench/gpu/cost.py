"""Part "cost": what caching costs at a real model's shapes, with random weights.

Arms are interleaved, round after round, and each run is timed from outside in the same way
(`denoising_clock`: events on the device, one wait before and one after the loop). Where the model's
own number of frames does not fit the memory or the time, fewer are made, and the result says so.
"""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from statistics import median

import torch
from diffusers import FirstBlockCacheConfig as DiffusersFirstBlockCache
from diffusers import MagCacheConfig as DiffusersMagCache

from ... import models
from ...cache.install import cached
from ...cache.method import Method
from ...cache.methods.bwcache import BWCacheConfig
from ...cache.methods.first_block_cache import FirstBlockCacheConfig
from ...cache.methods.magcache import MagCacheConfig
from ...cache.trace import Trace
from ...cache.transformers_in import transformers_in
from ...models import ModelSpec, random_weights
from ...models.call import call_arguments
from ...models.loading import free_memory, out_of_memory
from ..denoising_clock import denoising_clock
from ..memory import ALLOWANCE, KeptBytes
from ..narrow import narrowed
from ..overhead_numbers import Round, overhead_numbers, spread
from ..paper_indicator import paper_style
from ..step_ends import at_step_ends
from ..workload import ALWAYS_MET
from .worker import Task

COMPILED = " compiled"
STEPS, FEWEST_STEPS = 6, 4
FEWEST_ROUNDS, MOST_ROUNDS = 2, 9
SHARE = 0.92  # of a piece's time that is planned for; the rest is for what was not foreseen
FEW = 2  # steps, to warm up
GROWTH = 1.3  # power of the number of frames with which a step's seconds grow, at least
CORE = ("plain", "measured", "paper_style", "cached")
Arm = Callable[[], AbstractContextManager]


def pattern(steps: int) -> str:
    """The cached arm's fixed schedule: two steps computed, then two reused, one computed …"""
    return ("CC" + "RRC" * steps)[:steps]


class _TooSlowError(Exception):
    """A step took too long; `seconds` of it."""

    def __init__(self, seconds: float):
        super().__init__(seconds)
        self.seconds = seconds


@dataclass(frozen=True)
class Timed:
    """A run.

    Args:
        seconds: Of its denoising loop.
        steps: Of each of its steps.
        peak_bytes: The most that the allocator had given out during it; None on a CPU.
        finite: Whether its latents are.
        trace: Where the arm records one.
    """

    seconds: float
    steps: list[float]
    peak_bytes: int | None
    finite: bool
    trace: Trace | None = None

    def as_dict(self) -> dict[str, object]:
        kept = {name: getattr(self, name) for name in ("seconds", "steps", "peak_bytes", "finite")}
        return kept | ({} if self.trace is None else {"schedule": self.trace.schedule})


def run(task: Task) -> tuple[dict[str, object], str]:
    """Measure a model; partial results are reported after every round."""
    measuring = Measuring(task)
    result = measuring.measure()
    return result, summary_line(result)


def summary_line(result: dict) -> str:
    """The numbers that matter, for the terminal."""

    def share(name: str) -> str:
        value = result.get(name)
        return "–" if value is None or math.isnan(value) else f"{100 * value:.2f} %"

    seconds = (result.get("seconds_a_step") or {}).get("median")
    return (
        f"{result['shape']['frames']} frames, {seconds or 0:.3f} s a step, "
        f"indicator {share('indicator_share')}, paper-style {share('paper_style_share')}, "
        f"blocks {share('block_share')}, efficiency {result.get('efficiency') or 0:.3f}, "
        f"{result.get('rounds', 0)} rounds"
    )


class Measuring:
    """One model's measurement."""

    def __init__(self, task: Task):
        self.task = task
        self.started = time.monotonic()
        self.compiled = task.name.endswith(COMPILED)
        entry = models.find(task.name.removesuffix(COMPILED))
        self.full = narrowed(entry) if task.small else entry
        self.spec: ModelSpec = self.full
        self.errors: dict[str, str] = {}
        self.result: dict[str, object] = {}

    @property
    def left(self) -> float:
        """Seconds that may still be planned with."""
        return SHARE * self.task.seconds - (time.monotonic() - self.started)

    # -- one run -----------------------------------------------------------------------------------

    def timed(
        self, arm: Arm, steps: int, look: Callable[[list[float]], None] | None = None
    ) -> Timed:
        """Run the pipeline; after each step, `look` is called with what the steps so far took."""
        device = torch.device(self.task.device)
        on_cuda = device.type == "cuda"
        call = {**call_arguments(self.spec, self.spec.examples[0], 0, steps)}
        call["output_type"] = "latent"
        with ExitStack() as undo:
            state = undo.enter_context(arm())
            clock = undo.enter_context(denoising_clock(self.pipe))
            if look is not None:
                looking = at_step_ends(self.pipe, lambda: look(clock.step_seconds()))
                undo.enter_context(looking)
            if on_cuda:
                torch.cuda.reset_peak_memory_stats(device)
            latents = self.pipe(**call).frames
            seconds, each = clock.seconds(), clock.step_seconds()
            peak = torch.cuda.max_memory_allocated(device) if on_cuda else None
            finite = bool(torch.isfinite(torch.as_tensor(latents)).all())
            return Timed(seconds, each, peak, finite, getattr(state, "trace", None))

    def tried(self, name: str, arm: Arm, steps: int) -> Timed | None:
        """A run; None, and its error kept, where it fails: the arm is then left out."""
        try:
            return self.timed(arm, steps)
        except Exception as error:
            self.errors[name] = traceback.format_exc()[-4000:]
            print(f"{name}:", self.errors[name], flush=True)
            free_memory(error)
            if not out_of_memory(error) and "CUDA error" in str(error):
                raise  # nothing works in this process any more
            return None

    # -- the arms ----------------------------------------------------------------------------------

    def core(self, steps: int, kept: list[KeptBytes]) -> dict[str, Arm]:
        indicator = self.spec.indicator
        measuring = BWCacheConfig(0.0, **indicator)
        reusing = BWCacheConfig(ALWAYS_MET, step_mask=pattern(steps), **indicator)
        self.result["config"] = reusing.as_dict()
        arms: dict[str, Arm] = {
            "plain": nullcontext,
            "measured": lambda: cached(self.pipe, measuring),
            "paper_style": lambda: paper_style(self.pipe),
            "cached": lambda: counted(self.pipe, reusing, kept),
        }
        if self.compiled:  # its hooks would break the blocks' graphs
            del arms["paper_style"]
        return arms

    def others(self, steps: int) -> dict[str, Arm]:
        """Other methods, ours and diffusers' own; random weights make each reuse all it may."""
        ratios = (1.0,) * steps
        first = DiffusersFirstBlockCache(threshold=ALWAYS_MET)
        magnitude = DiffusersMagCache(num_inference_steps=steps, mag_ratios=torch.tensor(ratios))
        return {
            "first_block_cache": lambda: cached(self.pipe, FirstBlockCacheConfig(ALWAYS_MET)),
            "first_block_cache_of_diffusers": lambda: built_in(self.pipe, first),
            "magcache": lambda: cached(self.pipe, MagCacheConfig(ratios=ratios)),
            "magcache_of_diffusers": lambda: built_in(self.pipe, magnitude),
        }

    # -- all of it ---------------------------------------------------------------------------------

    def measure(self) -> dict[str, object]:
        self._build()
        pace = self._fitting_shape()
        steps, rounds = (FEWEST_STEPS, 1) if self.task.small else self._plan(pace)
        most = rounds if self.task.small else MOST_ROUNDS
        kept: list[KeptBytes] = []
        arms = self.core(steps, kept)
        if not self.task.small and (self.compiled or pace < 0.4):
            for name, arm in [*arms.items()]:
                self._or_without(arms, name, self.tried(name, arm, 3))
            kept.clear()
        made: list[dict[str, Timed]] = []
        turn = 0
        while turn < rounds or (turn < most and self.left > self._round_seconds(made)):
            if turn >= 1 and self.left < self._round_seconds(made, reserve=0):
                break
            names = [*arms]
            first = turn % len(names)
            found: dict[str, Timed] = {}
            for name in (*names[first:], *names[:first]):
                run = self.tried(name, arms[name], steps)
                self._or_without(arms, name, run)
                if run is not None:
                    found[name] = run
                self._report(steps, [*made, found], kept)
            made.append(found)
            turn += 1
        self._report(steps, made, kept)
        if not self.compiled:
            self._measure_others(steps)
        self._report(steps, made, kept)
        return self.result

    def _build(self) -> None:
        started = time.monotonic()
        self.pipe = random_weights.build(self.full, self.task.device)
        self.pipe.set_progress_bar_config(disable=True)
        if self.compiled:
            compile_blocks(self.pipe)
        self.result |= {
            "model": self.full.name,
            "title": self.full.title,
            "random_weights": True,
            "compiled": self.compiled,
            "dtype": str(self.pipe.transformer.dtype).removeprefix("torch."),
            "build_seconds": round(time.monotonic() - started, 2),
            "weights_bytes": sum(
                weight.numel() * weight.element_size()
                for part in (self.pipe.transformer, getattr(self.pipe, "transformer_2", None))
                if part is not None
                for weight in part.parameters()
            ),
            "tried_shapes": [],
        }
        self._report(0, [], [])

    def _fitting_shape(self) -> float:
        """Take the most frames that the memory and the time allow; seconds of a step with them."""
        counts, known = frame_counts(self.full), None
        for frames in counts:
            if known is not None and frames != counts[-1]:
                expected = known[1] * (frames / known[0]) ** GROWTH
                if not self._enough(expected):
                    continue
            self.spec = replace(self.full, shape=replace(self.full.shape, num_frames=frames))
            tries = self.result["tried_shapes"]
            try:
                if self.compiled:
                    self.timed(nullcontext, FEW)  # compiles
                found = self.timed(nullcontext, FEW, self._stop_if_slow)
                pace, peak = found.steps[-1], found.peak_bytes
            except _TooSlowError as slow:
                pace, peak = slow.seconds, None
            except Exception as error:
                if not out_of_memory(error):
                    raise
                free_memory(error)
                tries.append({"frames": frames, "found": "out of memory"})  # type: ignore[union-attr]
                continue
            told = {"frames": frames, "seconds_a_step": pace, "peak_bytes": peak}
            tries.append(told)  # type: ignore[union-attr]
            self._report(0, [], [])
            if self._enough(pace) or frames == counts[-1]:
                return pace
            known = frames, pace
            told["found"] = "too slow for two rounds in the time"  # type: ignore[assignment]
        raise MemoryError("not even the fewest frames fit into the memory")

    def _enough(self, pace: float) -> bool:
        """Whether at so many seconds a step there is time for the fewest rounds."""
        return FEWEST_ROUNDS * self._units(FEWEST_STEPS) * pace < self.left

    def _stop_if_slow(self, steps: list[float]) -> None:
        """After the first step: it took so long that fewer frames are to be made."""
        fewest = self.spec.shape.num_frames == frame_counts(self.full)[-1]
        if len(steps) == 1 and not fewest and not self._enough(steps[0]):
            raise _TooSlowError(steps[0])

    def _plan(self, pace: float) -> tuple[int, int]:
        """Steps of a run, and rounds."""
        spare = 0.75 if not self.compiled else 0.95  # the other methods need the rest
        for steps, rounds in ((STEPS, 3), (STEPS, 2), (5, 2), (FEWEST_STEPS, 2)):
            if rounds * self._units(steps) * pace < spare * self.left:
                return steps, rounds
        return FEWEST_STEPS, FEWEST_ROUNDS

    def _units(self, steps: int) -> float:
        """Steps that are computed in a round."""
        reused = pattern(steps).count("R")
        full = 2 if self.compiled else 3.1
        return full * steps + steps - reused + 0.1

    def _round_seconds(self, made: list[dict[str, Timed]], reserve: float = 0.5) -> float:
        """What a round takes, with some for the other methods; as the last one took."""
        last = sum(run.seconds for run in made[-1].values()) if made else 0.0
        return 1.15 * last + (0 if self.compiled else reserve * last)

    def _or_without(self, arms: dict[str, Arm], name: str, run: Timed | None) -> None:
        if run is None and name in arms and name != "plain":
            del arms[name]

    def _measure_others(self, steps: int) -> None:
        arms, found = self.others(steps), {}
        for turn in range(1 if self.task.small else 3):
            started = time.monotonic()
            for name in ("plain", *arms) if turn % 2 == 0 else (*reversed(arms), "plain"):
                arm = nullcontext if name == "plain" else arms[name]
                if (run := self.tried(name, arm, steps)) is None:
                    del arms[name]
                else:
                    found.setdefault(name, []).append(run)
                self.result["others"] = others_numbers(found, self.errors)
                self.task.report(self.result, summary_line(self.result))
                if self.left < 0:
                    return
            if self.left < 1.1 * (time.monotonic() - started):
                return

    # -- the result --------------------------------------------------------------------------------

    def _report(self, steps: int, made: list[dict[str, Timed]], kept: list[KeptBytes]) -> None:
        shape = self.spec.shape
        self.result |= {
            "shape": {"height": shape.height, "width": shape.width, "frames": shape.num_frames},
            "full_frames": self.full.shape.num_frames,
            "steps": steps,
            "errors": self.errors,
            **numbers(made, kept),
            "runs": [{name: run.as_dict() for name, run in runs.items()} for runs in made],
        }
        self.task.report(self.result, summary_line(self.result))


def frame_counts(spec: ModelSpec) -> list[int]:
    """The model's own number of frames, then about a half of it, a third and so on."""
    shape = spec.shape
    found = []
    for part in (1, 2, 3, 4, 6, 8):
        whole = (shape.num_frames // part - shape.frame_offset) // shape.frame_multiple
        count = max(whole, 1) * shape.frame_multiple + shape.frame_offset
        if count <= shape.num_frames and count not in found:
            found.append(count)
    return found


def compile_blocks(pipe) -> None:
    """Compile what diffusers says repeats, or else each block of the stack."""
    from ...cache.block_gate import in_calling_order
    from ...cache.find_blocks import stack_of

    for transformer in transformers_in(pipe):
        if getattr(transformer, "_repeated_blocks", None):
            transformer.compile_repeated_blocks(fullgraph=True)
        else:
            for block in in_calling_order(transformer, stack_of(transformer, None)):
                block.compile(fullgraph=True)


@contextmanager
def counted(pipe, config: Method, kept: list[KeptBytes]) -> Iterator[object]:
    """Caching; the first time, what it keeps between steps is counted too."""
    if kept:
        with cached(pipe, config) as run:
            yield run
        return

    def look(record, latents) -> None:
        kept.append(KeptBytes.after(record, run.branches))

    with cached(pipe, config, on_step=look) as run:
        yield run


@contextmanager
def built_in(pipe, config) -> Iterator[None]:
    """A cache of diffusers' own."""
    with ExitStack() as undo:
        for transformer in transformers_in(pipe):
            transformer.enable_cache(config)
            undo.callback(transformer.disable_cache)
        yield


def numbers(made: list[dict[str, Timed]], kept: list[KeptBytes]) -> dict[str, object]:
    """Everything that the rounds say; what an arm that failed would say is None."""
    nothing = float("nan")
    rounds = []
    for runs in made:
        if not {"plain", "measured", "cached"} <= runs.keys():
            continue
        measured, cached_run = runs["measured"].trace, runs["cached"].trace
        assert measured is not None
        assert cached_run is not None
        paper = runs["paper_style"].seconds if "paper_style" in runs else nothing
        rounds.append(
            Round(
                runs["plain"].seconds,
                runs["measured"].seconds,
                paper,
                runs["cached"].seconds,
                indicator=sum(step.indicator_seconds for step in measured.steps),
                block_step=median(step.block_seconds for step in measured.steps),
                reused=cached_run.steps_reused,
            )
        )
    plain = [step for runs in made if "plain" in runs for step in runs["plain"].steps[1:]]
    found: dict[str, object] = {
        "seconds_a_step": _spread(plain),
        "step_seconds": {
            name: _spread([step for runs in made if name in runs for step in runs[name].steps[1:]])
            for name in CORE
        },
        "finite": all(run.finite for runs in made for run in runs.values()),
    }
    if rounds:
        of = overhead_numbers(rounds)
        found |= of
        found |= {
            "indicator_share": of["ratio_median"] - 1,  # type: ignore[operator]
            "paper_style_share": of["paper_style_ratio_median"] - 1,  # type: ignore[operator]
            "indicator_share_by_events": median(r.indicator / r.measured for r in rounds),
            "block_share": of["block_seconds_per_step_median"]  # type: ignore[operator]
            / median(plain),
            "schedule": made[0]["cached"].trace.schedule,  # type: ignore[union-attr]
            "blocks": made[0]["cached"].trace.num_blocks,  # type: ignore[union-attr]
            "rounds_seconds": [asdict(one) for one in rounds],
            "memory": _memory(made, kept),
        }
    return found


def _memory(made: list[dict[str, Timed]], kept: list[KeptBytes]) -> dict[str, object]:
    """Peaks of the arms, what caching adds to it, and what it keeps between steps."""
    peaks = {name: [runs[name].peak_bytes for runs in made if name in runs] for name in CORE}
    most = {
        name: max(found) if found and None not in found else None  # type: ignore[type-var]
        for name, found in peaks.items()
    }
    stack = max((step.stack_bytes for step in kept), default=None)
    sample = max((step.sample_bytes for step in kept), default=None)
    extra = None
    if most["plain"] is not None and most["cached"] is not None:
        extra = most["cached"] - most["plain"]
    goal = None if stack is None else stack + ALLOWANCE
    counted_bytes = extra if extra is not None else (stack or 0) + (sample or 0)
    return {
        **{f"{name}_peak_bytes": peak for name, peak in most.items()},
        "extra_bytes": extra,
        "stack_bytes": stack,
        "sample_bytes": sample,
        "branches": max((step.branches for step in kept), default=None),
        "goal_bytes": goal,
        "within_goal": None if goal is None else counted_bytes <= goal,
    }


def others_numbers(found: dict[str, list[Timed]], errors: dict[str, str]) -> dict[str, object]:
    """Seconds of the other methods, and their speed-up over the plain run of the same round."""
    plain = found.get("plain", [])
    result: dict[str, object] = {}
    for name, runs in found.items():
        pairs = zip(plain, runs, strict=False)
        result[name] = {
            **spread("seconds", [run.seconds for run in runs]),
            **spread("speedup", [one.seconds / run.seconds for one, run in pairs]),
            "steps": runs[-1].steps,
            "peak_bytes": runs[-1].peak_bytes,
            "schedule": None if runs[-1].trace is None else runs[-1].trace.schedule,
        }
    return result


def _spread(values: list[float]) -> dict[str, object] | None:
    if not values:
        return None
    return {
        "median": median(values),
        "min": min(values),
        "max": max(values),
        "count": len(values),
    }
