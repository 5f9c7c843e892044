"""When a run begins and when a step ends, told by the pipeline's scheduler."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import ExitStack
from functools import wraps

import torch

from .controller import Controller, RunPlan
from .noise_levels import noise_levels
from .wrapped_method import watched


class Stepping:
    """Tells the controller when a run begins and when a step ends, by the pipeline's scheduler.

    The scheduler is what every pipeline shares: it steps after the transformer's calls of one
    denoising step, however many they were, and is set anew at the start of every loop.

    Args:
        pipe: The pipeline.
        controller: Who is told.
        check: Called when a run begins; raises where the pipeline has become unusable.
    """

    def __init__(self, pipe, controller: Controller, check: Callable[[], None]):
        self._pipe, self._controller, self._check = pipe, controller, check
        self._scheduler: object = None
        self._watch = ExitStack()

    def __enter__(self) -> Stepping:
        self.follow()
        return self

    def __exit__(self, *error) -> None:
        self._watch.close()

    def follow(self) -> None:
        """Watch the pipeline's scheduler, which may have been replaced since."""
        if self._pipe.scheduler is self._scheduler:
            return
        self._watch.close()
        self._controller.reset()
        self._scheduler = self._pipe.scheduler
        self._watch.enter_context(watched(self._scheduler, "set_timesteps", self._starting))
        self._watch.enter_context(watched(self._scheduler, "step", self._ending))

    def _starting(self, set_timesteps: Callable) -> Callable:
        @wraps(set_timesteps)
        def wrapped(*args, **kwargs):
            self._check()
            self._controller.reset()
            return set_timesteps(*args, **kwargs)

        return wrapped

    def _ending(self, step: Callable) -> Callable:
        names = list(inspect.signature(step).parameters)
        place = names.index("timestep") if "timestep" in names else len(names)

        @wraps(step)
        def wrapped(*args, **kwargs):
            result = step(*args, **kwargs)
            timestep = kwargs.get("timestep", args[place] if len(args) > place else None)
            latents = result[0] if isinstance(result, tuple) else result.prev_sample
            self._controller.end_step(_as_float(timestep), latents)
            return result

        return wrapped


def plan_of(pipe) -> RunPlan:
    """What is known of a run when its first step begins."""
    num_steps = getattr(pipe, "_num_timesteps", None) or len(pipe.scheduler.timesteps)
    device = getattr(pipe, "_execution_device", None) or pipe.device
    return RunPlan(noise_levels(pipe.scheduler, num_steps), device)


def _as_float(timestep) -> float | None:
    if isinstance(timestep, torch.Tensor) and timestep.numel() != 1:
        return None
    return None if timestep is None else float(timestep)
