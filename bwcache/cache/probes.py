"""What is measured on the device: samples of features, compared with those of another time.

Pure tensor arithmetic on the features' own device; nothing here waits for the host.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby

import torch

from .method import Against, Metric

STACKED_AT_MOST = 2**20  # numbers compared at once: a few MiB of memory, and few operations


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
    """One guidance branch's samples for one probe: those being taken, and those of another time.

    Args:
        wanted: How many tokens of each block, see `sample_tokens`.
        metric, against: See `bwcache.cache.method.Probe`.

    Both lie in buffers that are made once, neighbours that are alike in one of them: taking a
    sample is then one copy, and comparing a handful of operations for all blocks that are small
    together. After a block each operation costs a small model more than the numbers it moves.
    """

    def __init__(
        self,
        wanted: int | None,
        metric: Metric = "relative_l1",
        against: Against = "measured",
    ):
        self._wanted, self._metric, self._against = wanted, metric, against
        self._now = self._last = _Buffers([])
        self._loose: list[torch.Tensor] = []
        self._taken = self._read = 0

    @property
    def tensors(self) -> list[torch.Tensor]:
        """Everything that is kept."""
        return [*self._now.stacks, *self._last.stacks, *self._loose]

    def begin(self) -> None:
        """A call begins: what an earlier one left half-done counts no more."""
        self._loose, self._taken, self._read = [], 0, 0

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

    def read(self) -> torch.Tensor | None:
        """Compare what was taken since the last reading; keeps nothing.

        Returns:
            `[blocks]`, float32, see `bwcache.cache.method.Probe.metric`; None where there is
            nothing alike to compare with.
        """
        first, self._read = self._read, self._taken
        rows = self._loose or self._now.rows
        if self._metric == "size":
            return _together([_mean_size(row) for row in rows[first : self._taken]])
        if self._against == "neighbour":
            pairs = [(rows[i], rows[i - 1]) for i in range(max(first, 1), self._taken)]
            if any(_kind(new) != _kind(old) for new, old in pairs):
                return None
            return _together([_compared(new, old, self._metric) for new, old in pairs])
        last = self._last.rows
        if self._loose or first == self._taken or self._taken > len(last):
            return None
        if self._metric == "relative_l1" and not first and self._taken == len(last):
            return self._now.relative_l1(self._last)
        span = range(first, self._taken)
        return _together([_compared(rows[i], last[i], self._metric) for i in span])

    def settle(self, keep: bool = True) -> None:
        """The call is over: what was taken becomes what later calls are compared with, or not."""
        if keep and self._taken:
            if not self._loose and self._taken == len(self._now.rows):
                self._now, self._last = self._last, self._now
            else:
                self._last = _Buffers(self._loose or self._now.rows[: self._taken])
                self._now = self._last.empty_copy()
        self.begin()

    def compare(self) -> torch.Tensor | None:
        """Read and settle: all blocks have given theirs."""
        alike = not self._loose and self._taken == len(self._now.rows)
        ratios = self.read() if alike and self._taken else None
        self.settle()
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


def _compared(now: torch.Tensor, before: torch.Tensor, metric: Metric) -> torch.Tensor:
    """One block's number: a scalar tensor, float32."""
    if metric == "relative_l1":
        return relative_l1(now[None], before[None])[0]
    now, before = now.float(), before.float()
    if metric == "change":
        return (now - before).abs_().mean()
    return torch.nn.functional.cosine_similarity(now.flatten(), before.flatten(), dim=0)


def _mean_size(now: torch.Tensor) -> torch.Tensor:
    return now.float().abs_().mean()


def _together(numbers: list[torch.Tensor]) -> torch.Tensor | None:
    """Scalars as one tensor on the first one's device; None for none."""
    if not numbers:
        return None
    return torch.stack([number.to(numbers[0].device) for number in numbers])


def _l1(sizes: torch.Tensor) -> torch.Tensor:
    """Each block's sum."""
    return sizes.sum(dim=tuple(range(1, sizes.ndim)))
