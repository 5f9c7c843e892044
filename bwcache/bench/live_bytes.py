"""How many bytes of tensors are alive, and the most that ever were: exact, the same every time.

For devices without an allocator that counts. Scratch memory inside a kernel is not seen.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveBytes(TorchDispatchMode):
    """Inside this context, storages made by any operation are counted until they are freed.

    Attributes:
        live: Bytes of the storages made inside that are still alive.
        peak: The most that `live` has been.

    Tensors from before the context (weights) are left out, and so are views and in-place results:
    they share a storage that is counted already, or was there before. For one thread.
    """

    def __init__(self):
        super().__init__()
        self.live = self.peak = 0
        self._known: dict[int, int] = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        given = set(storages((args, kwargs)))
        result = func(*args, **kwargs)
        for key, storage in storages(result).items():
            if key not in given and key not in self._known:
                self._made(key, storage)
        return result

    def _made(self, key: int, storage: torch.UntypedStorage) -> None:
        self._known[key] = storage.nbytes()
        self.live += storage.nbytes()
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._freed, key).atexit = False

    def _freed(self, key: int) -> None:
        self.live -= self._known.pop(key)


def storages(tensors: object) -> dict[int, torch.UntypedStorage]:
    """The distinct storages of all tensors in any nesting of lists, tuples and dicts."""
    found = (x.untyped_storage() for x in tree_leaves(tensors) if isinstance(x, torch.Tensor))
    return {storage._cdata: storage for storage in found}


def stored_bytes(tensors: Iterable[object]) -> int:
    """Bytes of the distinct storages of all tensors in any nesting."""
    return sum(storage.nbytes() for storage in storages(list(tensors)).values())
