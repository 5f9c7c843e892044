"""How far each prompt's uncached video moves when the noise it starts from is altered a little.

    python -m bwcache.bench.sensitivity --grids 30,30@5 --out FILE

A video whose contents hang by a thread ends elsewhere after any small change early in its run, a
cache's among them. This measures it without a cache: `change` says how much of another noise is
mixed in, such that the whole stays as strong.
"""

from __future__ import annotations

import statistics
from dataclasses import replace
from typing import Any

import torch
from tqdm import tqdm

from ..errors import ConfigError
from ..files import ASSETS, finite, write
from ..runs.metrics import PSNR_CONVENTION
from .batch import Batch, asked, parser_of
from .methods import date_and_commit
from .program import run_program

RESULTS = ASSETS / "results" / "sensitivity.json"


def moved(batch: Batch, change: float, draws: int, seed: int) -> list[float]:
    """PSNR of each prompt to its own uncached run, in dB, the mean over other noises.

    Args:
        batch: The prompts.
        change: The other noise's size over the own one's.
        draws: So many other noises are mixed in, one after another.
        seed: Of the other noises; those of the videos should be others.
    """
    noises = torch.Generator("cpu").manual_seed(seed)

    def altered(noise: torch.Tensor) -> torch.Tensor:
        other = torch.randn(noise.shape[1:], generator=noises).to(noise)  # alike for all prompts
        return (noise + change * other) / (1 + change**2) ** 0.5

    found = [batch.decibels(alter=altered) for _ in range(draws)]
    return [statistics.fmean(each) for each in zip(*found, strict=True)]


def main() -> None:
    parser = parser_of(__doc__.splitlines()[0], RESULTS)
    parser.add_argument("--change", type=float, default=0.01, help="of the noise (%(default)s)")
    parser.add_argument("--draws", type=int, default=3, help="other noises (%(default)s)")
    args = parser.parse_args()
    if not 0 < args.change <= 1:
        raise ConfigError("change", args.change, "a share of the noise, above 0 and at most 1")
    if not 1 <= args.draws <= 100:
        raise ConfigError("draws", args.draws, "a whole number from 1 to 100")
    workload, grids, prompts = asked(args)
    pipe, found = workload.pipe(), []
    for grid in tqdm(grids, desc="sensitivity", unit="grid"):
        batch = Batch(pipe, workload, grid, prompts)
        decibels = moved(batch, args.change, args.draws, workload.seed + 1)
        found.append({"steps": grid.steps, "shift": grid.shift, **_told(decibels)})
    result = {
        **replace(workload, steps=grids[0].steps).header(),
        **date_and_commit(),
        "psnr_convention": PSNR_CONVENTION,
        "change": args.change,
        "draws": args.draws,
        "prompts": prompts,
        "grids": found,
    }
    write(finite(result), args.out)


def _told(decibels: list[float]) -> dict[str, Any]:
    return {
        "psnr_db": statistics.fmean(decibels),
        "psnr_db_median": statistics.median(decibels),
        "psnr_db_worst": min(decibels),
        "psnr_db_of_each": decibels,
    }


if __name__ == "__main__":
    run_program("sensitivity", main)
