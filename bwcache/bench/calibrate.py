"""Measure on a model what calibrated methods need, from a few uncached runs; all of them at once.

    stack     what the whole stack adds to its input: SmoothCache's and LeMiCa's errors by lag, and
              MagCache's ratios of sizes
    blocks    what each block adds: Block Caching's changes, BAC's similarities by lag
    signal    the timestep's embedding as the first block is given it, and the transformer's
              output: TeaCache's polynomial

Every guidance branch enters the mean, as does every prompt. What the files hold is said in
`bwcache/cache/calibration.py`.
"""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from ..cache.block_gate import in_calling_order
from ..cache.block_stacks import MODULES
from ..cache.calibration import FORMAT, VERSION
from ..cache.find_blocks import stack_of
from ..cache.methods import METHODS
from ..cache.probes import sample_tokens
from ..cache.transformers_in import transformers_in
from ..errors import ConfigError
from ..files import ASSETS
from ..models.call import call_arguments
from .step_ends import at_step_ends
from .workload import Workload

CALIBRATED = tuple(name for name, method in METHODS.items() if method.calibrated)
PROMPTS = ASSETS / "prompts" / "calibration.txt"  # that no benchmark reports on
FIRST_SEED = 1000
STACK_TOKENS, BLOCK_TOKENS = 1024, 128
LONGEST_LAG, PART_LAGS = 12, 5
DEGREE = 4  # of TeaCache's polynomial, as published
SIGNAL = "temb"
DIGITS = 5


@dataclass
class Seen:
    """What one guidance branch showed, step by step; tensors on the CPU, float32.

    Args:
        stack: For each step `[tokens, channels]`.
        blocks: For each step and block the same.
        signal: For each step the embedding, where there is one.
        output: For each step the transformer's output.
        modules: For attentions and MLPs, by part (see `block_stacks.MODULES`), step and block, what
            they give; where they are known.
    """

    stack: list[torch.Tensor] = field(default_factory=list)
    blocks: list[list[torch.Tensor]] = field(default_factory=list)
    signal: list[torch.Tensor] = field(default_factory=list)
    output: list[torch.Tensor] = field(default_factory=list)
    modules: dict[str, list[list[torch.Tensor]]] = field(default_factory=lambda: defaultdict(list))


def calibrate(
    workload: Workload, names: Sequence[str], steps: Sequence[int]
) -> dict[str, dict[str, object]]:
    """What the files of these methods hold.

    Args:
        workload: The model, its size, and the prompts; those in `PROMPTS` where it names none and
            is TinyWorld, else the model's examples.
        names: Of `CALIBRATED`.
        steps: The numbers of denoising steps to measure with.

    Raises:
        ConfigError: A name or a number is not allowed, or the weights would be random ones.
        ModelError: The model cannot be loaded.
    """
    for name in names:
        if name not in CALIBRATED:
            raise ConfigError("method", name, ", ".join(CALIBRATED))
    for count in steps:
        replace(workload, steps=count)
        if count <= DEGREE + 2:
            raise ConfigError("steps", count, f"a whole number from {DEGREE + 3}")
    if workload.random_weights:
        raise ConfigError("random_weights", True, "a model's own weights: others show nothing")
    prompts, pipe = prompts_of(workload), workload.pipe()
    by_steps: dict[str, dict[str, object]] = {name: {} for name in names}
    with tqdm(total=len(steps) * len(prompts), desc="calibrate", unit="run") as bar:
        for count in steps:
            runs: list[Seen] = []
            for place, prompt in enumerate(prompts):
                arguments = call_arguments(workload.spec, prompt, FIRST_SEED + place, count)
                with watched(pipe, count) as branches:
                    pipe(**{**arguments, "output_type": "latent"})
                runs += branches.values()
                bar.update()
            for name in names:
                if (found := NUMBERS[name](runs)) is not None:
                    by_steps[name][str(count)] = found
    names = [name for name in names if by_steps[name]]
    if not names:
        raise ConfigError("model", workload.model, f"one whose blocks are given {SIGNAL}")
    made = provenance(workload, pipe, prompts)
    return {
        name: {
            "format": FORMAT,
            "version": VERSION,
            "method": name,
            "model": workload.model,
            "made": made,
            "borrowed": "",
            "by_steps": by_steps[name],
        }
        for name in names
    }


def prompts_of(workload: Workload) -> tuple[str, ...]:
    """The prompts to measure on."""
    if workload.prompts:
        return workload.prompts
    if workload.model == "tinyworld":
        return tuple(filter(None, PROMPTS.read_text(encoding="utf-8").splitlines()))
    return workload.spec.examples


def provenance(workload: Workload, pipe, prompts: Sequence[str]) -> dict[str, object]:
    """Where the numbers are from, and what they belong to."""
    scheduler = pipe.scheduler
    header = {k: v for k, v in workload.header().items() if k in ("device", "versions", "shape")}
    return {
        "date": date.today().isoformat(),
        "weights": workload.spec.version,
        **header,
        "prompts": list(prompts),
        "first_seed": FIRST_SEED,
        "scheduler": type(scheduler).__name__,
        "flow_shift": getattr(scheduler.config, "flow_shift", None),
        "guidance_scale": workload.spec.call.get("guidance_scale"),
    }


# -- watching a run ----------------------------------------------------------------------------


@contextmanager
def watched(pipe, steps: int) -> Iterator[Mapping[int, Seen]]:
    """Keep what one uncached run of a pipeline shows, by guidance branch in calling order."""
    branches: dict[int, Seen] = defaultdict(Seen)
    branch = -1

    def begin(*_) -> None:
        nonlocal branch
        branch += 1
        branches[branch].blocks.append([])

    def end() -> None:
        nonlocal branch
        branch = -1

    def finish(module, args, output) -> None:
        branches[branch].output.append(_kept(output[0]))

    with ExitStack() as undo, torch.no_grad():
        for transformer in transformers_in(pipe):
            undo.callback(transformer.register_forward_pre_hook(begin).remove)
            undo.callback(transformer.register_forward_hook(finish).remove)
            stack = stack_of(transformer, None)
            blocks, entered = in_calling_order(transformer, stack), {}
            for index, block in enumerate(blocks):
                hook = _block_hook(
                    block, index, len(blocks), stack, lambda: branches[branch], steps, entered
                )
                undo.callback(block.register_forward_hook(hook, with_kwargs=True).remove)
                for attribute, part in MODULES.get(type(transformer).__name__, ()):
                    part_hook = _module_hook(part, lambda: branches[branch])
                    module = getattr(block, attribute)
                    if module is not None:
                        undo.callback(module.register_forward_hook(part_hook).remove)
        undo.enter_context(at_step_ends(pipe, end))
        yield branches


def _block_hook(block, index, count, stack, seen: Callable[[], Seen], steps, entered: dict):
    names = list(inspect.signature(type(block).forward).parameters)[1:]
    place = stack.streams.index(stack.feature)

    def given(name: str, args, kwargs):
        if name in kwargs:
            return kwargs[name]
        at = names.index(name) if name in names else len(args)
        return args[at] if at < len(args) else None

    def hook(module, args, kwargs, output):
        before = given(stack.feature, args, kwargs)
        after = output[place] if isinstance(output, tuple) else output
        tokens = BLOCK_TOKENS if count * steps < 2000 else BLOCK_TOKENS // 8
        seen().blocks[-1].append(_kept(sample_tokens(after - before, tokens)))
        if index == 0:
            entered["stack"] = sample_tokens(before, STACK_TOKENS).float().clone()
            signal = given(SIGNAL, args, kwargs)
            if isinstance(signal, torch.Tensor):
                seen().signal.append(_kept(signal))
        if index == count - 1:
            start = entered.pop("stack")
            finish = sample_tokens(after, STACK_TOKENS).float()
            seen().stack.append(_kept(finish - start if start.shape == finish.shape else finish))

    return hook


def _module_hook(part: str, seen: Callable[[], Seen]) -> Callable:
    def hook(module, args, output):
        steps = seen().modules[part]
        while len(steps) < len(seen().blocks):
            steps.append([])
        steps[-1].append(_kept(sample_tokens(output, BLOCK_TOKENS // 2)))

    return hook


def _kept(x: torch.Tensor) -> torch.Tensor:
    return x.detach().float().cpu().clone()


# -- numbers of the methods --------------------------------------------------------------------


def lag_errors(runs: Sequence[Seen]) -> dict[str, object]:
    """For each step the stack's relative L1 against those 1, 2, … steps later."""
    return {"errors": _errors([run.stack for run in runs], LONGEST_LAG)}


def errors_by_part(runs: Sequence[Seen]) -> dict[str, object]:
    """The same, and for each part of a block the mean over its modules, at a few lags."""
    found = lag_errors(runs)
    for part in runs[0].modules:
        rows = [
            [step[block] for step in run.modules[part]]
            for run in runs
            for block in range(len(run.modules[part][0]))
        ]
        found[f"errors_{part}"] = _errors(rows, PART_LAGS)
    return found


def _errors(rows: Sequence[Sequence[torch.Tensor]], longest: int) -> list[list[float]]:
    steps = len(rows[0])
    return [
        [
            round(_mean(_relative_l1(row[t + lag], row[t]) for row in rows), DIGITS)
            for lag in range(1, min(longest, steps - 1 - t) + 1)
        ]
        for t in range(steps)
    ]


def size_ratios(runs: Sequence[Seen]) -> dict[str, object]:
    """Each step's size of what the stack adds over that of the step before: mean over tokens."""

    def ratio(run: Seen, t: int) -> float:
        now, before = (x.norm(dim=-1) for x in (run.stack[t], run.stack[t - 1]))
        return float((now / before.clamp_min(1e-12)).mean())

    steps = len(runs[0].stack)
    return {
        "ratios": [1.0, *(round(_mean(ratio(r, t) for r in runs), DIGITS) for t in range(1, steps))]
    }


def block_changes(runs: Sequence[Seen]) -> dict[str, object]:
    """For each step and block the relative L1 of what it adds against the step before."""
    steps, count = len(runs[0].blocks), len(runs[0].blocks[0])
    rows = [
        [
            _mean(_relative_l1(r.blocks[t][b], r.blocks[t - 1][b]) for r in runs)
            for b in range(count)
        ]
        for t in range(1, steps)
    ]
    return {"changes": [[round(x, DIGITS) for x in row] for row in [[0.0] * count, *rows]]}


def block_similarities(runs: Sequence[Seen]) -> dict[str, object]:
    """For each block and step the cosine of what it adds with that 1, 2, … steps later."""
    steps, count = len(runs[0].blocks), len(runs[0].blocks[0])
    found = []
    for b in range(count):
        cosines = torch.zeros(steps, steps)
        for run in runs:
            rows = torch.stack([step[b].flatten() for step in run.blocks])
            rows = torch.nn.functional.normalize(rows, dim=-1)
            cosines += rows @ rows.T / len(runs)
        found.append(
            [
                [
                    round(float(cosines[t, t + lag]), DIGITS)
                    for lag in range(1, min(LONGEST_LAG, steps - 1 - t) + 1)
                ]
                for t in range(steps)
            ]
        )
    return {"similarities": found}


def signal_polynomial(runs: Sequence[Seen]) -> dict[str, object] | None:
    """How the output's change goes with the embedding's, as a polynomial; None where it has none.

    Fitted by least squares over all steps and prompts. With few points, which are the same for all
    prompts, it follows the run's own course, as the published ones do.
    """
    xs, ys = [], []
    for run in runs:
        if len(run.signal) != len(run.output):
            return None
        for t in range(1, len(run.signal)):
            xs.append(_relative_l1(run.signal[t], run.signal[t - 1]))
            ys.append(_relative_l1(run.output[t], run.output[t - 1]))
    fitted = np.polyfit(np.array(xs), np.array(ys), DEGREE)
    return {"coefficients": [float(f"{x:.9g}") for x in fitted], "signal": SIGNAL}


NUMBERS: Mapping[str, Callable[[Sequence[Seen]], dict[str, Any] | None]] = {
    "magcache": size_ratios,
    "teacache": signal_polynomial,
    "smoothcache": errors_by_part,
    "lemica": lag_errors,
    "block_caching": block_changes,
    "bac": block_similarities,
}


def _relative_l1(now: torch.Tensor, before: torch.Tensor) -> float:
    return float((now - before).abs().sum() / before.abs().sum())


def _mean(numbers) -> float:
    return float(np.mean(list(numbers)))
