"""What a transformer's call returns, taken apart into tensors and put together again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class OutputForm:
    """The form in which a call returns its outputs.

    Args:
        like: An empty tensor of the shape and type of each.
        make: Makes a tensor, a tuple or one of diffusers' outputs of them.
    """

    like: tuple[torch.Tensor, ...]
    make: Callable[[Sequence[torch.Tensor]], Any]

    @classmethod
    def of(cls, output: Any) -> OutputForm:
        """The form of what a call has returned; see `output_tensors`."""
        like = tuple(
            torch.empty(x.shape, dtype=x.dtype, device="meta") for x in output_tensors(output) or ()
        )
        if isinstance(output, torch.Tensor):
            return cls(like, lambda values: values[0])
        kind = type(output)
        if isinstance(output, dict):
            names = list(output)
            return cls(like, lambda values: kind(**dict(zip(names, values, strict=True))))
        return cls(like, lambda values: kind(values))


def output_tensors(output: Any) -> tuple[torch.Tensor, ...] | None:
    """What a call returns, as tensors; None where it is something else."""
    if isinstance(output, torch.Tensor):
        return (output,)
    if isinstance(output, dict):  # diffusers' outputs are
        output = tuple(output.values())
    if type(output) not in (tuple, list) or not output:
        return None
    if not all(isinstance(x, torch.Tensor) and x.is_floating_point() for x in output):
        return None
    return tuple(output)


def kinds_of(tensors: Sequence[torch.Tensor]) -> list[tuple]:
    """Shape, type and device of each."""
    return [(x.shape, x.dtype, x.device) for x in tensors]
