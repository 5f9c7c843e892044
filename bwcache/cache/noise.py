"""PyTorch's generator for the CPU, one for each run where several devices work at once.

PyTorch has one for the whole process, and stochastic schedulers draw from it without being asked
to. Runs that take turns put it back at each turn (`turns.py`); runs on two devices at the same time
would draw from one another's. Inside `own_noise` a thread has one of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch.overrides import TorchFunctionMode

_default = threading.Lock()  # held for the moment in which PyTorch's generator stands in for one
_here = threading.local()
_NAMES = (
    *("rand", "rand_like", "randn", "randn_like", "randint", "randint_like", "randperm"),
    *("normal", "bernoulli", "multinomial", "poisson", "dropout"),
)
_IN_PLACE = (
    *("normal_", "uniform_", "random_", "bernoulli_", "exponential_", "geometric_"),
    *("cauchy_", "log_normal_", "multinomial", "bernoulli"),
)
DRAWS = frozenset(
    [
        *(getattr(torch, name) for name in _NAMES),
        *(getattr(torch.Tensor, name) for name in _IN_PLACE),
        torch.nn.functional.dropout,
    ]
)


class _Own(TorchFunctionMode):
    """Draws that name no generator come from one that belongs to this thread."""

    def __init__(self, state: torch.Tensor):
        super().__init__()
        self.state = state

    def __torch_function__(
        self, func: Callable, types: object, args: tuple = (), kwargs: dict | None = None
    ):
        kwargs = kwargs or {}
        if func not in DRAWS or kwargs.get("generator") is not None:
            return func(*args, **kwargs)
        with _default:
            before = torch.get_rng_state()
            torch.set_rng_state(self.state)
            try:
                return func(*args, **kwargs)
            finally:
                self.state = torch.get_rng_state()
                torch.set_rng_state(before)


@contextmanager
def own_noise(seed: int = 0) -> Iterator[None]:
    """In this thread, what draws on the CPU draws as after `torch.manual_seed(seed)`, alone."""
    state = torch.Generator("cpu").manual_seed(seed).get_state()
    outer = getattr(_here, "own", None)
    with _Own(state) as own:
        _here.own = own
        try:
            yield
        finally:
            _here.own = outer


@contextmanager
def nobody_draws() -> Iterator[None]:
    """For what seeds PyTorch's own generator and draws from it at length: building weights."""
    with _default:
        yield


def cpu_state() -> torch.Tensor:
    """Where the generator stands that this thread's draws on the CPU come from."""
    own = getattr(_here, "own", None)
    return torch.get_rng_state() if own is None else own.state


def set_cpu_state(state: torch.Tensor) -> None:
    """Put it back to where it stood."""
    own = getattr(_here, "own", None)
    if own is None:
        torch.set_rng_state(state)
    else:
        own.state = state
