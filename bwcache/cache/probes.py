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
    """Some of the tokens, the same ones every time for one shape.

    Args:
        features: `[..., channels]`; every row of channels is a token, those of a whole batch too.
        wanted: At most so many tokens, evenly strided over all; None for all.

    Returns:
        A view of the features, or of a contiguous copy: `[tokens, channels]`, dtype and device as
        given. The stride is an odd prime, so that it does not fall on the same columns of a
        picture again and again.
    """
    if features.requires_grad:
        features = features.detach()
    if not features.is_contiguous():
        features = features.contiguous()
    return features.as_strided(*_strided_view(features.shape, wanted))


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
    """One guidance branch's sampled features: those being taken, and those of the last time.

    Args:
        wanted: How many tokens of each block, see `sample_tokens`.

    Both lie in buffers that are made once, neighbours that are alike in one of them: taking a
    sample is then one copy, and comparing a handful of operations for all blocks that are small
    together. After a block each operation costs a small model more than the numbers it moves.
    """

    def __init__(self, wanted: int | None):
        self._wanted = wanted
        self._now = self._last = _Buffers([])
        self._loose: list[torch.Tensor] = []
        self._taken = 0

    @property
    def tensors(self) -> list[torch.Tensor]:
        """Everything that is kept."""
        return [*self._now.stacks, *self._last.stacks, *self._loose]

    def begin(self) -> None:
        """A call begins: what an earlier one left half-done counts no more."""
        self._loose, self._taken = [], 0

    def take(self, features: torch.Tensor) -> None:
        """The next block has given its features, `[..., channels]`; what is kept is a copy."""
        sample, rows, place = sample_tokens(features, self._wanted), self._now.rows, self._taken
        self._taken += 1
        if not self._loose and place < len(rows) and _kind(sample) == _kind(rows[place]):
            rows[place].copy_(sample)
            return
        if not self._loose:  # the first call, or one of another shape
            self._loose = [row.clone() for row in rows[:place]]
        self._loose.append(sample.clone())

    def compare(self) -> torch.Tensor | None:
        """All blocks have given theirs: how much each changed since the last time.

        Returns:
            `[blocks]`, float32, see `relative_l1`; None where there is nothing alike to compare
            with. The blocks' samples become those of the last time.
        """
        taken = self._loose or self._now.rows[: self._taken]
        alike = not self._loose and self._taken == len(self._now.rows)
        self.begin()
        if not taken:
            return None
        if not alike:
            self._last = _Buffers(taken)
            self._now = self._last.empty_copy()
            return None
        ratios = self._now.relative_l1(self._last)
        self._now, self._last = self._last, self._now
        return ratios


class _Buffers:
    """Samples of a call's blocks, neighbours that are alike in one tensor.

    Args:
        samples: One for each block, `[tokens, channels]` of any floating dtype; copied.
    """

    def __init__(self, samples: Sequence[torch.Tensor]):
        self.stacks: list[torch.Tensor] = []
        for (shape, *_), same in groupby(samples, key=_kind):
            blocks, together = list(same), max(1, STACKED_AT_MOST // shape.numel())
            for first in range(0, len(blocks), together):
                self.stacks.append(torch.stack(blocks[first : first + together]))
        self._settle()

    def _settle(self) -> None:
        self.rows = [row for stack in self.stacks for row in stack.unbind()]
        self.sizes: list[torch.Tensor] | None = None

    def empty_copy(self) -> _Buffers:
        """Room for as much."""
        other = _Buffers([])
        other.stacks = [torch.empty_like(stack) for stack in self.stacks]
        other._settle()
        return other

    def relative_l1(self, previous: _Buffers) -> torch.Tensor:
        """How much each block changed: `[blocks]`, float32; see `relative_l1`."""
        before = previous.sizes or [_l1(x.float().abs()) for x in previous.stacks]
        distances, self.sizes = [], []
        for new, old in zip(self.stacks, previous.stacks, strict=True):
            new = new.float()
            buffer = new - old.float()
            distances.append(_l1(buffer.abs_()))
            self.sizes.append(_l1(torch.abs(new, out=buffer)))  # memory anew costs more than sums
        pairs = zip(distances, before, strict=True)
        device = self.stacks[0].device
        return torch.cat([(distance / size).to(device) for distance, size in pairs])


def _kind(sample: torch.Tensor) -> tuple:
    return sample.shape, sample.dtype, sample.device


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
