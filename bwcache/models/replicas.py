"""Which device a pipeline was loaded for, and the lock that it is called under.

A device has a name: "cpu", "cuda", "cuda:1", or "cpu:0" and "cpu:1" where one processor stands in
for several devices. Pipelines of one device take turns; those of different ones do not wait for
each other.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from weakref import WeakKeyDictionary

import torch

from ..cache.noise import own_noise

UNNAMED = ""  # the device of pipelines that nobody has loaded here
_locks: dict[str, threading.RLock] = {}  # type: ignore[valid-type]
_devices: WeakKeyDictionary[object, str] = WeakKeyDictionary()  # by transformer, which pipes share


def torch_name(device: str) -> str:
    """A device as PyTorch names it: the second replica on a processor is still on the "cpu"."""
    return "cpu" if device.startswith("cpu") else device


def serve_on(devices: Iterable[str]) -> None:
    """Say beforehand which devices there will be, so that the first run is as the later ones."""
    for device in devices:
        lock_of_device(device)


def lock_of_device(device: str) -> threading.RLock:  # type: ignore[valid-type]
    """Held while a pipeline of that device is called, or a model is warmed up there."""
    return _locks.setdefault(device, threading.RLock())


def loaded_for(pipe: object, device: str) -> None:
    """Remember which device a pipeline, and whatever shares its transformer, belongs to."""
    lock_of_device(device)
    _devices[getattr(pipe, "transformer", pipe)] = device


def device_of(pipe: object) -> str:
    """The device that a pipeline was loaded for; `UNNAMED` where nobody has loaded it here."""
    return _devices.get(getattr(pipe, "transformer", pipe), UNNAMED)


def pipeline_lock(pipe: object) -> threading.RLock:  # type: ignore[valid-type]
    """Held while a pipeline runs: all of one device's share what that device has."""
    return lock_of_device(device_of(pipe))


def place_of(pipe) -> torch.device:
    """Where a pipeline computes."""
    return torch.device(getattr(pipe, "_execution_device", None) or pipe.device)


def apart() -> bool:
    """Whether runs of several devices may be under way at once in this process."""
    return len(_locks.keys() - {UNNAMED}) > 1


def forget() -> None:
    """Let go of all devices; nothing may be running."""
    _locks.clear()
    _devices.clear()


@contextmanager
def at(device: torch.device, seed: int | None = None) -> Iterator[None]:
    """Work of one run, in a thread of its own: the right GPU is the current one there.

    Args:
        device: Where its pipeline computes.
        seed: Where several devices work at once, what it draws on the CPU is its own, from this
            seed on; None where the run does not draw.
    """
    current: AbstractContextManager = nullcontext()
    if device.type == "cuda" and device.index:  # a thread begins with the first as its current one
        current = torch.cuda.device(device)
    with current, own_noise(seed) if seed is not None and apart() else nullcontext():
        yield
