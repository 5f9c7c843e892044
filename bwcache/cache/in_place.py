"""Tensors that are kept by reference, although somebody may alter them in place.

Blocks that work in place alter the very input that a residual is taken from; a model that goes on
in place behind its blocks alters the very output that is kept. A copy each time would be safe and
dear, so none is made until PyTorch's version counters show that one is needed.
"""

from __future__ import annotations

import torch

Tensors = tuple[torch.Tensor | None, ...]


class Held:
    """Tensors as they were when they were handed over.

    Kept by reference. Once such ones have been altered, copies are kept from then on. Where no
    version counter can tell (`torch.inference_mode`; a kernel of somebody's own that wrote into the
    memory that its result lies in), the next ones are copied and compared, once.
    """

    def __init__(self):
        self.tensors: Tensors | None = None
        self.copying = False
        self._trusted = self._suspected = self._copied = False
        self._given: Tensors = ()
        self._versions: list[int | None] = []

    def put(self, tensors: Tensors, carefully: bool = False, own: bool = False) -> None:
        """Keep these instead.

        Args:
            tensors: What to keep.
            carefully: Copy the first ones, too, where an alteration could not be made good.
            own: Nobody else has them.
        """
        if own or self.copying:
            self.tensors, self._given = tensors if own else _copies(tensors), ()
            return
        unseen = self._suspected or any(x is not None and x.is_inference() for x in tensors)
        self._copied = (carefully or unseen) and not self._trusted
        self._suspected = unseen and not self._trusted
        self.tensors = _copies(tensors) if self._copied else tensors
        self._given, self._versions = tensors, [_version(x) for x in tensors]

    def altered(self, results: Tensors = ()) -> bool:
        """Whether what is kept is no longer what it was. Copies are kept from then on.

        Args:
            results: What was made of it, if that may lie in the same memory.
        """
        given, self._given = self._given, () if self._copied else self._given
        if not given or self.tensors is None:
            return False
        changed = any(_version(x) != v for x, v in zip(given, self._versions, strict=True))
        if self._copied:
            if self._suspected:
                pairs = zip(given, self.tensors, strict=True)
                changed = changed or any(x is not None and not torch.equal(x, y) for x, y in pairs)
            self._suspected, self._trusted = False, not changed
            self.copying = changed
            return False
        self.copying = changed
        if not changed and not self._trusted and _share_memory(given, results):
            self._suspected = True
            return True
        return changed

    def drop(self) -> None:
        """Keep nothing."""
        self.tensors, self._given = None, ()


def _copies(tensors: Tensors) -> Tensors:
    return tuple(None if x is None else x.clone() for x in tensors)


def _version(tensor: torch.Tensor | None) -> int | None:
    return None if tensor is None or tensor.is_inference() else tensor._version


def _share_memory(given: Tensors, results: Tensors) -> bool:
    places = {x.untyped_storage()._cdata for x in given if x is not None}
    return any(x is not None and x.untyped_storage()._cdata in places for x in results)
