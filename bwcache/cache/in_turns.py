"""`cached_in_turns`: several runs over one set of weights that take turns step by step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from diffusers.hooks.hooks import CacheContext, _set_cache_context

from ..errors import CacheError
from .block_stacks import BlockStack
from .controller import StepCallback
from .install import entered, lane_of, lock_of, put_gates
from .lanes import Lane, Switch
from .method import Method
from .ranks import Ranks
from .refusals import transformers_of, transformers_to_gate
from .run import Run
from .trace import StepRecord
from .turns import Runner, Turns


@dataclass(frozen=True)
class Entrant:
    """A run that is to take turns with others.

    Args:
        pipe: Its pipeline; see `sharing`.
        config: As of `cached`; with a threshold of 0 it is an uncached run.
        on_step: As of `cached`.
        runner: Its place among the others.
        clock: What a step adds to its clock, in seconds.
    """

    pipe: object
    config: Method | Sequence[Method]
    runner: Runner
    on_step: StepCallback | None = None
    clock: Callable[[StepRecord], float] = lambda record: record.seconds


@contextmanager
def cached_in_turns(
    entrants: Sequence[Entrant],
    device: torch.device,
    *,
    blocks: str | Sequence[str] | BlockStack | None = None,
    group: object = None,
) -> Iterator[tuple[Turns, list[Run]]]:
    """Like `cached`, for several runs over one set of weights that take turns step by step.

    Each run is made in a thread of its own, by calling its entrant's pipeline inside
    `with turns.taking_part(entrant.runner)`, after `turns.add(entrant.runner)`. What each gives is
    what it gives alone, bit for bit.

    Args:
        entrants: The runs, all of whose pipelines have the same transformers.
        device: Where they compute.
        blocks, group: As of `cached`.

    Yields:
        The turns, and a `Run` for each entrant.

    Raises:
        CacheError: As `cached`, or the pipelines do not share their transformers.
    """
    with entered(entrants[0].pipe) as undo:
        with lock_of(entrants[0].pipe):
            gated = transformers_to_gate(entrants[0].pipe)
            for entrant in entrants[1:]:
                if [*map(id, transformers_of(entrant.pipe))] != [*map(id, gated)]:
                    raise CacheError(
                        "pipe: pipelines that take turns need the very same transformers",
                        "two-caches",
                    )
            if any(Ranks.of(transformer, group) for transformer in gated):
                raise CacheError(
                    "pipe: whose turn it is goes by the clock, which processes that share a video "
                    "do not have in common; make one run after the other",
                    "ranks",
                )
            lanes: dict[Runner, _LaneInTurns] = {}
            for entrant in entrants:
                lane = _LaneInTurns(entrant, gated, undo)
                lanes[entrant.runner] = lane
            switch = Switch(lanes[entrants[0].runner])
            turns = Turns(device, lambda runner: switch.turn_to(lanes[runner]))
            for lane in lanes.values():
                lane.turns = turns
            controllers = [lane.controller for lane in lanes.values()]
            put_gates(gated, blocks, group, switch, undo, controllers)
        yield turns, [Run(lane.controller, lane.stepping) for lane in lanes.values()]


class _LaneInTurns(Lane):
    """A run that stands before its first step, between two, and behind its last one.

    Args:
        entrant: What it is.
        gated: The transformers.
        undo: What leaving undoes.
    """

    turns: Turns

    def __init__(self, entrant: Entrant, gated: Sequence[torch.nn.Module], undo: ExitStack):
        made = lane_of(entrant.pipe, entrant.config, self._step, gated, undo)
        super().__init__(made.controller, made.stepping)
        self._entrant, self._gated = entrant, gated

    def hold(self, transformer: torch.nn.Module) -> None:
        runner, controller = self._entrant.runner, self.controller
        started = time.perf_counter()
        if controller.idle:
            self.turns.stand(runner, "start")
        self.turns.bring(runner, transformer, self._gated)
        controller.set_back(time.perf_counter() - started)
        if self.contexts and hasattr(transformer, "cache_context"):
            name, more = self.contexts[-1]  # another run was in one of its own meanwhile
            _set_cache_context(transformer, CacheContext(name, **more))

    def _step(self, record: StepRecord, latents: torch.Tensor | None) -> None:
        runner = self._entrant.runner
        runner.clock += self._entrant.clock(record)
        if self._entrant.on_step is not None:
            self._entrant.on_step(record, latents)
        over = self.controller.is_over
        if over:
            self.controller.free()  # it may wait for long
        self.turns.stand(runner, "end" if over else "between steps")
