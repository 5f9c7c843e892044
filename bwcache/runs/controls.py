"""Uncached runs of as much work as a cached one: what every cache has to be better than.

fewer         as many steps as the cached run computed, spread as the scheduler spreads them
same-levels   the very noise levels at which the cached run computed, and no others
shift         as many steps at a larger flow shift, which has more of them where noise is high
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, Literal, get_args

from ..cache.trace import Trace
from ..cache.wrapped_method import owner_of, wrapped_method
from ..errors import ConfigError
from ..models.spec import ModelSpec

Control = Literal["fewer", "same-levels", "shift"]
CONTROLS: tuple[Control, ...] = get_args(Control)
LARGER_SHIFT = 2.5  # times the scheduler's own: 2 becomes 5
SHIFTS = ("flow_shift", "shift")  # what schedulers call theirs
CANNOT: Mapping[Control, str] = {
    "same-levels": "cannot leave out single steps",
    "shift": "has no fixed flow shift",
}


def computed_steps(trace: Trace) -> list[int]:
    """The steps of a run in which every block ran; the first one at least."""
    return [s.step_index for s in trace.steps if s.action == "compute"] or [0]


def check_scheduler(kind: Control, scheduler: Any) -> None:
    """Refuse a control that a scheduler cannot make.

    Raises:
        ConfigError: Naming those that it can.
    """
    able = {
        "same-levels": hasattr(scheduler, "sigmas") and getattr(scheduler, "order", 1) == 1,
        "shift": _own_shift(scheduler) is not None,
    }
    if not able.get(kind, True):
        others = " or ".join(each for each in CONTROLS if able.get(each, True))
        allowed = f"{others}, since this model's scheduler {CANNOT[kind]}"
        raise ConfigError("control", kind, allowed)


def check_control_on(spec: ModelSpec, kind: Control | None) -> None:
    """The same of a model that has not been loaded, by the scheduler that its entry names.

    Raises:
        ConfigError: See there. One whose entry names none is checked once it has been loaded.
    """
    if kind is None or kind not in CANNOT or spec.scheduler is None:
        return
    import diffusers  # requests are read without it

    check_scheduler(kind, getattr(diffusers, spec.scheduler)(**spec.scheduler_options))


def _own_shift(scheduler: Any) -> str | None:
    """What a scheduler calls its flow shift; None where it has none, or one that is not fixed."""
    config = scheduler.config
    if config.get("use_dynamic_shifting"):
        return None
    return next((name for name in SHIFTS if isinstance(config.get(name), int | float)), None)


def with_shift(scheduler: Any, shift: float | None = None) -> Any:
    """A scheduler like this one at another flow shift, `LARGER_SHIFT` times its own where None.

    Raises:
        ConfigError: It has none, or its shift follows the video's size.
    """
    check_scheduler("shift", scheduler)
    config, name = scheduler.config, str(_own_shift(scheduler))
    value = LARGER_SHIFT * config[name] if shift is None else shift
    return type(scheduler).from_config(config, **{name: value})


class OnLevels:
    """A scheduler that runs some of the steps it is asked for, and leaves the others out.

    Args:
        scheduler: One of a kind that goes from noise level to noise level, whatever lies between.

    Raises:
        ConfigError: It is none of those.
    """

    def __init__(self, scheduler: Any):
        self._scheduler = scheduler
        self.steps: Sequence[int] | None = None  # which; all where None
        check_scheduler("same-levels", scheduler)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """While inside, `set_timesteps` keeps the chosen steps alone, of copies, too."""
        with wrapped_method(self._scheduler, "set_timesteps", self._leaving_out):
            yield

    def _leaving_out(self, set_timesteps: Callable) -> Callable:
        @wraps(set_timesteps)
        def wrapped(*args, **kwargs):
            result = set_timesteps(*args, **kwargs)
            if self.steps is not None:
                _leave_out(owner_of(set_timesteps), list(self.steps))
            return result

        return wrapped


def _leave_out(scheduler: Any, kept: list[int]) -> None:
    """Of the steps that a scheduler has just been set to, keep these alone."""
    import torch  # requests are read without it

    sigmas = torch.as_tensor(scheduler.sigmas)
    scheduler.sigmas = torch.cat([sigmas[kept], sigmas[-1:]])
    scheduler.timesteps = scheduler.timesteps[kept]
    if isinstance(getattr(scheduler, "num_inference_steps", None), int):
        scheduler.num_inference_steps = len(kept)


class Controlled:
    """A pipeline of its own, over shared modules, that makes a control run.

    Args:
        pipe: The pipeline; its scheduler may be replaced.
        kind: Which control.

    Raises:
        ConfigError: Its scheduler does not allow that one.
    """

    def __init__(self, pipe: Any, kind: Control):
        self.pipe, self.kind = pipe, kind
        self._levels: OnLevels | None = None
        if kind == "shift":
            pipe.scheduler = with_shift(pipe.scheduler)
        elif kind == "same-levels":
            self._levels = OnLevels(pipe.scheduler)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Around whatever caches and calls the pipeline."""
        if self._levels is None:
            yield
        else:
            with self._levels.inside():
                yield

    def keep(self, steps: Sequence[int]) -> None:
        """Of "same-levels", the steps to make."""
        assert self._levels is not None
        self._levels.steps = steps

    def steps_to_ask_for(self, cached: Trace, of_work: Callable[[Trace], int]) -> tuple[int, int]:
        """After the cached run: the steps to ask the pipeline for, and those it will make."""
        if self._levels is None:
            made = of_work(cached)
            return made, made
        self._levels.steps = computed_steps(cached)
        return cached.num_steps, len(self._levels.steps)


def check_control(value: object) -> Control | None:
    """Which control a request asks for: True is "fewer".

    Raises:
        ConfigError: It is none.
    """
    if value is None or value is False:
        return None
    if value is True:
        return "fewer"
    if value not in CONTROLS:
        raise ConfigError("control", value, f"true, false, {', '.join(CONTROLS)}")
    return value  # type: ignore[return-value]
