"""Takes the samples of a method's probes in the running call, and reads what they say.

The time that it takes is not the blocks': it is on a stopwatch of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence, Set

import torch

from .branch import Branch
from .readings import Measured, decisive
from .run_state import RunState


def places_of(run: RunState, of: str) -> Iterator[int]:
    """The probes of a kind (`Probe.of`) that measure in the running call, by their places."""
    for place, probe in enumerate(run.layout.probes):
        if probe.of == of and (run.first_call or not probe.first_branch):
            yield place


def take(
    run: RunState, branch: Branch, place: int, features: torch.Tensor, part: bool = False
) -> None:
    """Take a sample, see `Samples.take`."""
    if run.block_time.running:
        run.block_time.hand_over(run.indicator_time)
        branch.samples[place].take(features, part)
        run.indicator_time.hand_over(run.block_time)
    else:
        run.indicator_time.start()
        branch.samples[place].take(features, part)
        run.indicator_time.stop()


def settle_blocks(run: RunState, branch: Branch, replayed: Set[int]) -> None:
    """The last block has run, or has been passed by after others ran: read what was behind blocks.

    Args:
        run, branch: Whose call it is.
        replayed: The blocks that did not run.
    """
    run.block_time.hand_over(run.indicator_time)
    branch.settle(run.layout.behind_blocks, run.layout.probes, replayed)
    run.indicator_time.stop()


def settle_elsewhere(run: RunState, branch: Branch, replayed: Set[int]) -> None:
    """The call is over: read what was measured anywhere else; see `settle_blocks`."""
    if not run.layout.elsewhere:
        return
    run.indicator_time.start()
    branch.settle(run.layout.elsewhere, run.layout.probes, replayed)
    run.indicator_time.stop()


def read_early(run: RunState, branch: Branch, all_ran: bool) -> dict[str, tuple[float, ...]]:
    """What the running call has measured so far; waits for the device.

    Args:
        run, branch: Whose call it is.
        all_ran: Whether every block before ran; else only what is compared within a call is told.
    """
    pairs = zip(run.layout.probes, branch.samples, strict=True)
    measured = [
        [samples.read() if all_ran or probe.against == "neighbour" else None]
        for probe, samples in pairs
    ]
    read = _decisive(run, measured)
    run.read_early.update(read)
    return read


def read_step(run: RunState, branches: Collection[Branch]) -> dict[str, tuple[float, ...]]:
    """Per probe and block, the mean over branches; the step's one wait for the device."""
    places = range(len(run.layout.probes))
    measured = [[branch.numbers[place] for branch in branches] for place in places]
    for branch in branches:
        branch.numbers = [None for _ in branch.numbers]
    return _decisive(run, measured)


def _decisive(run: RunState, measured: Sequence[Measured]) -> dict[str, tuple[float, ...]]:
    probes, device = run.layout.probes, run.plan.device
    return decisive(measured, probes, run.videos, run.current.ranks, device)
