"""Seconds of a pipeline's denoising loop, taken the same way whatever is hooked into it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise

import torch

from ..cache.stopwatch import synchronise
from ..cache.transformers_in import transformers_in
from .step_ends import at_step_ends


class DenoisingClock:
    """From the start of the first transformer call to the end of the last scheduler step.

    Args:
        device: Where the pipeline runs.

    Waits for the device at the first call and when read, not in between: a loop that needs no
    host in between is measured without one.
    """

    def __init__(self, device: torch.device):
        self._device = device
        self._first = None
        self._ends: list = []

    def begin(self, *_) -> None:
        """The transformer is about to be called."""
        if self._first is None:
            synchronise(self._device)
            self._first = self._now()

    def step_ended(self) -> None:
        """The scheduler has stepped."""
        self._ends.append(self._now())

    def seconds(self) -> float:
        """What the loop took, device work included."""
        return sum(self.step_seconds())

    def step_seconds(self) -> list[float]:
        """What each step took, from the end of the one before it."""
        synchronise(self._device)
        return [self._between(*pair) for pair in pairwise([self._first, *self._ends])]

    def _between(self, earlier, later) -> float:
        if self._device.type == "cpu":
            return later - earlier
        return earlier.elapsed_time(later) / 1000

    def _now(self):
        if self._device.type == "cpu":
            return time.perf_counter()
        event = torch.Event(self._device.type, enable_timing=True)
        event.record()
        return event


@contextmanager
def denoising_clock(pipe) -> Iterator[DenoisingClock]:
    """Time one call of a pipeline.

    Enter it inside whatever is to be timed: its hook then runs before the others' at the first
    transformer call, and its wrapper after theirs at every scheduler step.
    """
    device = getattr(pipe, "_execution_device", None) or pipe.device
    clock = DenoisingClock(device)

    with ExitStack() as undo:
        for transformer in transformers_in(pipe):
            hook = transformer.register_forward_pre_hook(clock.begin, prepend=True)
            undo.callback(hook.remove)
        undo.enter_context(at_step_ends(pipe, clock.step_ended))
        yield clock
