"""One of two processes that share a video by context parallelism, on a CPU by gloo.

Run as a program: rank, rendezvous file, place for what it finds, and the jobs as JSON: for each a
model, how it is split, and runs.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
import torch.distributed as dist
from diffusers import ContextParallelConfig
from torch import nn

from bwcache import BWCacheConfig, CacheError, cached
from bwcache.cache.context_parallel import mesh_of, split
from bwcache.cache.method import WHOLE, Method, Plan
from bwcache.cache.methods import METHODS
from tests.pipelines.tiny import Tiny
from tests.pipelines.zoo_cog_ltx import cogvideox, ltx_t2v
from tests.pipelines.zoo_hunyuan import hunyuan_t2v
from tests.pipelines.zoo_wan import wan21_t2v, wan22_t2v, wan22_ti2v
from tests.toy import ToyPipeline

MODELS = {
    "wan": wan21_t2v,
    "wan2.2": wan22_t2v,
    "wan-ti2v": wan22_ti2v,
    "cogvideox": cogvideox,
    "hunyuan": hunyuan_t2v,
    "ltx": ltx_t2v,
}


def results(tiny: Tiny, runs: list[dict]) -> list[dict]:
    """What each run measures, decides, keeps and gives.

    Args:
        tiny: The pipeline.
        runs: For each the `method`, its `settings`, and changes to the pipeline's `call`.
    """
    return [one_run(tiny, **given) for given in runs]


def one_run(tiny: Tiny, method: str, settings: dict, call: dict | None = None) -> dict:
    kept = []

    def weigh(record, latents):
        tensors = [x for branch in run.branches for x in branch.replay_tensors]
        kept.append(sum(x.numel() * x.element_size() for x in tensors))

    try:
        with cached(tiny.pipe, METHODS[method](**settings), on_step=weigh) as run:
            latents = tiny.run(**(call or {}))
    except CacheError as error:
        return {"refused": str(error)}
    return {
        "blocks": [step.blocks for step in run.trace.steps],
        "reasons": [step.reason for step in run.trace.steps],
        "numbers": [
            {**step.numbers, **({} if step.distances is None else {"features": step.distances})}
            for step in run.trace.steps
        ],
        "indicators": run.trace.indicators,
        "latents": latents.flatten().tolist(),
        "kept": kept,
    }


# -- a model whose numbers one can do by hand -----------------------------------------------------


class Growing(nn.Module):
    """A block whose output grows from step to step by a share of its own in each process."""

    def __init__(self, growth: float):
        super().__init__()
        self.growth, self.spoilt_from = growth, None

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        dist.all_reduce(torch.zeros(1))  # as an attention over all tokens would wait for the others
        step = int(hidden_states.flatten()[0]) - 1
        grown = torch.full((1, 4, 3), (1 + self.growth) ** step)
        return grown * torch.nan if step == self.spoilt_from else grown


class OneBlock(nn.Module):
    def __init__(self, growth: float):
        super().__init__()
        self.blocks = nn.ModuleList([Growing(growth)])

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        return self.blocks[0](hidden_states)


@dataclass(frozen=True)
class Whim(Method):
    """Reuses as a lot falls, or as a clock says, which no two processes have alike."""

    name = "whim"
    clock: bool = False

    def begin(self, run):
        return None

    def decide(self, state, seen):
        odd = time.perf_counter_ns() // 100 % 2 if self.clock else random.random() < 0.5
        return Plan((WHOLE,) if odd else (), None, "odd" if odd else "even"), None


def toy_results(rank: int, growths: list[float], thresholds: list[float]) -> dict:
    """What is decided at thresholds, by whims, and with a number that is not one in one process."""
    random.seed(rank)
    pipe = ToyPipeline(transformer=OneBlock(growths[rank]))
    found = {}

    def run(name: str, config: Method) -> None:
        with cached(pipe, config, group=dist.group.WORLD) as state:
            pipe(12)
        found[name] = {"letters": state.trace.letters, "indicators": state.trace.indicators}

    eager = partial(BWCacheConfig, reuse_interval=1, gate="recheck", tail_fraction=0.0)
    for threshold in thresholds:
        run(str(threshold), eager(threshold))
    run("lots", Whim())
    run("clock", Whim(clock=True))
    if rank:
        pipe.transformer.blocks[0].spoilt_from = 4
    run("spoilt", eager(max(thresholds) * 10, warm_up_steps=5))
    return found


# -- the program -----------------------------------------------------------------------------------


def share(tiny: Tiny, way: str) -> None:
    """Split the pipeline's transformers by diffusers alone, or by `split`."""
    for transformer in tiny.transformers:
        if way == "split":
            split(transformer, mesh_of(2, "cpu"))
        else:
            torch.accelerator.device_count = lambda: 1  # diffusers divides by it
            transformer.set_attention_backend("native")
            transformer.enable_parallelism(config=ContextParallelConfig(ulysses_degree=2))


def main(rank: int, meeting: str, out: str, jobs: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    found = []
    for job in json.loads(jobs):
        if job["model"] == "toy":
            found.append(toy_results(rank, **job["given"]))
            continue
        tiny = MODELS[job["model"]]()
        share(tiny, job["way"])
        found.append(results(tiny, job["runs"]))
    Path(out).write_text(json.dumps(found), encoding="utf-8")
    while (
        not Path(out).with_name(f"{1 - rank}.json").exists()
    ):  # it may talk to this one until then
        time.sleep(0.05)
    os._exit(0)  # gloo may abort where two are taken apart at the same time


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
