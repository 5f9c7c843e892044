"""QuantCache's schedule with and without 8-bit weights, as its authors use it with both.

    pip install torchao && python -m bwcache.bench.quantized --out assets/results/quantized.json

Each prompt's runs are compared with its uncached run of full weights; then the transformer's
linear layers are turned into 8-bit ones by torchao, and the same is made again. No speed is told:
torchao's kernels for a CPU are no measure of those for a GPU.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from tqdm import tqdm

from ..cache.install import cached
from ..cache.method import Method
from ..cache.methods.quantcache import QuantCacheConfig
from ..errors import ConfigError
from ..files import ASSETS, check_file, finite, write
from ..models.call import call_arguments, warm_up
from ..models.replicas import pipeline_lock
from ..runs.metrics import PSNR_CONVENTION, psnr
from .frontier import IDENTICAL_DB
from .methods import date_and_commit
from .methods_plan import reported_prompts
from .program import run_program
from .workload import Workload

RESULTS = ASSETS / "results" / "quantized.json"
FULL, EIGHT = "full", "int8"
Point = dict[str, Any]


def measure(workload: Workload, prompts: Sequence[str], config: Method) -> dict[str, Any]:
    """Four runs of each prompt: uncached and cached, with full and with 8-bit weights.

    Raises:
        ConfigError: torchao is not installed.
    """
    try:
        from torchao.quantization import Int8WeightOnlyConfig, quantize_
    except ImportError as error:
        raise ConfigError("weights", EIGHT, "full, or: pip install torchao") from error
    pipe = workload.pipe()
    warm_up(pipe, workload.spec)
    bar = tqdm(total=4 * len(prompts), desc="quantized", unit="run")

    def video(prompt: str, method: Method) -> tuple[np.ndarray, float]:
        arguments = call_arguments(workload.spec, prompt, workload.seed, workload.spec.steps)
        with pipeline_lock(pipe), cached(pipe, method) as run:
            frames = np.asarray(pipe(**arguments).frames[0])
        bar.update()
        return frames, run.trace.compute_share or 0.0

    plain = workload.measuring()
    references = [video(prompt, plain)[0] for prompt in prompts]

    def point(weights: str, method: Method) -> Point:
        made = [video(prompt, method) for prompt in prompts]
        pairs = zip(made, references, strict=True)
        decibels = [psnr(frames, reference) for (frames, _), reference in pairs]
        return {
            "weights": weights,
            "cached": method is not plain,
            "compute_share": fmean(share for _, share in made),
            "psnr_db_of_each": [IDENTICAL_DB if x is None else x for x in decibels],
        }

    points = [point(FULL, config)]
    quantize_(pipe.transformer, Int8WeightOnlyConfig())
    points += [point(EIGHT, plain), point(EIGHT, config)]
    bar.close()
    return {
        **workload.header(),
        **date_and_commit(),
        "psnr_convention": f"{PSNR_CONVENTION}; to the uncached run with full weights",
        "config": config.as_dict(),
        "prompts": list(prompts),
        "points": points,
    }


def sentence(found: Mapping[str, Any]) -> str:
    """What the file says, for the method's page."""
    by_kind = {(each["weights"], each["cached"]): each for each in found["points"]}

    def told(weights: str, is_cached: bool) -> str:
        each = by_kind[weights, is_cached]["psnr_db_of_each"]
        return f"{fmean(each):.1f} dB ({min(each):.1f} to {max(each):.1f})"

    share = by_kind[EIGHT, True]["compute_share"]
    return (
        f"On `{found['model']}`, {found['steps']} steps, {len(found['prompts'])} prompts, measured "
        f"on `{found['device']}`, against the uncached run with full weights (mean, worst and best "
        f"prompt): 8-bit weights alone {told(EIGHT, False)}; the cache alone {told(FULL, True)}; "
        f"both {told(EIGHT, True)}, at {100 * share:.0f} % of the work"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cpu", "cuda"))
    parser.add_argument("--prompts", type=int, default=6, help="of those that are reported")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    check_file(args.out)
    prompts = reported_prompts(args.prompts)
    found = measure(Workload(device=args.device), prompts, QuantCacheConfig())
    write(finite(found), args.out)
    print(sentence(found))


if __name__ == "__main__":
    run_program("quantized", main)
