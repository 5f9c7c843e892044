"""What caching adds to a step at a real model's shapes: operations, bytes kept, host reads.

Fake tensors have shapes, types and devices, and no data: a model of any size runs in seconds on any
machine. So the cost of the engine can be held to a committed budget where there is no GPU.

    python -m tests.pipelines.budget          prints it; `--write` puts it into assets/results/
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from types import SimpleNamespace
from unittest import mock

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, WanTransformer3DModel
from torch._subclasses import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from bwcache import BWCacheConfig, Method, cached
from bwcache.cache import readings
from bwcache.files import ASSETS

FILE = ASSETS / "results" / "wan-1.3b-budget.json"
BRANCHES = ("cond", "uncond")
STEPS = 5


@dataclass(frozen=True)
class Added:
    """What a method adds at one model's shapes.

    Args:
        model: Whose shapes.
        blocks: Of a call.
        branches: Calls a step, for guidance.
        operations_per_block: That a computed step adds, over all branches, divided by the blocks
            that ran.
        operations_per_step: That a computed step adds in all.
        reused_operations: Of a reused step, in all; nothing but embedding, replay and head.
        plain_operations: Of a step without caching.
        stack_bytes: One tensor of the stack's output, for all branches.
        replay_bytes: Kept between steps to replay.
        sample_bytes: Kept between steps to measure with.
        host_reads: Waits for the device in a computed step.
    """

    model: str
    blocks: int
    branches: int
    operations_per_block: float
    operations_per_step: int
    reused_operations: int
    plain_operations: int
    stack_bytes: int
    replay_bytes: int
    sample_bytes: int
    host_reads: int


class _Operations(TorchDispatchMode):
    """Counts the operations inside."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += 1
        return function(*args, **(kwargs or {}))


@contextmanager
def _default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def wan_1_3b() -> tuple[torch.nn.Module, Callable[[], object]]:
    """Wan 2.1 1.3B at 832 × 480 and 81 frames in bfloat16, and a call of one branch."""
    with _default_dtype(torch.bfloat16):
        model = WanTransformer3DModel(
            num_attention_heads=12, attention_head_dim=128, ffn_dim=8960, num_layers=30
        ).eval()
        latents, text = torch.empty(1, 16, 21, 60, 104), torch.empty(1, 512, 4096)

    def call() -> object:
        return model(
            hidden_states=latents,
            timestep=torch.empty(1, dtype=torch.float32),
            encoder_hidden_states=text,
            return_dict=False,
        )

    return model, call


def added(method: Method | None = None) -> Added:
    """Count what a method adds to a step of Wan 2.1 1.3B at 480p.

    Args:
        method: What to count; BWCache, reusing whatever it can, where None.
    """
    method = BWCacheConfig(threshold=1e6, reuse_interval=1) if method is None else method
    levels = [1 - step / STEPS for step in range(STEPS)]
    reads: list[int] = []

    def read(numbers):
        """Fake tensors hold no numbers: any finite ones will do."""
        reads.extend([1] * bool(numbers))
        return {name: (0.1,) * len(values) for name, values in numbers.items()}

    with FakeTensorMode() as fake:
        model, call = wan_1_3b()
        with torch.no_grad(), _Operations() as operations:
            for branch in BRANCHES:
                with model.cache_context(branch):
                    output = call()
        plain, tokens = operations.count, 21 * 30 * 52
        del output
    steps = []
    scheduler = FlowMatchEulerDiscreteScheduler()
    pipe = SimpleNamespace(transformer=model, scheduler=scheduler, device=torch.device("cpu"))
    kept = (0, 0)
    with mock.patch.object(readings, "_on_host", read), cached(pipe, method) as run:
        run.begin(STEPS, levels)
        for level in levels:
            before = len(reads)
            with fake, torch.no_grad(), _Operations() as operations:
                for branch in BRANCHES:
                    with model.cache_context(branch):
                        call()
                if len(steps) < STEPS - 1:  # after its last step a run keeps nothing
                    kept = (
                        sum(_bytes(branch.replay_tensors) for branch in run.branches),
                        sum(_bytes(branch.sample_tensors) for branch in run.branches),
                    )
                run.step(timestep=1000 * level)
            steps.append((operations.count, len(reads) - before))
    by_action = {record.action: steps[record.step_index] for record in run.trace.steps[1:]}
    blocks = run.trace.num_blocks
    computed, reused = by_action["compute"], by_action.get("reuse", by_action["compute"])
    stack = len(BRANCHES) * tokens * 12 * 128 * 2
    return Added(
        "Wan 2.1 1.3B, 832 × 480, 81 frames, bfloat16",
        blocks,
        len(BRANCHES),
        round((computed[0] - plain) / (blocks * len(BRANCHES)), 3),
        computed[0] - plain,
        reused[0],
        plain,
        stack,
        *kept,
        computed[1],
    )


def _bytes(tensors: list[torch.Tensor]) -> int:
    return sum(x.numel() * x.element_size() for x in tensors)


def main(arguments: list[str]) -> None:
    """Print the count, or write it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true", help=f"to {FILE.name}")
    text = json.dumps(asdict(added()), indent=1) + "\n"
    if parser.parse_args(arguments).write:
        FILE.write_text(text, encoding="utf-8")
    print(text, end="")


if __name__ == "__main__":
    main(sys.argv[1:])
