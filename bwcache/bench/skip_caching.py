"""Skip-Cache beside other methods on the model that has long skips, and what its presets are.

    python -m bwcache.bench.skip_caching --out assets/results/tinyworld-skip.json

On some prompts thresholds and presets are chosen, on others all is reported; one
run after the other, each prompt against its own uncached run. The table in `docs/methods` is made
of the file. No speed is told: work is counted.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from tqdm import tqdm

from ..cache.method import Method
from ..cache.methods import from_dict
from ..cache.methods.bwcache import BWCacheConfig
from ..cache.methods.first_block_cache import FirstBlockCacheConfig
from ..cache.methods.fora import FORAConfig
from ..cache.methods.skip_cache import SkipCacheConfig
from ..explore.families import Family
from ..files import ASSETS, check_file, finite, write
from ..runs.metrics import PSNR_CONVENTION
from .frontier import IDENTICAL_DB
from .method_pages import PAGES
from .methods import date_and_commit
from .methods_plan import CHOOSE, Grid, Plan, prompts_of, reported_prompts
from .methods_runs import Runs
from .program import run_program
from .workload import Workload

MODEL, STEPS, PROMPTS = "tinyworld-skip", 30, 6
RESULTS = ASSETS / "results" / f"{MODEL}.json"
PAGE = PAGES / f"{SkipCacheConfig.name}.md"
BEGIN, END = "<!-- made by bwcache.bench.skip_caching -->", "<!-- end of the table -->"
PERIODS, ENDS = (2, 3, 4), (1, 2, 3)
WHOLE = {  # reported as they are
    SkipCacheConfig.name: [SkipCacheConfig(n, d) for d in ENDS for n in PERIODS],
    FORAConfig.name: [FORAConfig(n) for n in PERIODS],
}
TRIED = {  # of these, those that no other one beats in both work and closeness
    BWCacheConfig.name: [
        BWCacheConfig(threshold, interval, reuse="forecast")
        for threshold in (0.05, 0.08)
        for interval in (2, 4)
    ],
    FirstBlockCacheConfig.name: [FirstBlockCacheConfig(x) for x in (0.06, 0.12, 0.24)],
}
# a preset is the closest of the settings that compute at most this share of the work, and less than
# the preset before it
PRESETS: Mapping[str, float] = {"Safe": 0.8, "Balanced": 0.65, "Fast": 0.5}
MOST_REPORTED = 4
Point = dict[str, Any]


def front(points: Sequence[Point]) -> list[Point]:
    """The points that none of the others beats, most work first; at most `MOST_REPORTED`."""
    found: list[Point] = []
    for each in sorted(points, key=lambda one: (one["compute_share"], -one["psnr_db"])):
        if each["compute_share"] < 1 and (not found or each["psnr_db"] > found[-1]["psnr_db"]):
            found.append(each)
    if len(found) > MOST_REPORTED:  # evenly over what there is
        last = len(found) - 1
        found = [found[round(i * last / (MOST_REPORTED - 1))] for i in range(MOST_REPORTED)]
    return found[::-1]


def presets(points: Sequence[Point]) -> dict[str, Point]:
    """The closest setting within each preset's share of the work; none where there is none."""
    found: dict[str, Point] = {}
    left = list(points)
    for name, most in PRESETS.items():
        if within := [each for each in left if each["compute_share"] <= most]:
            best = found[name] = max(within, key=lambda one: one["psnr_db"])
            left = [each for each in left if each["compute_share"] < best["compute_share"]]
    return found


def measured(runs: Runs, grid: Grid, config: Method, prompts: Sequence[str]) -> Point:
    """A setting over prompts."""
    family = Family(config.name, config.title, type(config), config.as_dict())
    rows = [runs.numbers(grid, family, None, prompt) for prompt in prompts]
    decibels = [row["psnr_db"] for row in rows]
    return {
        "method": config.name,
        "config": config.as_dict(),
        "compute_share": fmean(row["compute_share"] for row in rows),
        "psnr_db": fmean(decibels),
        "psnr_db_worst": min(decibels),
        "psnr_db_best": max(decibels),
        "psnr_db_of_each": decibels,
        "ssim": fmean(row["ssim"] for row in rows),
    }


def measure(workload: Workload, choose: Sequence[str], report: Sequence[str]) -> dict[str, Any]:
    """Choose on some prompts, report on others; see the module."""
    grid = Grid(workload.spec.steps)

    def runs_of(prompts: Sequence[str]) -> Runs:
        plan = Plan((), (grid,), (), prompts, converged=False, seen=0, raced=0)
        return Runs(workload, plan, timed=False)

    def over(prompts: Sequence[str], configs: Sequence[Method], what: str) -> list[Point]:
        runs = runs_of(prompts)
        bar = tqdm(configs, desc=what, unit="setting")
        return [measured(runs, grid, config, prompts) for config in bar]

    own = WHOLE[SkipCacheConfig.name]
    chosen = over(choose, [*own, *(each for tried in TRIED.values() for each in tried)], "choose")
    kept = [
        from_dict(name, each["config"])
        for name in TRIED
        for each in front([one for one in chosen if one["method"] == name])
    ]
    reported = [*(each for whole in WHOLE.values() for each in whole), *kept]
    return {
        **workload.header(),
        **date_and_commit(),
        "psnr_convention": f"{PSNR_CONVENTION}; {IDENTICAL_DB:g} dB where identical",
        "prompts_to_choose": list(choose),
        "prompts_reported": list(report),
        "presets": presets([each for each in chosen if each["method"] == SkipCacheConfig.name]),
        "preset_shares": dict(PRESETS),
        "chosen_among": chosen,
        "points": over(report, reported, "report"),
    }


def table(found: Mapping[str, Any]) -> str:
    """The reported points as Markdown, by method."""
    rows = [
        f"| {_words(each)} | {100 * each['compute_share']:.0f} % | {each['psnr_db']:.1f} dB "
        f"({each['psnr_db_worst']:.1f} to {each['psnr_db_best']:.1f}) |"
        for each in found["points"]
    ]
    return "\n".join(
        [
            BEGIN,
            f"`{found['model']}`, {found['steps']} steps, {len(found['prompts_reported'])} prompts "
            "that chose nothing, measured on",
            f"`{found['device']}`; work is the share of block evaluations, PSNR that to the "
            "uncached run:",
            "mean, worst and best prompt",
            f"([every prompt](../../assets/results/{found['model']}.json)).",
            "",
            "| setting | work | PSNR |",
            "|---|---|---|",
            *rows,
            END,
        ]
    )


def _words(point: Point) -> str:
    config = from_dict(point["method"], point["config"])
    match config:
        case SkipCacheConfig():
            return f"Skip-Cache, period {config.period}, {config.computed_blocks} at each end"
        case BWCacheConfig():
            return f"BWCache, threshold {config.threshold:g}, interval {config.reuse_interval}"
    knob = config.knobs()[0].name
    return f"{config.title}, {knob} {getattr(config, knob):g}"


def with_table(page: str, made: str) -> str:
    """A page with its table made anew, at its end where it has none yet."""
    if BEGIN not in page:
        return f"{page.rstrip()}\n\n{made}\n"
    before, _, rest = page.partition(BEGIN)
    return before + made + rest.partition(END)[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--device", choices=("cpu", "cuda"))
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--prompts", type=int, default=PROMPTS, help="reported (%(default)s)")
    parser.add_argument("--choose", type=int, default=PROMPTS, help="that choose (%(default)s)")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    check_file(args.out)
    workload = Workload(args.model, args.device, steps=args.steps)
    found = measure(workload, prompts_of(CHOOSE)[-args.choose :], reported_prompts(args.prompts))
    write(finite(found), args.out)
    if args.out.resolve() == RESULTS.resolve():
        page = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(with_table(page, table(found)), encoding="utf-8")
    print(table(found))


if __name__ == "__main__":
    run_program("skip_caching", main)
