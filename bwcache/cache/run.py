"""What a user of `cached` holds: the traces of the pipeline's calls."""

from __future__ import annotations

from ..errors import CacheError
from .branch import Branch
from .controller import Controller
from .trace import Trace


class Run:
    """What `cached` hands out: the trace of the latest run, and of all."""

    def __init__(self, controller: Controller):
        self._controller = controller

    @property
    def traces(self) -> list[Trace]:
        """One trace for each call of the pipeline, oldest first."""
        return list(self._controller.traces)

    @property
    def branches(self) -> list[Branch]:
        """What each guidance branch keeps right now; empty before a run and after leaving."""
        return list(self._controller.branches.values())

    @property
    def trace(self) -> Trace:
        """The latest call's trace, up to the last finished step.

        Raises:
            CacheError: The pipeline has not been called yet.
        """
        if not self._controller.traces:
            raise CacheError("trace: there is none yet; call the pipeline inside `with cached(…)`")
        return self._controller.traces[-1]
