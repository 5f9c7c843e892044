"""What is remembered for each visitor, apart from every other, and forgotten when they leave."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from ..runs.baselines import BaselineStore
from .results import KEPT_SECONDS

LIMIT, LIMIT_BYTES = 32, 2**31


class Visitors:
    """One memory of uncached runs per browser session.

    The longest unused goes where they are too many or too large.

    Args:
        limit: How many visitors are remembered at once.
        limit_bytes: What their videos may take together, in bytes.
        clock: Gives seconds.
    """

    def __init__(
        self,
        limit: int = LIMIT,
        limit_bytes: int = LIMIT_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._limit, self._limit_bytes = limit, limit_bytes
        self._clock = clock
        self._stores: OrderedDict[str, BaselineStore] = OrderedDict()
        self._used: dict[str, float] = {}  # when each was asked for last
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
            self._used[session] = self._clock()
            while len(self._stores) > 1 and (
                len(self._stores) > self._limit or self._nbytes > self._limit_bytes
            ):
                self._used.pop(self._stores.popitem(last=False)[0], None)
            return store

    @property
    def _nbytes(self) -> int:
        return sum(store.nbytes for store in self._stores.values())

    def forget(self, session: str | None) -> None:
        """Let go of a visitor's uncached runs."""
        with self._lock:
            self._stores.pop(session, None)  # type: ignore[arg-type]
            self._used.pop(session, None)  # type: ignore[arg-type]

    def tidy(self) -> None:
        """Let go of what nobody asked for in an hour: a client that vanished never said so."""
        now = self._clock()
        with self._lock:
            for session, used in list(self._used.items()):
                if now - used >= KEPT_SECONDS:
                    self._stores.pop(session, None)
                    del self._used[session]
