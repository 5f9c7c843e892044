"""Which rows of features are sampled: the same ones every time, and over all parts of a video.

Pure tensor arithmetic on the features' own device.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch

from .ranks import Ranks


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
    every = spacing(tokens, wanted)
    return (-(-tokens // every), channels), (every * channels, 1)


class Parts:
    """How the tokens of calls of one shape are split among processes.

    Args:
        ranks: The processes.

    Where parts may be unequal, all are asked once, when the first of them is measured.
    """

    def __init__(self, ranks: Ranks):
        self.ranks = ranks
        self._lengths: tuple[int, ...] | None = None

    def rows(self, features: torch.Tensor, wanted: int | None) -> torch.Tensor:
        """Which of its rows a process samples, so that all together sample as one would.

        Args:
            features: `[batch, tokens, …, channels]`, the tokens split; every row of channels is
                one to sample.
            wanted: At most so many rows of all; None for all.

        Returns:
            Indices into the rows here.
        """
        batch, tokens, *inner = features.shape[:-1] if features.ndim > 2 else (1, len(features))
        each = math.prod(inner)  # rows a token
        before, whole = self._place_of(tokens, features.device)
        every = spacing(batch * whole * each, wanted)
        return rows_of_part(
            batch, tokens * each, before * each, whole * each, every, features.device
        )

    def _place_of(self, tokens: int, device: torch.device) -> tuple[int, int]:
        """How many tokens come before those here, and how many there are in all."""
        rank, size = self.ranks.rank, self.ranks.size
        if not self.ranks.even and self._lengths is None:
            self._lengths = self.ranks.lengths(tokens, device)
        if self._lengths is None or self._lengths[rank] != tokens:
            return rank * tokens, size * tokens
        return sum(self._lengths[:rank]), sum(self._lengths)


@lru_cache(maxsize=64)
def rows_of_part(
    batch: int, rows: int, before: int, whole: int, every: int, device: torch.device
) -> torch.Tensor:
    """Which rows of a part belong to every so many-th of the whole.

    Args:
        batch: Entries, each of which is split alike.
        rows: Of an entry, here.
        before: Of an entry, in the parts before this one.
        whole: Of an entry, in all parts.
        every: Of the rows of the whole, every so many-th is sampled.
        device: Where the indices are wanted.

    Returns:
        Indices into the `batch · rows` rows here.
    """
    row = torch.arange(batch * rows)
    place = row // rows * whole + before + row % rows
    return row[place % every == 0].to(device)


def spacing(rows: int, wanted: int | None) -> int:
    """Every so many-th row is taken: an odd prime, or 1 for all."""
    if wanted is None or wanted >= rows:
        return 1
    return _odd_prime_from(-(-rows // wanted))


def _odd_prime_from(number: int) -> int:
    """The number, if it is an odd prime, or the next one."""
    number |= 1
    while any(number % divisor == 0 for divisor in range(3, math.isqrt(number) + 1, 2)):
        number += 2
    return number
