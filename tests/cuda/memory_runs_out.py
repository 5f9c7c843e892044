"""A model that does not fit the device's memory whole, in a process of its own: prints a line of
JSON that `test_memory.py` reads.

    python -m tests.cuda.memory_runs_out
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import torch

from bwcache import BWCacheConfig, models
from bwcache.bench.narrow import narrowed
from bwcache.models import loading
from bwcache.models.progress import Loading
from bwcache.models.spec import Part
from bwcache.runs.compare import compare
from bwcache.runs.request import Request

MIB = 2**20
WIDTH = 1024
ALLOWED = 850 * MIB
NAME = "wan2.1-t2v-1.3b"


def too_large() -> models.ModelSpec:
    """A text encoder and a transformer of about 500 MiB each, at a tiny size."""
    spec = narrowed(models.find(NAME))
    parts = dict(spec.parts)
    transformer = dict(parts["transformer"].config)
    transformer |= {
        "num_attention_heads": 16,
        "attention_head_dim": 64,
        "text_dim": WIDTH,
        "ffn_dim": 30000,
        "num_layers": 4,
    }
    parts["transformer"] = Part("WanTransformer3DModel", transformer)
    text = dict(parts["text_encoder"].config)
    # many layers, so that what is computed in between stays small
    text |= {"d_model": WIDTH, "d_ff": 5000, "d_kv": 64, "num_heads": 1, "num_layers": 16}
    parts["text_encoder"] = Part(parts["text_encoder"].kind, text)
    return replace(spec, parts=parts)


def told(step_down):
    """Says on stderr what ran out, and what is still given out once it has been let go."""

    def wrapped(spec, device, failed, error, allowed):
        print(f"in mode {failed}: {error}", file=sys.stderr)
        try:
            return step_down(spec, device, failed, error, allowed)
        finally:
            left = torch.cuda.memory_allocated() // MIB
            print(f"after it {left} MiB are given out", file=sys.stderr)

    return wrapped


def main() -> None:
    loading._step_down = told(loading._step_down)
    spec = too_large()
    models.CATALOGUE = {**models.CATALOGUE, NAME: spec}
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(ALLOWED / total)
    config = BWCacheConfig(1e6, 1)
    # one after the other: of two in turns nobody can tell which one needed how much
    request = Request("a cat", NAME, 4, config=config, random_weights=True, sequential=True)
    found: list[dict[str, object]] = []
    frames = []
    for _ in range(2):
        stages, last = [], None
        for event in compare(request, device="cuda"):
            if isinstance(event, Loading):
                stages.append(event.stage)
            last = event
        frames.append(last.runs[1].frames)
        summary = last.summary
        found.append(
            {
                "stages": list(dict.fromkeys(stages)),
                "offload": summary.offload,
                "steps_reused": summary.steps_reused,
                "peak_memory_bytes": summary.peak_memory_bytes,
            }
        )
    loading.unload_all()
    torch._C._cuda_clearCublasWorkspaces()  # PyTorch's own, out of the same allocator
    left = torch.cuda.memory_allocated()
    same = bool((frames[0] == frames[1]).all())
    print(json.dumps({"runs": found, "same": same, "left_bytes": left}))


if __name__ == "__main__":
    main()
