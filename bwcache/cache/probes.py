"""What is measured on the device: samples of features, compared with those of another time.

Pure tensor arithmetic on the features' own device; nothing here waits for the host.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

import torch

from .method import Against, Metric
from .sampling import Parts, sample_tokens, spacing

COSINES = ("cosine", "cosine_ahead")  # of these, the smallest is the least similar
# how many sums a number is made of
TERMS = {"relative_l1": 2, "change": 2, "size": 2, "cosine": 3, "cosine_ahead": 3}
STACKED_AT_MOST = 2**20  # numbers compared at once: a few MiB of memory, and few operations


@dataclass(frozen=True)
class Shares:
    """Whose the rows of a call's features are, where they are not all one video's in one process.

    Args:
        videos: How many videos a call makes.
        calls: How many guidance branches it makes them in, one after another in the batch.
        parts: How its tokens are split among processes; None where one process has all.

    Numbers are then sums, to be added up over processes and divided for each video by `finished`.
    """

    videos: int = 1
    calls: int = 1
    parts: Parts | None = None


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
        self._shares: Shares | None = None
        self._videos: list[torch.Tensor] = []

    @property
    def tensors(self) -> list[torch.Tensor]:
        """Everything that is kept."""
        return [*self._now.stacks, *self._last.stacks, *self._loose]

    def begin(self, shares: Shares | None = None) -> None:
        """A call begins: what an earlier one left half-done counts no more.

        Args:
            shares: Whose its rows are; None where one video and one process are all there is.
        """
        self._loose, self._taken, self._read = [], 0, 0
        self._shares, self._videos = shares, []

    def take(self, features: torch.Tensor, part: bool = True) -> None:
        """The next block has given its features, `[..., channels]`; what is kept is a copy.

        Args:
            features: What it gave.
            part: Whether they are this process' part of them, where processes share a video;
                else each has all, and a sum over processes is a multiple that a quotient cancels.
        """
        shares = self._shares
        if shares is None:
            sample = sample_tokens(features, self._wanted)
        else:
            sample, videos = _shared_sample(features, self._wanted, shares, part)
            self._videos.append(videos)
        rows, place = self._now.rows, self._taken
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
            `[blocks]`, float32, see `bwcache.cache.method.Probe.metric`; or where there are shares
            the sums of which `finished` makes them, `[sums, blocks, videos]`. None where there is
            nothing alike to compare with.
        """
        first, self._read = self._read, self._taken
        rows = self._loose or self._now.rows
        if self._shares is not None:
            return self._read_sums(first, rows)
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

    def _read_sums(self, first: int, rows: list[torch.Tensor]) -> torch.Tensor | None:
        last = self._last.rows
        if self._metric == "size":
            pairs = [(i, rows[i]) for i in range(first, self._taken)]
        elif self._against == "neighbour":
            pairs = [(i, rows[i - 1]) for i in range(max(first, 1), self._taken)]
        elif self._loose or self._taken > len(last):
            return None
        else:
            pairs = [(i, last[i]) for i in range(first, self._taken)]
        if not pairs or any(_kind(rows[i]) != _kind(other) for i, other in pairs):
            return None
        found = [self._sums(rows[i], other, self._videos[i]) for i, other in pairs]
        return torch.stack([each.to(found[0].device) for each in found], dim=1)

    def _sums(self, now: torch.Tensor, before: torch.Tensor, videos: torch.Tensor) -> torch.Tensor:
        """One block's sums for each video: `[sums, videos]`; `videos` says whose each row is."""
        now, before = now.float(), before.float()
        if self._metric == "cosine_ahead":
            before = 2 * now - before
        if self._metric in COSINES:
            terms = torch.stack([now * before, now * now, before * before]).sum(-1)
        elif self._metric == "relative_l1":
            terms = torch.stack([(now - before).abs().sum(-1), before.abs().sum(-1)])
        else:
            size = now if self._metric == "size" else now - before
            count = torch.full(size.shape[:-1], float(size.shape[-1]), device=size.device)
            terms = torch.stack([size.abs().sum(-1), count])
        sums = torch.zeros(len(terms), self._shares.videos, device=terms.device)
        return sums.index_add_(1, videos, terms)

    def settle(self, keep: bool = True) -> None:
        """The call is over: what was taken becomes what later calls are compared with, or not."""
        if keep and self._taken:
            if not self._loose and self._taken == len(self._now.rows):
                self._now, self._last = self._last, self._now
            else:
                self._last = _Buffers(self._loose or self._now.rows[: self._taken])
                self._now = self._last.empty_copy()
        self.begin(self._shares)

    def compare(self) -> torch.Tensor | None:
        """Read and settle: all blocks have given theirs."""
        alike = not self._loose and self._taken == len(self._now.rows)
        ratios = self.read() if alike and self._taken else None
        self.settle()
        return ratios


def finished(sums: torch.Tensor, metric: Metric) -> torch.Tensor:
    """The numbers of sums that are complete: `[sums, …]` in, `[…]` out."""
    if metric in COSINES:
        return sums[0] / (sums[1] * sums[2]).sqrt()
    return sums[0] / sums[1]


def _shared_sample(
    features: torch.Tensor, wanted: int | None, shares: Shares, part: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Of a process' part the rows that `sample_tokens` would take of the whole, and whose they are.

    The features are those of one batch entry after another; the entries are all videos in the
    first guidance branch, all in the second, and so on.
    """
    here, entries = math.prod(features.shape[:-1]), shares.videos * shares.calls
    if shares.parts is None or not part:
        every = spacing(here, wanted)
        owners = _owners(here, every, entries, shares.videos, features.device)
        return sample_tokens(features, wanted), owners
    rows = shares.parts.rows(features, wanted)
    sample = features.detach().reshape(here, -1).index_select(0, rows)
    return sample, rows * entries // here % shares.videos


@lru_cache(maxsize=64)
def _owners(
    length: int, every: int, entries: int, videos: int, device: torch.device
) -> torch.Tensor:
    """Whose video every so many-th of a number of rows belongs to."""
    return (torch.arange(0, length, every) * entries // length % videos).to(device)


class _Buffers:
    """Samples of a call's blocks, neighbours that are alike in one tensor.

    Args:
        samples: One for each block, `[tokens, channels]` of any floating dtype; copied.
    """

    def __init__(self, samples: Sequence[torch.Tensor]):
        self.stacks: list[torch.Tensor] = []
        for (shape, *_), same in groupby(samples, key=_kind):
            blocks, together = list(same), max(1, STACKED_AT_MOST // max(1, shape.numel()))
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
    if metric == "cosine_ahead":
        before = 2 * now - before
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
