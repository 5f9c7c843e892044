"""The best choice of computed steps that a search finds: a bound on what any rule can give.

    python -m bwcache.bench.oracle --grids 30,30@5 --tries 100 --out FILE

Only *which* steps are computed is searched, in BWCache+'s own way of forecasting the others. All
prompts are made in one batch, on the same steps; what is found for all of them together is the
shared schedule, and the best that was tried for each is a lower bound on its own. It chooses on the
very prompts that it reports: a bound, and nothing to compare a method with as if it were one.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from tqdm import tqdm

from ..cache.methods.bwcache_plus import BWCachePlusConfig, computed_steps
from ..explore.families import SHARES
from ..files import ASSETS, finite, write
from ..runs.metrics import PSNR_CONVENTION
from .batch import Batch, asked, parser_of
from .methods import date_and_commit
from .methods_plan import Grid
from .program import run_program

RESULTS = ASSETS / "results" / "oracle.json"
MOST_MOVED = 3  # computed steps that one try moves
FARTHEST = 2  # steps that one of them moves


def search(batch: Batch, count: int, tries: int, seed: int) -> dict[str, Any]:
    """Move some of the computed steps, and keep what is closer in the mean.

    Args:
        batch: On which prompts.
        count: How many steps are computed.
        tries: How many choices of steps are made.
        seed: Of the moves.

    Returns:
        The rule's steps and dB; the best steps for all prompts together and their dB; for each
        prompt the most that any of the tried ones gave.
    """
    moves = random.Random(seed)

    @cache
    def decibels_of(computed: tuple[int, ...]) -> list[float]:
        mask = "".join("C" if step in computed else "R" for step in range(len(batch.noise)))
        return batch.decibels(BWCachePlusConfig(step_mask=mask))

    start = computed_steps(batch.noise, count)
    steps, decibels = start, decibels_of(start)
    best = of_each = decibels
    for _ in range(tries):
        tried = _moved(steps, len(batch.noise), moves)
        found = decibels_of(tried)
        of_each = [max(pair) for pair in zip(of_each, found, strict=True)]
        if sum(found) > sum(best):
            steps, best = tried, found
    return {
        "count": count,
        "tries": tries,
        "rule": {"steps": list(start), **_told(decibels)},
        "shared": {"steps": list(steps), **_told(best)},
        "of_each_prompt": _told(of_each),
    }


def _moved(steps: Sequence[int], total: int, moves: random.Random) -> tuple[int, ...]:
    """Some steps but the first one moved a little; as many as before."""
    while True:
        found = set(steps)
        for _ in range(moves.randint(1, MOST_MOVED)):
            step = moves.choice(sorted(found - {0}))
            other = step + moves.choice([d for d in range(-FARTHEST, FARTHEST + 1) if d])
            if 0 < other < total and other not in found:
                found = found - {step} | {other}
        if found != set(steps):
            return tuple(sorted(found))


def _told(decibels: Sequence[float]) -> dict[str, Any]:
    return {
        "psnr_db": sum(decibels) / len(decibels),
        "psnr_db_worst": min(decibels),
        "psnr_db_of_each": list(decibels),
    }


def main() -> None:
    parser = parser_of(__doc__.splitlines()[0], RESULTS)
    parser.add_argument("--tries", type=int, default=60, help="a share and grid (%(default)s)")
    args = parser.parse_args()
    workload, grids, prompts = asked(args)
    pipe, found, began = workload.pipe(), [], time.monotonic()
    cells = [(grid, share) for grid in grids for share in SHARES]
    batches: dict[Grid, Batch] = {}
    for grid, share in tqdm(cells, desc="oracle", unit="search"):
        if grid not in batches:
            batches = {grid: Batch(pipe, workload, grid, prompts)}
        own = search(batches[grid], round(share * grid.steps), args.tries, workload.seed)
        found.append({"steps": grid.steps, "shift": grid.shift, "share": share, **own})
        result = {
            **replace(workload, steps=grid.steps).header(),
            **date_and_commit(),
            "psnr_convention": PSNR_CONVENTION,
            "prompts": prompts,
            "seconds": round(time.monotonic() - began, 1),
            "searches": found,
        }
        write(finite(result), args.out)


if __name__ == "__main__":
    run_program("oracle", main)
