"""Seconds spent on a device between two points, without waiting for it in between."""

from __future__ import annotations

import time
from typing import Any

import torch


def synchronise(device: torch.device) -> None:
    """Wait until the device has done all that was asked of it; at once on a CPU."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


class Stopwatch:
    """Adds up laps on one device: the clock on a CPU, events elsewhere.

    Args:
        device: Where the timed work runs.

    Light enough to run around every block of a small model: no object is made for a lap on a CPU.
    """

    def __init__(self, device: torch.device):
        self._device, self._on_cpu = device, device.type == "cpu"
        self._started: Any = None
        self._seconds = 0.0
        self._laps: list[tuple[torch.Event, torch.Event]] = []

    @property
    def running(self) -> bool:
        """Whether a lap has been started and not ended."""
        return self._started is not None

    def start(self) -> None:
        self._started = self._now()

    def stop(self) -> None:
        """End the lap; nothing where none has been started."""
        if self._started is not None:
            self._end(self._now())

    def hand_over(self, other: Stopwatch) -> None:
        """End the lap, if one has been started, and start one of another at the same moment."""
        other._started = now = self._now()
        if self._started is not None:
            self._end(now)

    def read(self) -> float:
        """Seconds of all finished laps, then zero again. The device must be synchronised."""
        seconds = self._seconds + sum(a.elapsed_time(b) for a, b in self._laps) / 1000
        self._started, self._seconds, self._laps = None, 0.0, []
        return seconds

    def _end(self, now: Any) -> None:
        if self._on_cpu:
            self._seconds += now - self._started
        else:
            self._laps.append((self._started, now))
        self._started = None

    def _now(self) -> float | torch.Event:
        if self._on_cpu:
            return time.perf_counter()
        event = torch.Event(self._device.type, enable_timing=True)
        event.record()
        return event
