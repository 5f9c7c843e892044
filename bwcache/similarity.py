"""How much a block's features changed since the last computed step: sampled relative L1.

Pure tensor arithmetic on the features' own device; nothing here waits for the host.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby

import torch

STACKED_AT_MOST = 2**20  # numbers compared at once: a few MiB of memory, and few operations


def evenly_spaced(count: int, wanted: int | None) -> list[int]:
    """At most `wanted` indices spread evenly over `range(count)`, both ends included."""
    if wanted is None or wanted >= count:
        return list(range(count))
    if wanted == 1:
        return [count // 2]
    return [round(i * (count - 1) / (wanted - 1)) for i in range(wanted)]


def sample_tokens(features: torch.Tensor, wanted: int | None) -> torch.Tensor:
    """A copy of some tokens, the same ones every time for one shape.

    Args:
        features: `[..., channels]`; every row of channels is a token, those of a whole batch too.
        wanted: At most so many tokens, evenly strided over all; None for all.

    Returns:
        `[tokens, channels]`, dtype and device as given. The stride is an odd prime, so that it
        does not fall on the same columns of a picture again and again.

    Two operations only: after a block, each costs a small model more than the numbers it moves.
    """
    if not features.is_contiguous():
        features = features.contiguous()
    size, stride = _strided_view(features.shape, wanted)
    return features.detach().as_strided(size, stride).clone()


@lru_cache
def _strided_view(shape: torch.Size, wanted: int | None) -> tuple[tuple[int, int], tuple[int, int]]:
    """Size and stride, in numbers, of evenly spaced rows of contiguous features."""
    channels = shape[-1]
    tokens = math.prod(shape[:-1])
    every = 1 if wanted is None or wanted >= tokens else _odd_prime_from(-(-tokens // wanted))
    return (-(-tokens // every), channels), (every * channels, 1)


def _odd_prime_from(number: int) -> int:
    """The number, if it is an odd prime, or the next one."""
    number |= 1
    while any(number % divisor == 0 for divisor in range(3, math.isqrt(number) + 1, 2)):
        number += 2
    return number


class Samples:
    """Sampled features of a call's blocks.

    Args:
        features: One tensor for each block, `[tokens, channels]` of any floating dtype.

    Neighbours that are alike are kept in one tensor, as many as are small together: then comparing
    takes a handful of operations for all of them, rather than as many for each block.
    """

    def __init__(self, features: Sequence[torch.Tensor]):
        self.tensors: list[torch.Tensor] = []
        for (shape, _), alike in groupby(features, key=lambda x: (x.shape, x.device)):
            blocks, together = list(alike), max(1, STACKED_AT_MOST // shape.numel())
            for first in range(0, len(blocks), together):
                self.tensors.append(torch.stack(blocks[first : first + together]))
        self._sizes: list[torch.Tensor] | None = None

    @property
    def kind(self) -> list[tuple]:
        """What two samples must share to be compared."""
        return [(x.shape, x.dtype, x.device) for x in self.tensors]

    def relative_l1(self, previous: Samples) -> torch.Tensor:
        """How much each block's features changed: `[blocks]`, float32; see `relative_l1`."""
        before = previous._sizes or [_l1(x.float().abs()) for x in previous.tensors]
        distances, self._sizes = [], []
        for new, old in zip(self.tensors, previous.tensors, strict=True):
            new = new.float()
            buffer = new - old.float()
            distances.append(_l1(buffer.abs_()))
            self._sizes.append(_l1(torch.abs(new, out=buffer)))  # memory anew costs more than sums
        pairs = zip(distances, before, strict=True)
        device = self.tensors[0].device
        return torch.cat([(distance / size).to(device) for distance, size in pairs])


def relative_l1(current: torch.Tensor, previous: torch.Tensor) -> torch.Tensor:
    """‖current − previous‖₁ / ‖previous‖₁ of each block.

    Args:
        current: `[blocks, tokens, channels]` of any floating dtype.
        previous: Features of the same shape, dtype and device.

    Returns:
        `[blocks]`, float32 on the same device, summed in float32. NaN or infinite where the
        features are, or where `previous` is all zero.

    Source: arXiv 2509.13789, Eq. 5.
    """
    current, previous = current.float(), previous.float()
    return _l1((current - previous).abs_()) / _l1(previous.abs())


def _l1(sizes: torch.Tensor) -> torch.Tensor:
    """Each block's sum."""
    return sizes.sum(dim=tuple(range(1, sizes.ndim)))
