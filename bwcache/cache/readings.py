"""The one door from what was measured on the device to the numbers that a method decides by.

The mean over guidance branches, of the least similar video of a batch, over the parts of all
processes that share a call; and read in one wait for the device.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from .method import Probe
from .probes import COSINES, TERMS, finished
from .ranks import Ranks

Measured = Sequence[torch.Tensor | None]  # by each branch, see `Samples.read`


def decisive(
    measured: Sequence[Measured],
    probes: Sequence[Probe],
    videos: int,
    ranks: Ranks | None,
    device: torch.device,
) -> dict[str, tuple[float, ...]]:
    """The numbers that decide, by probe, one for each of its blocks.

    Args:
        measured: For each probe what each branch measured, if it did.
        probes: The probes.
        videos: How many videos the batch has.
        ranks: The processes that share the calls. All of them come here alike, and leave with the
            numbers that one process alone would have, not with a mean of quotients.
        device: Where the run computes.
    """
    if ranks is not None:
        measured = _added_up(measured, probes, videos, ranks, device)
    found = {}
    for probe, each in zip(probes, measured, strict=True):
        there = [numbers for numbers in each if numbers is not None]
        if there:
            found[probe.name] = _of_least_similar(there, probe, videos)
    return _on_host(found)


def _added_up(
    measured: Sequence[Measured],
    probes: Sequence[Probe],
    videos: int,
    ranks: Ranks,
    device: torch.device,
) -> list[Measured]:
    """What was measured, as sums over all processes, in one operation."""
    rooms: list[int] = []
    for probe, each in zip(probes, measured, strict=True):
        rooms += [TERMS[probe.metric] * len(probe.blocks) * videos] * len(each)
    if not rooms:
        return list(measured)
    flat = [numbers for each in measured for numbers in each]
    sums = iter(ranks.add_up_all(flat, rooms, device))
    return [[next(sums) for _ in each] for each in measured]


def _of_least_similar(measured: list[torch.Tensor], probe: Probe, videos: int) -> torch.Tensor:
    """`[blocks]`: the mean over branches, of the least similar video."""
    if all(each.ndim == 1 for each in measured):
        return torch.stack(measured).mean(dim=0)
    found = []
    for each in measured:
        # one number a block where a call's batch is not divided by the videos
        each = finished(each, probe.metric) if each.ndim > 1 else each[:, None]
        found.append(each.expand(-1, videos).to(measured[0].device))
    numbers = torch.stack(found).mean(dim=0)
    means = numbers.mean(dim=0)
    least_similar = means.argmin() if probe.metric in COSINES else means.argmax()
    return numbers.index_select(1, least_similar.reshape(1)).flatten()


def _on_host(numbers: Mapping[str, torch.Tensor]) -> dict[str, tuple[float, ...]]:
    """Several lists of numbers, read in one go."""
    if not numbers:
        return {}
    first = next(iter(numbers.values()))
    read = first if len(numbers) == 1 else torch.cat([x.to(first.device) for x in numbers.values()])
    values, found, place = read.tolist(), {}, 0
    for name, each in numbers.items():
        found[name] = tuple(values[place : place + len(each)])
        place += len(each)
    return found
