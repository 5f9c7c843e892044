"""What is remembered for each visitor, apart from every other, and forgotten when they leave."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from ..runs.events import RunFinished
from ..runs.request import Request

LIMIT, LIMIT_BYTES = 32, 2**31


class Store(Protocol):
    """Remembers uncached runs, as `compare.BaselineStore` does."""

    @property
    def nbytes(self) -> int: ...

    def get(self, request: Request) -> RunFinished | None: ...

    def put(self, request: Request, run: RunFinished) -> None: ...


class Visitors:
    """One store per browser session; the longest unused goes where they are too many or too large.

    Args:
        new_store: Makes an empty store.
        limit: How many visitors are remembered at once.
    """

    def __init__(self, new_store: Callable[[], Store], limit: int = LIMIT):
        self._new_store = new_store
        self._limit = limit
        self._stores: OrderedDict[str, Store] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._stores)

    def store(self, session: str | None) -> Store:
        """The visitor's store; a fresh one that nobody shares where there is no session."""
        if session is None:
            return self._new_store()
        with self._lock:
            if session not in self._stores:
                self._stores[session] = self._new_store()
            self._stores.move_to_end(session)
            while len(self._stores) > self._limit or (
                len(self._stores) > 1 and self._nbytes > LIMIT_BYTES
            ):
                self._stores.popitem(last=False)
            return self._stores[session]

    @property
    def _nbytes(self) -> int:
        return sum(store.nbytes for store in self._stores.values())

    def forget(self, session: str | None) -> None:
        with self._lock:
            self._stores.pop(session, None)
