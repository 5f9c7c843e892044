"""How well a sampled indicator decides like the exact one, and which sampling is the cheapest.

    python -m bwcache.bench.sampling --out assets/results/sampling-tinyworld.json

Each uncached run measures every sampling at once: all blocks and tokens (exact), and subsets of
both. For a grid of thresholds over the exact indicator's range, and for the model's presets, a
sampling is right at a step if it falls on the same side of the threshold, and right for a prompt
if the whole schedule is the same (`gate="once"`).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import product
from pathlib import Path

import torch

from .. import models
from ..cache.block_gate import in_calling_order
from ..cache.block_stacks import STACKS
from ..cache.methods.bwcache import BWCacheConfig, evenly_spaced
from ..cache.predict import predict
from ..cache.probes import relative_l1, sample_tokens
from ..cache.trace import StepRecord, Trace
from ..files import ASSETS, check_file, write
from ..models.call import call_arguments
from ..models.loading import load
from ..models.machine import default_device, describe_device, versions
from .program import run_program
from .step_ends import at_step_ends

PROMPTS = ASSETS / "prompts" / "prompts-more.txt"
GRID = 20  # thresholds over the indicator's range
INTERVAL = 3
Sampling = tuple[int | None, int | None]  # blocks, tokens; None for all


class Recorder:
    """Every sampling's indicator at every step of one uncached run."""

    def __init__(self, num_blocks: int, samplings: list[Sampling]):
        self.series: dict[Sampling, list[float | None]] = {s: [] for s in samplings}
        self._blocks = {s: set(evenly_spaced(num_blocks, s[0])) for s in samplings}
        self._num_blocks = num_blocks
        self._previous: dict[tuple[int, int], torch.Tensor] = {}
        self._found: dict[Sampling, list[float]] = {s: [] for s in samplings}
        self._calls = 0

    def block_ran(self, index: int, features: torch.Tensor) -> None:
        key = (self._calls, index)
        previous, current = self._previous.get(key), features.detach().clone()
        self._previous[key] = current
        self._calls += index == self._num_blocks - 1
        if previous is None:
            return
        by_tokens = {}
        for sampling, blocks in self._blocks.items():
            tokens = sampling[1]
            if index not in blocks:
                continue
            if tokens not in by_tokens:
                pair = [sample_tokens(x, tokens)[None] for x in (current, previous)]
                by_tokens[tokens] = float(relative_l1(*pair))
            self._found[sampling].append(by_tokens[tokens])

    def step_ended(self) -> None:
        self._calls = 0
        for sampling, found in self._found.items():
            self.series[sampling].append(sum(found) / len(found) if found else None)
            found.clear()


@contextmanager
def recorded(pipe, samplings: list[Sampling]) -> Iterator[Recorder]:
    """Record a pipeline's run by plain forward hooks."""
    blocks = in_calling_order(pipe.transformer, STACKS[type(pipe.transformer).__name__])
    recorder = Recorder(len(blocks), samplings)

    def ran(index):
        return lambda module, args, output: recorder.block_ran(index, output)

    with ExitStack() as undo:
        for index, block in enumerate(blocks):
            undo.callback(block.register_forward_hook(ran(index)).remove)
        undo.enter_context(at_step_ends(pipe, recorder.step_ended))
        yield recorder


def schedule(series: list[float | None], threshold: float) -> list[str]:
    """What these indicators decide."""
    steps = tuple(StepRecord(i, "compute", "", value) for i, value in enumerate(series))
    return predict(Trace(len(steps), 1, {}, steps), BWCacheConfig(threshold, INTERVAL)).schedule


def agreement(
    runs: list[dict[Sampling, list]], sampling: Sampling, thresholds: list[float]
) -> dict[str, float]:
    """Shares of steps on the same side of the thresholds, and of equal schedules; mean bias."""
    exact = (None, None)
    steps = [
        (a < threshold) == (b < threshold)
        for run in runs
        for threshold in thresholds
        for a, b in zip(run[exact], run[sampling], strict=True)
        if a is not None
    ]
    schedules = [
        schedule(run[exact], threshold) == schedule(run[sampling], threshold)
        for run in runs
        for threshold in thresholds
    ]
    ratios = [b / a for run in runs for a, b in zip(run[exact], run[sampling], strict=True) if a]
    return {
        "steps_equal": sum(steps) / len(steps),
        "schedules_equal": sum(schedules) / len(schedules),
        "bias": sum(ratios) / len(ratios) - 1,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="tinyworld")
    parser.add_argument("--random-weights", action="store_true")
    parser.add_argument("--blocks", default="2,4,8", help="besides all")
    parser.add_argument("--tokens", default="16,32,64,128,256", help="besides all")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--height", type=int)
    parser.add_argument("--width", type=int)
    parser.add_argument("--frames", type=int)
    parser.add_argument("--device", choices=("cpu", "cuda"))
    parser.add_argument("--prompts", type=int, help="only so many")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    check_file(args.out)

    device, spec = args.device or default_device(), models.find(args.model)
    pipe = load(args.model, device, random_weights=args.random_weights)
    steps = args.steps or spec.steps
    shape = {
        "height": args.height or spec.shape.height,
        "width": args.width or spec.shape.width,
        "num_frames": args.frames or spec.shape.num_frames,
    }
    samplings: list[Sampling] = [
        (b, t)
        for b, t in product(
            [None, *map(int, args.blocks.split(","))], [None, *map(int, args.tokens.split(","))]
        )
    ]
    prompts = PROMPTS.read_text(encoding="utf-8").splitlines()[: args.prompts]
    runs = []
    for prompt in prompts:
        with recorded(pipe, samplings) as recorder, torch.no_grad():
            call = {**call_arguments(spec, prompt, args.seed, steps), **shape}
            pipe(**{**call, "output_type": "latent"})
        runs.append(recorder.series)
        print(f"{len(runs)} of {len(prompts)}: {prompt}", flush=True)

    values = [x for run in runs for x in run[(None, None)] if x is not None]
    low, high = min(values), max(values)
    grid = [low * (high / low) ** (i / (GRID - 1)) for i in range(GRID)]
    presets = sorted({preset.config.threshold for preset in spec.facts().presets.values()})
    result = {
        "model": spec.name,
        "random_weights": args.random_weights,
        "device": describe_device(device),
        "versions": versions(),
        "seed": args.seed,
        "steps": steps,
        **shape,
        "prompts": len(prompts),
        "thresholds": grid,
        "presets": presets,
        "indicator_range": [low, high],
        "samplings": [
            {
                "indicator_blocks": blocks,
                "indicator_tokens": tokens,
                "grid": agreement(runs, (blocks, tokens), grid),
                "presets": agreement(runs, (blocks, tokens), presets),
            }
            for blocks, tokens in samplings
        ],
    }
    write(result, args.out)
    for row in result["samplings"]:
        print(row)


if __name__ == "__main__":
    run_program("sampling", main)
