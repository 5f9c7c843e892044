"""When a denoising step of a plain run ends, for what is measured without the library's gates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from ..cache.transformers_in import transformers_in
from ..cache.wrapped_method import then, wrapped_method


@contextmanager
def at_step_ends(pipe, act: Callable[[], object]) -> Iterator[None]:
    """Act after each step while inside: where a scheduler steps for the first time since a call.

    Pipelines whose frames have timesteps of their own step a copy of the scheduler for each frame.

    Args:
        pipe: The pipeline, called as it is or with anything around it.
        act: Called once a step, behind whatever was wrapped around the scheduler before.
    """
    called = False

    def calling(*_) -> None:
        nonlocal called
        called = True

    def stepped() -> None:
        nonlocal called
        if called:
            called = False
            act()

    with ExitStack() as undo:
        for transformer in transformers_in(pipe):
            undo.callback(transformer.register_forward_pre_hook(calling).remove)
        undo.enter_context(wrapped_method(pipe.scheduler, "step", then(stepped)))
        yield
