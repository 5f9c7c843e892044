"""A gate before a transformer's call: it lets the call run, or answers it.

Like a block's gate (`block_gate.py`) it stands where PyTorch puts a compiled version, outermost: a
call that is answered runs no hook, so that no offloaded weight moves, and no layer at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from .block_gate import refuse_gradients
from .lanes import Switch

LATENTS = "hidden_states"
MOST_STREAMS = 2  # picture and sound


class CallGate:
    """The gate of one transformer.

    Args:
        transformer: The transformer.
        switch: Knows who decides.
        announce: Tells of a call that begins: transformer, arguments, named arguments.
    """

    def __init__(self, transformer: torch.nn.Module, switch: Switch, announce: Callable):
        self._transformer, self._switch, self._announce = transformer, switch, announce
        self._announced = False

    def __call__(self, *args, **kwargs):
        self._announced = False
        self._announce(self._transformer, args, kwargs)
        controller = self._switch.controller
        if controller.answers_calls:
            tensors = tensors_of(args, kwargs)
            answer = controller.answer_call(tensors)
            if answer is not None:
                refuse_gradients(tensors)
                return answer
        self._announced = True
        try:
            return self._transformer._call_impl(*args, **kwargs)
        finally:
            self._announced = False

    def has_announced(self) -> bool:
        """Whether the running call was announced here already; true once a call."""
        announced, self._announced = self._announced, False
        return announced

    def put(self) -> None:
        """Stand before the transformer; one that is compiled as a whole is refused before."""
        self._transformer._compiled_call_impl = self

    def remove(self) -> None:
        """Leave the transformer as it would be without the gate."""
        if vars(self._transformer).get("_compiled_call_impl") is self:
            del self._transformer._compiled_call_impl


def tensors_of(args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[torch.Tensor]:
    """The first tensors that a call is given, the latents before the others."""
    named = dict(kwargs)
    first = [named.pop(LATENTS)] if LATENTS in named and not args else []
    given = [*args, *first, *named.values()]
    found = [x for x in given if isinstance(x, torch.Tensor) and x.is_floating_point()]
    return found[:MOST_STREAMS]
