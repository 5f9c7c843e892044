"""What a user of `cached` holds: the traces of the pipeline's calls, and a loop's way to tell."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..errors import CacheError
from .branch import Branch
from .controller import Controller
from .scheduler_watch import Stepping
from .trace import Trace


class Run:
    """What `cached` hands out: the trace of the latest run, and of all.

    A loop whose steps no `pipe.scheduler.step` ends tells them itself: `begin`, then `step` at the
    end of each.
    """

    def __init__(self, controller: Controller, stepping: Stepping):
        self._controller, self._stepping = controller, stepping

    def begin(self, num_steps: int, levels: Sequence[float] | None = None) -> None:
        """A loop of one's own begins: forget what the last one left.

        Args:
            num_steps: How many steps it has. Behind the last one, the next call of the transformer
                begins another loop of as many.
            levels: The noise level of each step, falling, for methods that reckon with it; their
                distance from the end where None.

        Raises:
            CacheError: The numbers do not fit.
        """
        if isinstance(num_steps, bool) or not isinstance(num_steps, int) or num_steps < 1:
            raise CacheError(
                f"num_steps: a whole number from 1 is needed, found {num_steps!r}", "steps-not-told"
            )
        self._stepping.begin(num_steps, levels)

    def step(
        self, latents: torch.Tensor | None = None, timestep: float | torch.Tensor | None = None
    ) -> None:
        """A step of one's own loop has ended; does nothing where its end was told already.

        Args:
            latents: The new ones, for `on_step`, and so that a batch is known as such.
            timestep: Of the step, for the trace.
        """
        self._stepping.end_step(timestep, latents)

    @property
    def in_on_step(self) -> bool:
        """Whether `on_step` is being called right now."""
        return self._stepping.in_on_step

    @property
    def traces(self) -> list[Trace]:
        """One trace for each call of the pipeline, oldest first."""
        return list(self._controller.traces)

    def clear(self) -> None:
        """Forget the traces of earlier calls; the latest stays. For whoever stays enabled."""
        del self._controller.traces[:-1]

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
            raise CacheError(
                "trace: there is none yet; call the pipeline inside `with cached(…)`",
                "nothing-is-cached",
            )
        return self._controller.traces[-1]
