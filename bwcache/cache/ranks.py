"""Several processes that compute one video together: what each has to know to decide alike.

Context parallelism splits a video's tokens among processes. Each would measure its own part and,
near the threshold, decide by itself: one computes and waits in a collective operation for the
others, who do not. So sums are added up over all of them before anything is decided.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
import torch.distributed as dist


@dataclass(frozen=True)
class Ranks:
    """The processes that share one transformer call.

    Args:
        group: Of `torch.distributed`.
        rank: This one's place in it.
        size: How many there are.
    """

    group: object
    rank: int
    size: int

    @classmethod
    def of(cls, transformer: torch.nn.Module, group: Any = None) -> Ranks | None:
        """Those of a transformer that diffusers has split, or of a given group; None for one."""
        if group is None:
            config = getattr(transformer, "_parallel_config", None)
            parallel = getattr(config, "context_parallel_config", None)
            mesh = getattr(parallel, "_flattened_mesh", None)
            if mesh is None:
                return None
            group = mesh.get_group()
        size = dist.get_world_size(group)
        return cls(group, dist.get_rank(group), size) if size > 1 else None

    def add_up(self, sums: torch.Tensor) -> torch.Tensor:
        """The sum over all processes; every one of them has to ask for it."""
        sums = sums.contiguous()
        dist.all_reduce(sums, group=self.group)
        return sums

    def part(self, whole: torch.Tensor | None, like: torch.Tensor | None) -> torch.Tensor | None:
        """This process' part of a tensor that the first block splits; others as they are.

        Args:
            whole: What went in.
            like: What came out, here.
        """
        if whole is None or like is None or whole.ndim != like.ndim:
            return whole
        for axis, (all_of_it, here) in enumerate(zip(whole.shape, like.shape, strict=True)):
            if here != all_of_it and whole.shape[:axis] == like.shape[:axis]:
                parts = whole.chunk(self.size, dim=axis)
                if len(parts) == self.size and parts[self.rank].shape == like.shape:
                    return parts[self.rank]
        return whole


@lru_cache(maxsize=64)
def rows_of_part(
    batch: int, tokens: int, every: int, rank: int, size: int, device: torch.device
) -> torch.Tensor:
    """Which of its rows a process samples, so that all together sample as one would.

    Args:
        batch, tokens: Of the features here, `[batch, tokens, channels]`; alike in all processes.
        every: Of the rows of the whole, every so many-th is sampled.
        rank, size: See `Ranks`.

    Returns:
        Indices into the `batch · tokens` rows here.
    """
    row = torch.arange(batch * tokens)
    whole = row // tokens * (tokens * size) + rank * tokens + row % tokens
    return row[whole % every == 0].to(device)
