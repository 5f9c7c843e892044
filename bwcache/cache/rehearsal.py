"""How far each call moves the latents in the end: a scheduler's steps, rehearsed with numbers.

A multistep solver's step moves the latents by more than its own call says, and the next ones take
some of it back, or cannot where the run is over. Instead of knowing every solver, a copy of the
pipeline's scheduler is run from nothing, with one call's velocity at a time: all of them at once, a
number each.
"""

from __future__ import annotations

import copy
import weakref
from functools import cached_property
from itertools import pairwise
from typing import Any

import torch

from .noise import own_noise
from .prediction import Prediction

WATCHED = ("step", "set_timesteps")  # what `cached` wraps on the pipeline's own scheduler
PUSH = 1 / 1024  # small, so that no scheduler clips the clean video that follows from it
NOTHING = 1e-6  # what rounding leaves of it
# A solver's rehearsal takes as long as some steps of a small model: what is known is not asked
# again. Runs of a server or a comparison are of a few kinds.
MOST_KNOWN = 64
_known: dict[tuple, tuple[float, ...]] = {}


class Rehearsal:
    """A run of a scheduler alone.

    Args:
        scheduler: Any diffusers scheduler whose timesteps are set. It stays as it is.
        num_steps: How many steps are about to run, the last ones.
        prediction: What the model's calls predict.
    """

    def __init__(self, scheduler: Any, num_steps: int, prediction: Prediction):
        self._prediction, self._num_steps = prediction, num_steps
        self._scheduler = weakref.ref(scheduler)

    @cached_property
    def moves(self) -> tuple[float, ...]:
        """By how much a velocity of 1 at each step takes the final latents towards the video.

        With Euler's and DDIM's steps it is the share of noise that goes in the step. Empty where no
        velocity is told, a level repeats, the scheduler adds noise or does more with what it is
        given than to weigh it, cannot be run by itself, or had begun when this was first asked.
        Waits for the device once.
        """
        scheduler = self._scheduler()
        if scheduler is None or not _falls(self._prediction) or self._has_begun(scheduler):
            return ()
        try:
            return self._found(scheduler)
        except Exception:  # a scheduler may need more, or be somebody's own; the run is not touched
            return ()

    def _has_begun(self, scheduler: Any) -> bool:
        """Whether a step was made. Some schedulers look up their first one before it."""
        first = len(scheduler.timesteps) - self._num_steps
        return getattr(scheduler, "step_index", None) not in (None, first)

    def _found(self, scheduler: Any) -> tuple[float, ...]:
        made = _copy_of(scheduler)
        key = (type(made), self._num_steps, self._prediction, _told(made))
        if key not in _known:
            ends = self._run(made)
            *moves, untouched = (ends / -PUSH).tolist()
            known = bool(ends.isfinite().all()) and abs(untouched) < NOTHING
            if len(_known) >= MOST_KNOWN:
                _known.clear()
            _known[key] = tuple(moves) if known else ()
        return _known[key]

    def _run(self, scheduler: Any) -> torch.Tensor:
        """Where the latents end, begun at 0: with each step's velocity alone, and with none."""
        count = self._num_steps
        first = len(scheduler.timesteps) - count
        with own_noise(), torch.no_grad(), torch.device("cpu"):
            latents = torch.zeros(count + 1, 1, 1, 1, 1, dtype=torch.float32)
            for step, timestep in enumerate(scheduler.timesteps[first:]):
                seen = latents
                if callable(getattr(scheduler, "scale_model_input", None)):
                    seen = scheduler.scale_model_input(latents, timestep)
                velocity = torch.zeros_like(latents)
                velocity[step] = PUSH
                output = self._prediction.output_of(step, velocity, seen)
                latents = scheduler.step(output, timestep, latents, return_dict=False)[0]
        return latents.flatten()


def _falls(prediction: Prediction) -> bool:
    """Whether velocities are told, each at a level of its own."""
    told = prediction.kind not in ("unknown", "epsilon")
    return told and all(here > later for here, later in pairwise([*prediction.shares, 0.0]))


def _told(scheduler: Any) -> tuple:
    """All values of a scheduler, to be compared with another's."""
    return tuple(
        (name, value.numpy().tobytes() if isinstance(value, torch.Tensor) else repr(value))
        for name, value in sorted(vars(scheduler).items())
    )


def _copy_of(scheduler: Any) -> Any:
    """A scheduler's class and values, on the CPU, without what was put around its methods."""
    made = object.__new__(type(scheduler))
    for name, value in vars(scheduler).items():
        if name in WATCHED:
            continue
        if isinstance(value, torch.Tensor):
            value = value.detach().cpu().clone()
        elif not callable(value):
            value = copy.deepcopy(value)
        vars(made)[name] = value
    return made
