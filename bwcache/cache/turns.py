"""Runs in turns, step by step: the next step belongs to the run whose own clock shows less.

Each run has a thread, since a pipeline's loop cannot be left and entered again, and since what
PyTorch keeps by thread (whether gradients are taken, autocast) must stay with its run. But exactly
one of them works at any time: the others stand still. So whatever disturbs the machine falls upon
all of them alike, and nothing that they share has to be safe for threads.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch
from accelerate.hooks import CpuOffload

from .noise import cpu_state, set_cpu_state
from .stopwatch import synchronise

# Where a run stands: on its way to the first step of a loop or behind its last one; before that
# first step; between two steps; behind the last step, with its video not yet decoded; at its end.
Place = Literal["on its way", "start", "between steps", "end", "finished"]


class RaceEnded(Exception):
    """Raised in a run that stands, to end it: another one has failed, or nobody reads any more."""


class Runner:
    """A run that takes turns with others.

    Args:
        name: What it is called.

    Attributes:
        clock: Seconds of its steps so far, which decide whose turn comes next.
        active_seconds: That it has worked in all: text, denoising, decoding; waiting is no part.
    """

    def __init__(self, name: str):
        self.name = name
        self.clock = 0.0
        self.active_seconds = 0.0
        self.place: Place = "on its way"
        self.needs: torch.nn.Module | None = None  # for its next step, where it is known
        self._noise: list[torch.Tensor] = []
        self._since = 0.0


class Turns:
    """Gives the turns. Every method but `add` and `end` is called from a run's own thread.

    Args:
        device: Where the runs compute.
        on_turn: Called with the runner whose turn begins, in its thread.

    No clock runs before all stand before their first step; whoever has made the last step waits
    there until all have, so that an offloaded autoencoder does not take the place of the
    transformer meanwhile. The generators that PyTorch has for the whole process are put back at
    each turn to where that run left them.
    """

    def __init__(
        self, device: torch.device, on_turn: Callable[[Runner], None] = lambda runner: None
    ):
        self.device, self._on_turn = device, on_turn
        self._changed = threading.Condition()
        self._runners: list[Runner] = []
        self._running: Runner | None = None
        self._in_place: torch.nn.Module | None = None  # the offloaded transformer that is
        self._ended = False
        self._noise = self._generators()

    def add(self, runner: Runner) -> None:
        """One more takes part; before its thread begins."""
        with self._changed:
            runner._noise = self._noise
            self._runners.append(runner)

    def leave_out(self, runner: Runner) -> None:
        """One that was added has no thread after all: nobody waits for it."""
        with self._changed:
            runner.place = "finished"
            if self._running in (None, runner):
                self._choose()

    def end(self) -> None:
        """End all runs: each at the next place where it stands, one after another."""
        with self._changed:
            self._ended = True

    @property
    def ended(self) -> bool:
        """Whether all runs have been told to end."""
        return self._ended

    @contextmanager
    def taking_part(self, runner: Runner) -> Iterator[None]:
        """All that a runner does, from its first turn to its last; in its thread."""
        try:
            self._take(runner)
            yield
        finally:
            self._give(runner, "finished")

    def stand(self, runner: Runner, place: Place, needs: torch.nn.Module | None = None) -> None:
        """Give the turn up at a place, and come back with the next one.

        Args:
            runner: Whose turn it is.
            place: Where it stands.
            needs: The transformer of its next step.

        Raises:
            RaceEnded: It was ended meanwhile.
        """
        self._give(runner, place, needs)
        self._take(runner)

    def bring(self, runner: Runner, transformer: torch.nn.Module, among: Sequence) -> None:
        """Have the weights of a runner's next step in place, off its clock.

        Where components are offloaded whole and a pipeline has two transformers, a run that has
        come to the second waits until nobody needs the first: one swap for all, as in a run alone.

        Args:
            runner: Whose turn it is.
            transformer: What it calls next.
            among: All transformers of the pipeline.
        """
        if not _offloaded_whole(transformer):
            return
        if self._in_place not in (None, transformer):
            self.stand(runner, "between steps", transformer)
        if self._in_place is not transformer:
            self._in_place = transformer
            for other in among:
                if other is not transformer and _offloaded_whole(other):
                    _hook(other).init_hook(other)
        _hook(transformer).pre_forward(transformer)
        synchronise(self.device)

    def make_room(self, among: Sequence[torch.nn.Module]) -> None:
        """Take offloaded transformers off the device: one more run is about to read its text."""
        self._in_place = None
        for each in among:
            if _offloaded_whole(each):
                _hook(each).init_hook(each)

    # -- whose turn it is ------------------------------------------------------------------------

    def _take(self, runner: Runner) -> None:
        with self._changed:
            if self._running is None:
                self._choose()
            self._changed.wait_for(lambda: self._running is runner)
        runner._since = time.perf_counter()
        if self._ended:
            raise RaceEnded
        self._put_back(runner._noise)
        self._on_turn(runner)

    def _give(self, runner: Runner, place: Place, needs: torch.nn.Module | None = None) -> None:
        runner.active_seconds += time.perf_counter() - runner._since
        runner._noise = self._generators()
        with self._changed:
            runner.place, runner.needs = place, needs
            self._choose()

    def _choose(self) -> None:
        """Whose turn comes next; the lock is held."""
        at = {place: [r for r in self._runners if r.place == place] for place in _PLACES}
        moving = at["on its way"]
        if not moving and not at["start"] and not at["between steps"]:
            moving = at["end"]
            for runner in moving:
                runner.place = "on its way"
        if moving:
            self._running = moving[0]
        else:
            racing = [r for r in self._runners if r.place in ("start", "between steps")]
            here = [r for r in racing if r.needs is None or r.needs is self._in_place]
            self._running = min(here or racing, key=lambda r: r.clock, default=None)
        self._changed.notify_all()

    # -- the process's generators ------------------------------------------------------------------

    def _generators(self) -> list[torch.Tensor]:
        states = [cpu_state()]
        if self.device.type == "cuda":
            states.append(torch.cuda.get_rng_state(self.device))
        return states

    def _put_back(self, states: list[torch.Tensor]) -> None:
        set_cpu_state(states[0])
        if len(states) > 1:
            torch.cuda.set_rng_state(states[1], self.device)


_PLACES: tuple[Place, ...] = ("on its way", "start", "between steps", "end", "finished")


def _offloaded_whole(module: torch.nn.Module) -> bool:
    """Whether accelerate brings a module to its device when it is called, and nothing else does."""
    return isinstance(_hook(module), CpuOffload)


def _hook(module: torch.nn.Module) -> Any:
    return getattr(module, "_hf_hook", None)
