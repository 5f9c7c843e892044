"""When a run begins and when a step ends, told by the pipeline's scheduler or by a loop itself."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import wraps
from typing import Any

import torch

from ..errors import CacheError
from .controller import Controller
from .noise import cpu_state
from .noise_levels import noise_levels
from .prediction import prediction_of
from .rehearsal import Rehearsal
from .run_state import RunPlan
from .steps_told import StepsTold
from .wrapped_method import wrapped_method


class Stepping:
    """Tells the controller when a run begins and when a step ends.

    The scheduler is what every pipeline shares: it steps after the transformer's calls of one
    denoising step, however many they were, and is set anew at the start of every loop. A loop that
    has none tells by `begin` and `end_step`.

    Args:
        pipe: The pipeline.
        controller: Who is told.
        check: Called when a run begins; raises where the pipeline has become unusable.
    """

    def __init__(self, pipe, controller: Controller, check: Callable[[], None]):
        self._pipe, self._controller, self._check = pipe, controller, check
        self._scheduler: object = None
        self._watch = ExitStack()
        self._told, self._timesteps = StepsTold(), _Timesteps()
        self._called = False
        self._given: RunPlan | None = None
        self.in_on_step = False

    def __enter__(self) -> Stepping:
        self.follow()
        if callable(getattr(self._pipe, "progress_bar", None)):
            self._bar = wrapped_method(self._pipe, "progress_bar", self._showing, self._pipe)
            self._bar.__enter__()
        else:
            self._bar = None
        return self

    def __exit__(self, *error) -> None:
        self._told.timestep = None
        self._watch.close()
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
        steps = vars(self._pipe).get("_num_timesteps") if hasattr(self._pipe, "__dict__") else None
        if isinstance(steps, _Old):
            self._pipe._num_timesteps = int(steps)

    @property
    def unguided(self) -> bool:
        """Whether the pipeline says that its run has no second guidance branch."""
        return getattr(self._pipe, "do_classifier_free_guidance", None) is False

    def follow(self) -> None:
        """Watch the pipeline's scheduler, which may have been replaced since."""
        scheduler = getattr(self._pipe, "scheduler", None)
        if scheduler is self._scheduler:
            return
        self._watch.close()
        self._controller.reset()
        self._scheduler = scheduler
        for name, wrap in (("set_timesteps", self._starting), ("step", self._ending)):
            self._watch.enter_context(wrapped_method(scheduler, name, wrap, self._pipe))

    def called(self, context: str | None, timestep: object) -> None:
        """A transformer is about to be called.

        Raises:
            CacheError: For another step than the running one, whose end nobody told.
        """
        self._refuse_re_entry()
        self._called = True
        self._told.called(context, timestep)

    def _refuse_re_entry(self) -> None:
        """Raise where the pipeline is called from `on_step`: its own step has not ended yet.

        Raises:
            CacheError: So it is.
        """
        if self.in_on_step:
            raise CacheError(
                "pipe: it was called from `on_step`, in the middle of its own step; note there "
                "what is to be done, and do it after the run",
                "re-entering",
            )

    def begin(self, num_steps: int, levels: Sequence[float] | None) -> None:
        """A loop of somebody's own begins."""
        self._refuse_re_entry()
        if levels is not None and len(levels) != num_steps:
            raise CacheError(
                f"levels: {len(levels)} given for {num_steps} steps; one a step is needed",
                "steps-not-told",
            )
        levels = [float(x) for x in (range(num_steps, 0, -1) if levels is None else levels)]
        self._given = RunPlan(levels, _device_of(self._pipe))
        self._afresh()

    def end_step(self, timestep: object = None, latents: torch.Tensor | None = None) -> None:
        """A step has ended."""
        self._refuse_re_entry()
        self._told.ended()
        number = self._timesteps.value_of(timestep, self._scheduler)
        self.in_on_step = True
        try:
            self._controller.end_step(number, latents)
        finally:
            self.in_on_step = False
        if self._given is not None and self._controller.is_over:
            self._afresh()  # a server's loop: what comes next is the next video

    def plan(self) -> RunPlan:
        """What is known of a run when its first step begins.

        Raises:
            CacheError: Nobody has said how many steps it has.
        """
        return self._given or plan_of(self._pipe, self._told.timestep)

    def _afresh(self) -> None:
        self._controller.reset()
        self._told, self._called, self._timesteps = StepsTold(), False, _Timesteps()

    def _starting(self, set_timesteps: Callable) -> Callable:
        @wraps(set_timesteps)
        def wrapped(*args, **kwargs):
            self._refuse_re_entry()
            self._check()
            self._afresh()
            self._given = None
            steps = getattr(self._pipe, "_num_timesteps", None)
            if isinstance(steps, int):  # of its last run; another pipeline may share the scheduler
                self._pipe._num_timesteps = _Old(steps)
            return set_timesteps(*args, **kwargs)

        return wrapped

    def _ending(self, step: Callable) -> Callable:
        names = list(inspect.signature(step).parameters)
        place = names.index("timestep") if "timestep" in names else len(names)

        @wraps(step)
        def wrapped(*args, **kwargs):
            first, device = self._controller.in_first_step, self._controller.device
            before = _random_state(device, kwargs.get("generator")) if first else []
            result = step(*args, **kwargs)
            if not self._called:
                raise CacheError(
                    "pipe: a step has ended in which its transformer was never called as a module: "
                    "the pipeline uses another transformer, or one whose forward was compiled "
                    "ahead of time and is called by itself. Nothing would be cached. Compile the "
                    "blocks instead, and give `cached` the pipeline that is called",
                    "nothing-is-cached",
                )
            after = _random_state(device, kwargs.get("generator")) if first else []
            if not all(map(torch.equal, before, after)):
                self._controller.note_noise()
            timestep = kwargs.get("timestep", args[place] if len(args) > place else None)
            self.end_step(timestep, _latents_of(result))
            return result

        return wrapped

    def _showing(self, progress_bar: Callable) -> Callable:
        """The loop's end is where its bar is closed: what it kept is then of no more use.

        A pipeline that is told to stop (`_interrupt`) calls nothing else on its way there.
        """

        @wraps(progress_bar)
        def wrapped(*args, **kwargs):
            bar = progress_bar(*args, **kwargs)
            close = getattr(bar, "close", None)
            if callable(close) and hasattr(bar, "__dict__"):
                told = self._told  # of this loop; a bar may be closed once more when it is deleted

                def closing(*given, **named):
                    if self._told is told and not told.over:
                        told.over, told.timestep = True, None
                        self._controller.free()
                    return close(*given, **named)

                bar.close = closing
            return bar

        return wrapped


class _Old(int):
    """A pipeline's number of steps that is its last run's, until it sets another."""


def plan_of(pipe, timestep: object = None) -> RunPlan:
    """What is known of a pipeline's run when its first step begins.

    Args:
        pipe: The pipeline.
        timestep: At which the transformer is called first, if that is known.

    Raises:
        CacheError: Nobody has said how many steps it has.
    """
    scheduler = getattr(pipe, "scheduler", None)
    timesteps = getattr(scheduler, "timesteps", None)
    never_set = getattr(scheduler, "num_inference_steps", 0) is None
    if timesteps is None or not len(timesteps) or never_set:
        raise CacheError(
            "pipe: its transformer was called outside a run, so that nobody knows how many steps "
            "there will be; call the pipeline, or `pipe.scheduler.set_timesteps(…)` or "
            "`run.begin(num_steps)` before the first step",
            "outside-a-run",
        )
    num_steps = getattr(pipe, "_num_timesteps", None)
    if not num_steps or isinstance(num_steps, _Old):
        num_steps = len(timesteps) - _first_step(scheduler, timestep)
    levels = noise_levels(scheduler, num_steps)
    prediction = prediction_of(scheduler, num_steps, levels)
    rehearsal = Rehearsal(scheduler, num_steps, prediction)
    return RunPlan(levels, _device_of(pipe), prediction, rehearsal)


def _first_step(scheduler, timestep: object) -> int:
    """Where in a scheduler's timesteps a run begins that may leave out the first (`strength`)."""
    begin = getattr(scheduler, "begin_index", None)
    if begin or not isinstance(timestep, torch.Tensor) or not timestep.numel():
        return begin or 0
    timesteps = torch.as_tensor(scheduler.timesteps)
    found = (timesteps == timestep.max().to(timesteps)).nonzero().flatten()
    return int(found[0]) if len(found) else 0


def _device_of(pipe) -> torch.device:
    device = getattr(pipe, "_execution_device", None) or getattr(pipe, "device", None)
    if isinstance(device, torch.device):
        return device
    weight = next(pipe.transformer.parameters(), None)
    return torch.device("cpu") if weight is None else weight.device


def _latents_of(result: object) -> torch.Tensor | None:
    """The new latents, in whatever form a scheduler returns them."""
    if isinstance(result, tuple | list):
        result = result[0] if result else None
    found = getattr(result, "prev_sample", result)
    return found if isinstance(found, torch.Tensor) else None


def _random_state(device: torch.device | None, given: object) -> list[torch.Tensor]:
    """Where the generators stand from which a scheduler may draw noise."""
    generators = given if isinstance(given, list | tuple) else [given]
    states = [each.get_state() for each in generators if isinstance(each, torch.Generator)]
    if device is not None and device.type == "cuda":
        states.append(torch.cuda.get_rng_state(device))
    return [*states, cpu_state()]


class _Timesteps:
    """The numbers of a scheduler's timesteps: read from the device once a run, not once a step.

    It keeps none of them: what a run leaves behind would hold memory of the device.
    """

    def __init__(self) -> None:
        self._of: weakref.ref[torch.Tensor] | None = None
        self._numbers: list[float] = []

    def value_of(self, timestep: Any, scheduler: object) -> float | None:
        """A timestep as a number; None where it is none, or several."""
        if not isinstance(timestep, torch.Tensor):
            return None if timestep is None else float(timestep)
        if timestep.numel() != 1:
            return None
        known = getattr(scheduler, "timesteps", None)
        if not isinstance(known, torch.Tensor) or not _lies_in(timestep, known):
            return float(timestep)
        if self._of is None or self._of() is not known:
            self._of, self._numbers = weakref.ref(known), [float(x) for x in known.tolist()]
        return self._numbers[timestep.storage_offset() - known.storage_offset()]


def _lies_in(one: torch.Tensor, row: torch.Tensor) -> bool:
    """Whether a tensor of one number is a view of a row's."""
    return (
        row.ndim == 1
        and row.is_contiguous()
        and one.dtype == row.dtype
        and one.untyped_storage().data_ptr() == row.untyped_storage().data_ptr()
        and 0 <= one.storage_offset() - row.storage_offset() < len(row)
    )
