"""Seconds spent on a device between two points, without waiting for it in between."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def synchronise(device: torch.device) -> None:
    """Wait until the device has done all that was asked of it; at once on a CPU."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


class Stopwatch:
    """Adds up laps on one device: the clock on a CPU, events elsewhere.

    Args:
        device: Where the timed work runs.
    """

    def __init__(self, device: torch.device):
        self._device = device
        self._laps: list[tuple] = []

    def _now(self):
        if self._device.type == "cpu":
            return time.perf_counter()
        event = torch.Event(self._device.type, enable_timing=True)
        event.record()
        return event

    @contextmanager
    def lap(self) -> Iterator[None]:
        start = self._now()
        yield
        self._laps.append((start, self._now()))

    def start(self) -> None:
        self._laps.append((self._now(),))

    def stop(self) -> None:
        if self._laps and len(self._laps[-1]) == 1:
            self._laps[-1] += (self._now(),)

    def read(self) -> float:
        """Seconds of all finished laps, then zero again. The device must be synchronised."""
        laps, self._laps = [lap for lap in self._laps if len(lap) == 2], []
        if self._device.type == "cpu":
            return sum(stop - start for start, stop in laps)
        return sum(start.elapsed_time(stop) for start, stop in laps) / 1000
