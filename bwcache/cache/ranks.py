"""Several processes that compute one video together: what each has to know to decide alike.

Context parallelism splits a video's tokens among processes. Each would measure its own part and,
near the threshold, decide by itself: one computes and waits in a collective operation for the
others, who do not. So sums are added up over all of them before anything is decided, and what the
first of them decides is what all do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist

T = TypeVar("T")


@dataclass(frozen=True)
class Ranks:
    """The processes that share one transformer call.

    Args:
        group: Of `torch.distributed`.
        rank: This one's place in it.
        size: How many there are.
        even: Whether all have equally many of a video's tokens.
    """

    group: Any
    rank: int
    size: int
    even: bool = True

    @classmethod
    def of(cls, transformer: torch.nn.Module, group: Any = None) -> Ranks | None:
        """Those of a transformer that diffusers has split, or of a given group; None for one."""
        even = True
        if group is None:
            config = getattr(transformer, "_parallel_config", None)
            parallel: Any = getattr(config, "context_parallel_config", None)
            mesh = getattr(parallel, "_flattened_mesh", None)
            if mesh is None:
                return None
            group = mesh.get_group()
            even = not (parallel.ulysses_anything or parallel.ring_anything)
        size = dist.get_world_size(group)
        return cls(group, dist.get_rank(group), size, even) if size > 1 else None

    def add_up(self, sums: torch.Tensor) -> torch.Tensor:
        """The sum over all processes; every one of them has to ask for it."""
        sums = sums.contiguous()
        dist.all_reduce(sums, group=self.group)
        return sums

    def add_up_all(
        self, parts: Sequence[torch.Tensor | None], rooms: Sequence[int], device: torch.device
    ) -> list[torch.Tensor | None]:
        """Sums over all processes of several tensors, in one operation.

        Args:
            parts: One for each number of `rooms`, or None; float32, of any shape.
            rooms: The most numbers that each may have, alike in all processes, whatever they have.
            device: Where the operation takes place.

        Returns:
            The sums, each in its shape and on its device. Not a number where another process has
            nothing to add: nothing may be reused on half of a measurement.
        """
        flat = torch.zeros(sum(rooms) + len(rooms), dtype=torch.float32, device=device)
        missing, place = flat[sum(rooms) :], 0
        for index, (part, room) in enumerate(zip(parts, rooms, strict=True)):
            if part is None:
                missing[index] = 1.0
            else:
                flat[place : place + part.numel()] = part.flatten().to(device)
            place += room
        flat = self.add_up(flat)
        flat[: sum(rooms)] += torch.repeat_interleave(
            torch.where(flat[sum(rooms) :] > 0, math.nan, 0.0),
            torch.tensor(rooms, device=device),
            output_size=sum(rooms),
        )
        found: list[torch.Tensor | None] = []
        for part, whole in zip(parts, flat[: sum(rooms)].split(list(rooms)), strict=True):
            found.append(
                None if part is None else whole[: part.numel()].view(part.shape).to(part.device)
            )
        return found

    def first(self, decided: T) -> T:
        """What the first process has, a picklable value; every one of them has to ask for it."""
        found = [decided]
        dist.broadcast_object_list(found, group=self.group, group_src=0)
        return found[0]

    def lengths(self, here: int, device: torch.device) -> tuple[int, ...]:
        """How many tokens each process has; waits for the device."""
        found = torch.zeros(self.size, dtype=torch.int64, device=device)
        found[self.rank] = here
        return tuple(self.add_up(found).tolist())

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
                part = whole.tensor_split(self.size, dim=axis)[self.rank]
                return part if part.shape == like.shape else whole
        return whole
