"""Measure settings over eight prompts, and pick a model's Safe, Balanced and Fast from them.

    python -m bwcache.bench.presets --thresholds 0.05 0.1 --out assets/results/MODEL-presets.json

Each prompt's uncached run is made once, and the ruler's marks beside it. Each setting then runs on
it, beside an uncached control run with as many steps as the setting computed. The rule that picks
is `pick`, below: it goes by what one sees and by work done, and by no clock.
"""

from __future__ import annotations

import argparse
import json
from itertools import product
from pathlib import Path
from statistics import fmean, median
from typing import get_args

from tqdm import tqdm

from .. import models
from ..cache.methods.bwcache import BWCacheConfig, Reuse
from ..explore.ruler import measure_with
from ..files import ASSETS, check_file, write
from ..models.loading import load, result_of
from ..models.machine import default_device, describe_device, versions
from ..runs.baselines import BaselineStore, measuring
from ..runs.compare import compare
from ..runs.generate import generate
from ..runs.metrics import PSNR_CONVENTION, difference
from ..runs.request import Request
from ..runs.ruler import Ruler
from .frontier import IDENTICAL_DB
from .program import run_program
from .ruler import medians as ruler_medians
from .settings_to_try import INTERVALS

PROMPTS = ASSETS / "prompts" / "prompts.txt"
ROW_NUMBERS = ("speedup", "steps_computed", "trigger_step", "psnr_db", "ssim", "indicator_share")


def measure(model: str, prompts: list[str], configs: list[BWCacheConfig], device: str) -> dict:
    """Every setting on every prompt: one row each, and each prompt's uncached indicators."""
    spec, store = models.find(model), BaselineStore(limit=1)
    rows, curves, block_shares, rulers = [], [], [], []
    for prompt in tqdm(prompts, desc="prompts", unit="prompt"):
        controls: dict[int, float | None] = {}
        for config in tqdm(configs, desc=prompt, unit="setting", leave=False):
            request = Request(prompt, model, spec.steps, config=config)
            *_, finished = compare(request, store, device)
            baseline, _ = finished.runs
            computed = finished.summary.steps_computed
            if computed not in controls:
                given = ("control", prompt, 0, computed, measuring(spec))
                *_, control = generate(load(model, device), spec, *given)
                controls[computed] = difference(control.frames, baseline.frames).psnr_db
            row = {name: getattr(finished.summary, name) for name in ROW_NUMBERS}
            rows.append(
                {
                    "prompt": prompt,
                    "config": config.as_dict(),
                    **row,
                    "control_psnr_db": controls[computed],
                }
            )
        pipe, request = load(model, device), Request(prompt, model, spec.steps)
        rulers.append(result_of(measure_with(pipe, spec, request, baseline)))
        curves.append(baseline.trace.indicators)
        block_shares.append(finished.summary.block_share)
    return {
        "ruler": ruler_medians(rulers).as_dict(),
        "rows": rows,
        "indicators": curves,
        "block_share": median(block_shares),
    }


def medians(rows: list[dict]) -> list[dict]:
    """The median of each setting over its prompts; identical videos count as 99 dB."""
    found = {}
    for row in rows:
        found.setdefault(json.dumps(row["config"], sort_keys=True), []).append(row)
    table = []
    for same in found.values():
        entry = {"config": same[0]["config"], "prompts": len(same)}
        for name in ("speedup", "steps_computed", "psnr_db", "control_psnr_db", "ssim"):
            values = [IDENTICAL_DB if row[name] is None else row[name] for row in same]
            entry[name] = median(values)
            entry[f"{name}_range"] = [min(values), max(values)]
        table.append(entry)
    return sorted(table, key=lambda entry: entry["speedup"])


def mean_psnr_by_reuse(rows: list[dict]) -> dict[str, float]:
    """Mean dB of each reading of what is replayed, over the same settings and prompts."""
    found = {}
    for row in rows:
        if row["psnr_db"] is not None:
            found.setdefault(row["config"]["reuse"], []).append(row["psnr_db"])
    return {reuse: fmean(values) for reuse, values in found.items()}


def pick(table: list[dict], ruler: Ruler) -> dict[str, dict]:
    """The presets, each the least work that stays on its side of a mark.

    Safe: as close as the uncached video is to one of twice the steps, which nobody can see.
    Balanced: halfway from there to where half the steps come, in dB. Both are closer than as many
    uncached steps as they compute. Fast: nearer to half the steps than to another seed; whether it
    is closer than as few uncached steps is for the page to say. Where nothing is that close, the
    closest of what computes fewer steps than the one before.

    Args:
        table: Medians by setting, whatever they replay.
        ruler: The model's marks, measured over the same prompts.
    """
    marks = {
        mark.name: IDENTICAL_DB if mark.psnr_db is None else mark.psnr_db for mark in ruler.marks
    }
    exact, half, other = (marks[name] for name in ("twice_steps", "half_steps", "other_seed"))
    goals = (("Safe", exact), ("Balanced", (exact + half) / 2), ("Fast", (half + other) / 2))
    left = list(table)
    chosen: dict[str, dict] = {}
    for name, least in goals:
        close = [
            entry
            for entry in left
            if entry["psnr_db"] >= least
            and (name == "Fast" or entry["psnr_db"] >= entry["control_psnr_db"])
        ]
        if close:
            best = min(close, key=lambda entry: (entry["steps_computed"], -entry["psnr_db"]))
        elif left:
            best = max(left, key=lambda entry: (entry["psnr_db"], -entry["steps_computed"]))
        else:  # the sweep has nothing that computes fewer steps
            break
        chosen[name] = best
        left = [entry for entry in left if entry["steps_computed"] < best["steps_computed"]]
    return chosen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="tinyworld")
    parser.add_argument("--prompts", type=Path, default=PROMPTS)
    parser.add_argument("--thresholds", type=float, nargs="+", required=True)
    parser.add_argument("--intervals", type=int, nargs="+", default=INTERVALS)
    parser.add_argument("--reuse", nargs="+", default=list(get_args(Reuse)), help="ways to replay")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    check_file(args.out)
    prompts = args.prompts.read_text(encoding="utf-8").splitlines()
    configs = [
        BWCacheConfig(threshold, interval, reuse=reuse)
        for threshold, interval, reuse in product(args.thresholds, args.intervals, args.reuse)
    ]
    device = default_device()
    measured = measure(args.model, prompts, configs, device)
    table = medians(measured["rows"])
    result = {
        "model": args.model,
        "device": describe_device(device),
        "versions": versions(),
        "seed": 0,
        "psnr_convention": PSNR_CONVENTION,
        "presets": pick(table, Ruler.from_dict(measured["ruler"])),
        "mean_psnr_by_reuse": mean_psnr_by_reuse(measured["rows"]),
        "settings": table,
        **measured,
    }
    write(result, args.out)
    for entry in table:
        config = entry["config"]
        print(
            f"δ {config['threshold']:<6} R {config['reuse_interval']} {config['reuse']:8} "
            f"{entry['speedup']:.2f}× {entry['steps_computed']:4.0f} computed "
            f"{entry['psnr_db']:.1f} dB (control {entry['control_psnr_db']:.1f} dB)"
        )


if __name__ == "__main__":
    run_program("presets", main)
