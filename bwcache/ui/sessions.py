"""What is remembered for each visitor, apart from every other, and forgotten when they leave."""

from __future__ import annotations

import threading
from collections import OrderedDict

from ..runs.baselines import BaselineStore

LIMIT, LIMIT_BYTES = 32, 2**31


class Visitors:
    """One memory of uncached runs per browser session.

    The longest unused goes where they are too many or too large.

    Args:
        limit: How many visitors are remembered at once.
        limit_bytes: What their videos may take together, in bytes.
    """

    def __init__(self, limit: int = LIMIT, limit_bytes: int = LIMIT_BYTES):
        self._limit, self._limit_bytes = limit, limit_bytes
        self._stores: OrderedDict[str, BaselineStore] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._stores)

    def store(self, session: str | None) -> BaselineStore:
        """The visitor's store; a fresh one that nobody shares where there is no session."""
        if session is None:
            return BaselineStore()
        with self._lock:
            store = self._stores.setdefault(session, BaselineStore())
            self._stores.move_to_end(session)
            while len(self._stores) > 1 and (
                len(self._stores) > self._limit or self._nbytes > self._limit_bytes
            ):
                self._stores.popitem(last=False)
            return store

    @property
    def _nbytes(self) -> int:
        return sum(store.nbytes for store in self._stores.values())

    def forget(self, session: str | None) -> None:
        """Let go of a visitor's uncached runs."""
        with self._lock:
            self._stores.pop(session, None)
