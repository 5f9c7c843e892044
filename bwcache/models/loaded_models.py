"""The models that are kept, and which of them make room for another: by memory and by use.

Knows nothing of torch: a pipeline is whatever was put here.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from .spec import Offload

MOST_KEPT = 3


@dataclass(frozen=True)
class MemoryUse:
    """Memory in GB (10^9 bytes) that a model takes, or is about to take.

    Args:
        device_gb: Of the GPU.
        ram_gb: Of the machine.
        in_use: Whether it is running for somebody, so that it cannot go.
        device: The device's name; all have the machine's memory in common.
    """

    device_gb: float
    ram_gb: float
    in_use: bool = False
    device: str = ""


def to_evict(
    kept: Sequence[MemoryUse],
    new: MemoryUse,
    device_gb: float,
    ram_gb: float,
    most: int = MOST_KEPT,
) -> list[int] | None:
    """Indices of the models that go, so that a new one can be loaded.

    Args:
        kept: What is there, the least recently used first; that one goes first. Those of other
            devices go only where the machine's memory is short, and after this device's.
        new: What it takes at its peak.
        device_gb, ram_gb: What there is for all of them.
        most: How many are kept on a device at most, the new one included.

    Returns:
        None where those in use leave no room, so that one has to wait. A model that would not fit
        even alone is tried alone.
    """
    evicted: list[int] = []

    def left(everywhere: bool = False) -> list[MemoryUse]:
        there = [use for index, use in enumerate(kept) if index not in evicted]
        return [use for use in there if everywhere or use.device == new.device]

    def ram_fits() -> bool:
        return sum(use.ram_gb for use in left(everywhere=True)) + new.ram_gb <= ram_gb

    def fits() -> bool:
        device = sum(use.device_gb for use in left()) + new.device_gb
        return len(left()) < most and device <= device_gb and ram_fits()

    for here in (True, False):
        for index, use in enumerate(kept):
            if (use.device == new.device) is not here or use.in_use:
                continue
            if not fits() if here else not ram_fits():
                evicted.append(index)
    alone = not left() and (ram_fits() or not left(everywhere=True))
    return evicted if fits() or alone else None


@dataclass(eq=False)
class LoadedModel:
    """A model that can be called.

    Args:
        pipe: Its pipeline, a `DiffusionPipeline`.
        offload: How it was put on the device.
        memory: What it takes while it is idle.
        revision: The commit of the hub that its weights are of; None where they are from elsewhere.
        users: For how many it is running.
    """

    pipe: Any
    offload: Offload
    memory: MemoryUse
    revision: str | None = None
    users: int = 0


class LoadedModels:
    """Models by key, the least recently used first. Safe to use from several threads."""

    def __init__(self) -> None:
        self._models: OrderedDict[tuple[Hashable, ...], LoadedModel] = OrderedDict()
        self._lock = threading.RLock()

    def find(self, key: tuple[Hashable, ...], offload: Offload | None = None) -> LoadedModel | None:
        """The model of that key, where it is here in that mode (in any where None)."""
        with self._lock:
            model = self._models.get(key)
            if model is None or offload not in (None, model.offload):
                return None
            self._models.move_to_end(key)
            return model

    def make_room(self, new: MemoryUse, device_gb: float, ram_gb: float) -> bool:
        """Drop what `to_evict` names; whether there is room now."""
        with self._lock:
            kept = [replace(each.memory, in_use=each.users > 0) for each in self._models.values()]
            evicted = to_evict(kept, new, device_gb, ram_gb)
            for key in [list(self._models)[index] for index in evicted or ()]:
                del self._models[key]
            return evicted is not None

    def add(self, key: tuple[Hashable, ...], model: LoadedModel) -> None:
        with self._lock:
            self._models[key] = model
            self._models.move_to_end(key)

    def drop(self, name: str | None = None, device: str | None = None) -> None:
        """Drop all models of a name and of a device; of any where None."""
        with self._lock:
            for key, model in list(self._models.items()):
                if name in (None, key[0]) and device in (None, model.memory.device):
                    del self._models[key]

    def holds(self, name: str, device: str) -> bool:
        """Whether a model is kept on a device, in whatever mode."""
        with self._lock:
            found = self._models.items()
            return any(key[0] == name and each.memory.device == device for key, each in found)

    @contextmanager
    def in_use(self, model: LoadedModel) -> Iterator[None]:
        """Inside, the model does not have to make room for another."""
        with self._lock:
            model.users += 1
        try:
            yield
        finally:
            with self._lock:
                model.users -= 1


LOADED_MODELS = LoadedModels()
