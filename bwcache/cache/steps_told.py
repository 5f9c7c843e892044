"""Whether somebody tells when a denoising step ends; without that, nothing can be reused."""

from __future__ import annotations

import inspect
from collections import Counter

import torch

from ..errors import CacheError

TIMESTEPS = ("timestep", "timesteps", "sigma", "t")  # what transformers call theirs
MANY_CALLS = 16  # of one step, where a call does not say which step it belongs to


class StepsTold:
    """Notices a loop that goes on to another step although no end of the last one was told.

    A step calls the transformer once for each guidance branch, at one timestep. A call more than
    the last step had is looked at: at another timestep it belongs to another step. That looks at
    no number in a pipeline whose steps are told.
    """

    def __init__(self):
        self.over = False  # whether the loop has ended
        self._calls: Counter[str | None] = Counter()
        self._usual: Counter[str | None] = Counter()
        self.timestep: object = None

    def ended(self) -> None:
        """A step has ended, or a run begins."""
        if self._calls:
            self._usual, self._calls = self._calls, Counter()

    def called(self, context: str | None, timestep: object) -> None:
        """A transformer is about to be called.

        Raises:
            CacheError: For another step than the running one, whose end nobody told.
        """
        if not self._calls:
            self.timestep = timestep
        self._calls[context] += 1
        count = self._calls[context]
        if count == 1 or count <= self._usual[context]:
            return
        known = timestep is not None and self.timestep is not None
        if (known and not _alike(timestep, self.timestep)) or (not known and count > MANY_CALLS):
            raise CacheError(
                "pipe: its transformer is called for another step, but the end of the last one was "
                "not told: `pipe.scheduler.step` is not what steps here. In your own loop call "
                "`run.step()` at the end of each step, `run.begin(num_steps)` before the first; a "
                "second pipeline with the same transformer needs a `cached` of its own",
                "steps-not-told",
            )


def timestep_of(transformer: torch.nn.Module, args: tuple, kwargs: dict) -> object:
    """What a call of a transformer says of its step; None where it says nothing."""
    for name in TIMESTEPS:
        if name in kwargs:
            return kwargs[name]
    names = list(inspect.signature(type(transformer).forward).parameters)[1 : len(args) + 1]
    return next((args[names.index(name)] for name in TIMESTEPS if name in names), None)


def _alike(one: object, other: object) -> bool:
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return one.shape == other.shape and bool((one == other.to(one.device)).all())
    return bool(one == other) if type(one) is type(other) else False
