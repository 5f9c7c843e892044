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
    """

    device_gb: float
    ram_gb: float
    in_use: bool = False


def to_evict(
    kept: Sequence[MemoryUse],
    new: MemoryUse,
    device_gb: float,
    ram_gb: float,
    most: int = MOST_KEPT,
) -> list[int] | None:
    """Indices of the models that go, so that a new one can be loaded.

    Args:
        kept: What is there, the least recently used first; that one goes first.
        new: What it takes at its peak.
        device_gb, ram_gb: What there is for all of them.
        most: How many are kept at most, the new one included.

    Returns:
        None where those in use leave no room, so that one has to wait. A model that would not fit
        even alone is tried alone.
    """
    evicted: list[int] = []

    def fits() -> bool:
        left = [use for index, use in enumerate(kept) if index not in evicted]
        device = sum(use.device_gb for use in left) + new.device_gb
        ram = sum(use.ram_gb for use in left) + new.ram_gb
        return len(left) < most and device <= device_gb and ram <= ram_gb

    for index, use in enumerate(kept):
        if fits():
            break
        if not use.in_use:
            evicted.append(index)
    return evicted if fits() or len(evicted) == len(kept) else None


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

    def drop(self, name: str | None = None) -> None:
        """Drop all models whose key begins with a name; all where None."""
        with self._lock:
            for key in [key for key in self._models if name in (None, key[0])]:
                del self._models[key]

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
