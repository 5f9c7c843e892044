"""The models that are kept, and which of them make room for another: by memory and by use.

Knows nothing of torch: a pipeline is whatever was put here.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from .spec import Offload

MOST_KEPT = 3


@dataclass(frozen=True)
class Taken:
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
    kept: Sequence[Taken], new: Taken, device_gb: float, ram_gb: float, most: int = MOST_KEPT
) -> list[int] | None:
    """Places of the models that go, so that a new one can be loaded.

    Args:
        kept: What is there, the least recently used first; that one goes first.
        new: What it takes at its peak.
        device_gb, ram_gb: What there is for all of them.
        most: How many are kept at most, the new one included.

    Returns:
        None where those in use leave no room, so that one has to wait. A model that would not fit
        even alone is tried alone.
    """
    gone: list[int] = []

    def fits() -> bool:
        left = [taken for place, taken in enumerate(kept) if place not in gone]
        device = sum(taken.device_gb for taken in left) + new.device_gb
        ram = sum(taken.ram_gb for taken in left) + new.ram_gb
        return len(left) < most and device <= device_gb and ram <= ram_gb

    for place, taken in enumerate(kept):
        if fits():
            break
        if not taken.in_use:
            gone.append(place)
    return gone if fits() or len(gone) == len(kept) else None


@dataclass(frozen=True)
class Ready:
    """A model that can be called.

    Args:
        pipe: Its pipeline.
        offload: How it was put on the device.
        revision: The commit of the hub that its weights are of; None where they are from elsewhere.
        retried: Whether it ran out of memory in a faster mode while it was made ready.
    """

    pipe: object
    offload: Offload
    revision: str | None = None
    retried: bool = False


@dataclass
class Kept:
    """A model that is kept: what it takes while idle, how many it runs for, whether it is warm."""

    ready: Ready
    taken: Taken
    users: int = 0
    warm: bool = False


class Shelf:
    """Models by key, the least recently used first. Safe to use from several threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple, Kept] = OrderedDict()
        self._lock = threading.RLock()

    def find(self, key: tuple, offload: Offload | None = None) -> Kept | None:
        """The model of that key, where it is here in that mode (in any where None)."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is None or offload not in (None, kept.ready.offload):
                return None
            self._kept.move_to_end(key)
            return kept

    def make_room(self, new: Taken, device_gb: float, ram_gb: float) -> bool:
        """Let go of what `to_evict` names; whether there is room now."""
        with self._lock:
            taken = [replace(each.taken, in_use=each.users > 0) for each in self._kept.values()]
            gone = to_evict(taken, new, device_gb, ram_gb)
            for key in [list(self._kept)[place] for place in gone or ()]:
                del self._kept[key]
            return gone is not None

    def put(self, key: tuple, kept: Kept) -> None:
        with self._lock:
            self._kept[key] = kept
            self._kept.move_to_end(key)

    def drop(self, name: str | None = None) -> None:
        """Let go of all models whose key begins with a name; of all where None."""
        with self._lock:
            for key in [key for key in self._kept if name in (None, key[0])]:
                del self._kept[key]

    @contextmanager
    def in_use(self, ready: Ready) -> Iterator[None]:
        """Inside, the model does not have to make room for another."""
        with self._lock:
            here = [kept for kept in self._kept.values() if kept.ready.pipe is ready.pipe]
            for kept in here:
                kept.users += 1
        try:
            yield
        finally:
            with self._lock:
                for kept in here:
                    kept.users -= 1
