"""Memory of the device that really runs out, and what caching keeps in it."""

import json
import subprocess
import sys
from pathlib import Path

import torch

from bwcache import BWCacheConfig, cached
from tests.cuda import memory_runs_out
from tests.cuda.on_device import on
from tests.pipelines.zoo_wan import wan21_t2v

ROOT = Path(__file__).parents[2]


def test_memory_runs_out_and_the_lighter_mode_is_tried(cuda, record_property):
    """The first comparison is made anew, one component at a time; the next begins that way."""
    command = [sys.executable, "-m", "tests.cuda.memory_runs_out"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert ended.returncode == 0, ended.stderr[-4000:]
    record_property("stderr", ended.stderr[-2000:])
    told = json.loads(ended.stdout.splitlines()[-1])
    record_property("told", told)
    first, second = told["runs"]
    assert "retry" in first["stages"]
    assert first["offload"] == second["offload"] == "model"
    assert "retry" not in second["stages"]
    assert first["steps_reused"] == second["steps_reused"] > 0
    assert first["peak_memory_bytes"] < memory_runs_out.ALLOWED
    assert told["same"]
    assert told["left_bytes"] < 64 * 2**20  # of the model's 1,000 MiB nothing


def test_leaving_gives_every_byte_back(cuda):
    tiny = on(wan21_t2v(), cuda)
    tiny.run()
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    for reuse in ("residual", "output", "forecast"):
        with cached(tiny.pipe, BWCacheConfig(1e6, 2, reuse=reuse)):
            tiny.run()
        torch.cuda.synchronize()
        assert torch.cuda.memory_allocated() <= before
