"""`bwcache sweep`: many settings over many prompts, or the one setting that meets a goal."""

from __future__ import annotations

import argparse
import re
from contextlib import nullcontext
from itertools import product
from pathlib import Path
from typing import Any

from .. import models
from ..cache.method import Method
from ..cache.methods import METHODS, find_method
from ..cache.methods.bwcache import BWCacheConfig, parse_interval
from ..errors import ConfigError
from ..explore.results_file import ResultsFile
from ..explore.search import MOST_TRIALS, Goal
from ..explore.sweep.plan import Group, Plan
from ..explore.sweep.prompts import Prompt, read_prompts
from ..files import check_file
from ..models import ModelSpec
from .arguments import (
    add_json_argument,
    add_metrics_argument,
    listed,
    threshold,
    usual_settings,
)

HELP = "many settings over many prompts, or the setting that meets a goal"
MOST_ALLOWED = 100  # trials of a search
MOST_SEEDS = 10_000
LAYOUTS = ("named", "vbench")
OF_BWCACHE = {"thresholds": "threshold", "intervals": "reuse_interval", "reuse": "reuse"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    prompts = parser.add_mutually_exclusive_group(required=True)
    prompts.add_argument("--prompt", help="what the video shows")
    prompts.add_argument(
        "--prompts",
        type=Path,
        help="file of prompts: text, JSON lines, VBench's JSON or folder of text files",
    )
    parser.add_argument("--dimension", type=listed(str), help="of VBench's prompts, only these")
    add = parser.add_argument
    add("--model", "--models", type=listed(str), default=["tinyworld"], help="such as tinyworld")
    add("--steps", type=int, help="denoising steps; each model's own by default")
    add("--seed", "--seeds", type=_seeds, default=[0], help="of the noise, such as 0 or 0-4 or 3,7")
    add("--device", choices=("cpu", "cuda"), help="the best there is by default")
    add("--random-weights", action="store_true", help="real shapes and costs, nothing downloaded")
    add("--method", "--methods", type=listed(str), help=f"such as a,b, of {','.join(METHODS)}")
    add(
        "--set",
        action="append",
        default=[],
        metavar="[METHOD.]NAME=VALUE,...",
        help="values to try of a method's setting, such as first_block_cache.threshold=0.05,0.1; "
        "every one with every other; lists of numbers are parted by ';'",
    )
    add("--thresholds", type=listed(threshold), help="of bwcache, such as 0.05,0.1")
    add("--intervals", type=listed(parse_interval), help="of bwcache, such as 1,2,4")
    add("--reuse", type=listed(str), help="of bwcache, such as residual,forecast")
    add("--out", type=Path, help="file that a line is added to for each run")
    add("--retries", type=int, default=2, help="of a job that went wrong (%(default)s)")
    add("--videos", type=Path, help="folder for the videos, one within it for each setting")
    add("--layout", choices=LAYOUTS, default="named", help="names of videos (%(default)s)")
    add_metrics_argument(parser, ("psnr", "ssim"))
    add("--goal", help="psnr=30 (dB, at least) or speedup=2 (times, at least)")
    add("--trials", type=int, default=MOST_TRIALS, help="of a goal, at most")
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Run the search or the sweep; its result in a table, or as JSON, on stdout."""
    goal = None if args.goal is None else Goal.parse(args.goal)
    chosen = args.thresholds is not None or args.method is not None or args.set
    if goal is None and not chosen:
        raise ConfigError("thresholds", None, "such as 0.1,0.15, a --method, or a --goal")
    if goal is None and args.out is None:
        raise ConfigError("out", None, "the file that the results are added to")
    if not 1 <= args.trials <= MOST_ALLOWED:
        raise ConfigError("trials", args.trials, f"a whole number from 1 to {MOST_ALLOWED}")
    if not 0 <= args.retries <= MOST_ALLOWED:
        raise ConfigError("retries", args.retries, f"a whole number from 0 to {MOST_ALLOWED}")
    plan = plan_of(args)
    if goal is None:
        from .sweep_jobs import run_jobs

        return run_jobs(args, plan)
    if len(plan.groups) > 1:
        texts = list(dict.fromkeys(group.prompt for group in plan.groups))
        given = f"{len(texts)} prompts" if len(texts) > 1 else f"{len(plan.groups)} runs"
        raise ConfigError("prompts", given, "one for a goal, one model and one seed")
    from .sweep_goal import find_setting

    file = None
    if args.out is not None:
        check_file(args.out)
        file = ResultsFile(args.out)
        file.rows()
    with nullcontext() if file is None else file.alone():
        return find_setting(args, plan.request(next(plan.jobs(0))), goal, file)


def plan_of(args: argparse.Namespace) -> Plan:
    """The jobs that were asked for.

    Raises:
        ConfigError: A model, method, setting, prompt or seed cannot be used.
    """
    prompts = [Prompt(args.prompt)]
    if args.prompts is not None:
        prompts = read_prompts(args.prompts, args.dimension)
    elif args.dimension is not None:
        raise ConfigError("dimension", ",".join(args.dimension), "a choice among --prompts")
    specs = [models.find(name) for name in dict.fromkeys(args.model)]
    for spec in specs:
        models.check_image(spec, None)
    grids = _grids(args)
    if args.goal is not None and list(grids) != [BWCacheConfig]:
        names = ", ".join(method.name for method in grids)
        raise ConfigError("method", names, "bwcache, among whose settings a search chooses")

    def steps(prompt: Prompt, spec: ModelSpec) -> int:
        return next(n for n in (prompt.steps, args.steps, spec.steps) if n is not None)

    groups = [
        Group(spec.name, prompt.text, seed, steps(prompt, spec), sample)
        for spec in specs
        for prompt in prompts
        for sample, seed in enumerate(prompt.seeds or args.seed)
    ]
    once: dict[tuple[object, ...], Group] = {}
    for group in groups:
        once.setdefault(group.shared, group)
    plan = Plan(
        list(once.values()),
        {spec.name: _settings(spec, grids, args.goal is None) for spec in specs},
        args.random_weights,
    )
    for index, group in enumerate(plan.groups):
        plan.request(next(plan.jobs(index)))
        models.check_prompt(models.find(group.model), group.prompt)
    return plan


def _grids(args: argparse.Namespace) -> dict[type[Method], dict[str, list[Any]]]:
    """For each method its settings to vary, and the values of each."""
    named = [text.partition("=")[0].partition(".") for text in args.set]
    names = args.method or [
        *(BWCacheConfig.name for option in OF_BWCACHE if getattr(args, option) is not None),
        *(method for method, dot, _ in named if dot),
    ]
    methods = [find_method(name) for name in dict.fromkeys(names or [BWCacheConfig.name])]
    grids: dict[type[Method], dict[str, list[Any]]] = {method: {} for method in methods}
    for option, name in OF_BWCACHE.items():
        values = getattr(args, option)
        if values is None:
            continue
        if BWCacheConfig not in grids:
            raise ConfigError(option, values, "left out without bwcache among the methods")
        grids[BWCacheConfig][name] = list(values)
    for text in args.set:
        where, equals, values = text.partition("=")
        wanted, dot, name = where.rpartition(".")
        having = [
            method
            for method in methods
            if (not dot or method.name == wanted) and name in [knob.name for knob in method.knobs()]
        ]
        if not equals or not having:
            allowed = "[METHOD.]NAME=VALUE,... of a method that is swept and one of its settings: "
            shown = methods[0] if not dot else next((m for m in methods if m.name == wanted), None)
            known = [m.name for m in methods] if shown is None else [k.name for k in shown.knobs()]
            raise ConfigError("set", text, allowed + ", ".join(known))
        for method in having:
            knob = method.knob(name)
            parts = values.split(";" if knob.kind == "numbers" else ",")
            grids[method][name] = [knob.read(part) for part in parts]
    return grids


def _settings(
    spec: ModelSpec, grids: dict[type[Method], dict[str, list[Any]]], sweeping: bool
) -> list[Method]:
    """A model's settings to try: of each method every value with every other."""
    found: list[Method] = []
    for method, grid in grids.items():
        own = method.knobs()[0].name
        if not sweeping:  # a search chooses among thresholds itself
            grid = {"threshold": [0.0], "reuse_interval": [1]} | grid
        for values in product(*grid.values()):
            asked = dict(zip(grid, values, strict=True))
            usual = usual_settings(spec, method, own in asked)
            if method is BWCacheConfig and own in asked:
                usual["reuse_interval"] = spec.default_preset.config.reuse_interval
            config = method.from_dict({**usual, **asked})
            spec.check_method(config)
            found.append(config)
    return list(dict.fromkeys(found))


def _seeds(text: str) -> list[int]:
    """Reads "0", "3,7", "0-4"."""
    found: list[int] = []
    for part in text.split(","):
        span = re.fullmatch(r"\s*(\d{1,10})-(\d{1,10})\s*", part)
        try:
            low, high = map(int, span.groups()) if span else (int(part), int(part))
        except ValueError:
            low, high = 1, 0
        if high < low or high - low >= MOST_SEEDS:
            allowed = f"whole numbers such as 0 or 0-4, {MOST_SEEDS} at most"
            raise argparse.ArgumentTypeError(str(ConfigError("seed", part, allowed)))
        found += range(low, high + 1)
    return list(dict.fromkeys(found))
