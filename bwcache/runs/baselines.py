"""Uncached runs: how they measure, and where they are remembered, so that none is made twice."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import closing
from typing import Protocol

from ..cache.methods.bwcache import BWCacheConfig
from ..models import ModelSpec
from .events import Events, RunFinished
from .request import Request

REMEMBERED, REMEMBERED_BYTES = 4, 2**29  # uncached runs; a long video at 480p takes 390 MB


def measuring(spec: ModelSpec) -> BWCacheConfig:
    """The settings of an uncached run: it measures what the catalogue says, and reuses nothing.

    They depend on the model alone, so that one uncached run serves every method and setting.
    """
    return BWCacheConfig(
        threshold=0.0,
        indicator_blocks=spec.indicator_blocks,
        indicator_tokens=spec.indicator_tokens,
    )


class BaselineStore:
    """The last few uncached runs, so that other settings rerun only the cached half.

    Safe to use from several threads: a visitor may have a run on each of several devices. A run is
    remembered for the device that made it, since both runs of a comparison are made on one.

    Args:
        limit: How many at most; fewer where their videos take more than 512 MiB.
    """

    def __init__(self, limit: int = REMEMBERED):
        self._runs: OrderedDict[tuple, RunFinished] = OrderedDict()
        self._limit = limit
        self._lock = threading.RLock()

    def get(self, request: Request, device: str | None = None) -> RunFinished | None:
        """The uncached run of that request, where it is remembered; of any device where None."""
        with self._lock:
            for key in reversed(self._runs):
                if key[0] == request.baseline_key and (device is None or key[1] in (None, device)):
                    self._runs.move_to_end(key)
                    return self._runs[key]
        return None

    def devices_of(self, request: Request) -> list[str]:
        """The devices that have made the uncached run of that request."""
        with self._lock:
            return [of for key, of in self._runs if key == request.baseline_key and of is not None]

    def keeping(self, request: Request, events: Events, device: str | None = None) -> Events:
        """Pass a comparison's events on, and remember its uncached run before anybody has it.

        The one way into the store: whoever reads the events need not, and cannot, put it there.
        """
        with closing(events):
            for event in events:
                if isinstance(event, RunFinished) and event.run == "baseline":
                    self._keep(request, event, device)
                yield event

    def _keep(self, request: Request, run: RunFinished, device: str | None) -> None:
        if run.remembered:
            return
        with self._lock:
            key = (request.baseline_key, device)
            self._runs[key] = run
            self._runs.move_to_end(key)
            while len(self._runs) > self._limit or (
                len(self._runs) > 1 and self.nbytes > REMEMBERED_BYTES
            ):
                self._runs.popitem(last=False)

    @property
    def nbytes(self) -> int:
        """What the remembered videos take."""
        with self._lock:
            return sum(run.frames.nbytes for run in self._runs.values())


class Compare(Protocol):
    """A comparison with a memory: it looks for its uncached run in a store, and keeps it there."""

    def __call__(
        self, request: Request, store: BaselineStore | None = None, device: str | None = None
    ) -> Events: ...


def remembering(make: Callable[..., Events]) -> Callable[..., Events]:
    """A `Compare`, of a comparison that is handed its uncached run.

    Args:
        make: Called with (request, uncached run or None, device, further options); as
            `compare.make_comparison`. It may work in another process: the store stays in this one.
    """

    def compare(
        request: Request,
        store: BaselineStore | None = None,
        device: str | None = None,
        **options: object,
    ) -> Events:
        if store is None:
            yield from make(request, None, device, **options)
        else:
            events = make(request, store.get(request, device), device, **options)
            yield from store.keeping(request, events, device)

    return compare
