"""One of two processes that share a video by diffusers' context parallelism, on a CPU by gloo.

Run as a program: rank, rendezvous file, place for the result, and the runs' settings as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from diffusers import ContextParallelConfig

from bwcache import BWCacheConfig, cached
from tests.pipelines.zoo_wan import wan21_t2v


def results(pipe_run, pipe, settings: list[dict]) -> list[dict]:
    """What each run decides and gives."""
    found = []
    for given in settings:
        with cached(pipe, BWCacheConfig(**given)) as run:
            latents = pipe_run()
        found.append(
            {
                "letters": run.trace.letters,
                "indicators": run.trace.indicators,
                "latents": latents.flatten().tolist(),
            }
        )
    return found


def main(rank: int, meeting: str, out: str, settings: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    torch.accelerator.device_count = lambda: 1  # diffusers divides by it
    tiny = wan21_t2v()
    tiny.pipe.transformer.set_attention_backend("native")
    tiny.pipe.transformer.enable_parallelism(config=ContextParallelConfig(ulysses_degree=2))
    Path(out).write_text(json.dumps(results(tiny.run, tiny.pipe, json.loads(settings))))
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
