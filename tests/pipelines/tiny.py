"""What a row of the pipeline tests is: a small pipeline with random weights, and how to call it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch

from bwcache.cache.block_gate import in_calling_order
from bwcache.cache.find_blocks import stack_of


@dataclass(frozen=True)
class Tiny:
    """A pipeline of a few thousand random weights, built in code; nothing is downloaded.

    Args:
        pipe: The pipeline, on the CPU, in float32, its progress bar off.
        arguments: Of its call, apart from steps and generator; the output type is latents.
        read: Takes the latents out of what the call returns.
        steps: What to ask for.
    """

    pipe: object
    arguments: Mapping[str, object]
    read: Callable[[object], torch.Tensor] = field(default=lambda output: output.frames)
    steps: int = 6

    def run(self, seed: int = 0, **changes) -> torch.Tensor:
        """The latents of one call."""
        given = {
            **self.arguments,
            "num_inference_steps": self.steps,
            "generator": torch.Generator().manual_seed(seed),
        }
        return self.read(self.pipe(**{**given, **changes}))

    @property
    def transformers(self) -> list[torch.nn.Module]:
        """One, or two that take turns."""
        found = [getattr(self.pipe, name, None) for name in ("transformer", "transformer_2")]
        return [transformer for transformer in found if transformer is not None]

    @property
    def blocks(self) -> list[torch.nn.Module]:
        """All that a reused step passes by."""
        stacks = [(transformer, stack_of(transformer, None)) for transformer in self.transformers]
        return [block for each in stacks for block in in_calling_order(*each)]

    def insides(self) -> list[list]:
        """Which attributes each part has of its own, and how many hooks."""
        modules = [module for each in self.transformers for module in each.modules()]
        hooks = [len(module._forward_pre_hooks) for module in modules]
        return [sorted(vars(part)) for part in [self.pipe.scheduler, *modules]] + [hooks]
