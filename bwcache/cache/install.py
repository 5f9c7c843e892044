"""`cached(pipe, config)`: put caching into a diffusers video pipeline, and take it out again.

`enable` and `disable` are the same in two calls, for servers and notebooks.

No model's forward is copied; blocks are told to run or to be passed by. What diffusers keeps
private of its hooks is touched in `find_blocks.py`, `in_turns.py` and `context_parallel.py` alone;
diffusers is pinned exactly.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from types import SimpleNamespace
from weakref import WeakKeyDictionary

import torch

from ..errors import CacheError, ConfigError
from .announce import Hook, Place, announced
from .block_gate import ModuleGate, gates_of, gates_of_modules, parts_of
from .block_stacks import BlockStack
from .call_answers import answers_any
from .chunk_gates import check_chunks, gates_of_chunks
from .controller import Controller, StepCallback
from .find_blocks import stack_of
from .lanes import Lane, Switch
from .method import Method
from .methods.bwcache import BWCacheConfig
from .ranks import Ranks
from .refusals import (
    GATES,
    check_arguments,
    check_branches,
    check_each_once,
    check_long_skips,
    check_own_blocks,
    transformers_of,
    transformers_to_gate,
)
from .run import Run
from .run_state import model_of
from .scheduler_watch import Stepping
from .transformers_in import transformers_in
from .wrapped_method import WrappedMethod, unwrap

# held by whoever puts gates into a transformer or takes them out; None is all that are no module
_entering: WeakKeyDictionary[torch.nn.Module, threading.RLock] = WeakKeyDictionary()  # type: ignore
_of_none = threading.RLock()
_finding = threading.Lock()
_open: set[ExitStack] = set()  # one for each `cached` that has not been left
_enabled: WeakKeyDictionary[torch.nn.Module, _Enabled] = WeakKeyDictionary()

SAFE = BWCacheConfig(reuse_interval=1, gate="recheck", warm_up_steps=0.2, max_consecutive=1)
"""What `cached(pipe)` does for a model that nobody has measured: the paper's threshold, but no step
of the first fifth is reused, none after another reused one, and each is asked for anew. So at most
two steps of five are reused, whatever the model's indicator is like."""


@contextmanager
def cached(
    pipe,
    config: Method | Sequence[Method] | None = None,
    *,
    blocks: str | Sequence[str] | BlockStack | None = None,
    on_step: StepCallback | None = None,
    group: object = None,
) -> Iterator[Run]:
    """Run a diffusers video pipeline with a caching method.

    Args:
        pipe: A pipeline with a `transformer` (and perhaps a `transformer_2`) and a `scheduler`; or
            a transformer alone, for a loop that tells its steps: `run.begin(num_steps)` before the
            first, `run.step()` at the end of each.
        config: The method and its settings; two of them where the pipeline's two transformers are
            to have each its own. `SAFE` where None; `BWCacheConfig()` has the paper's defaults.
        blocks: Where the transformer's blocks are, for one that is not in `STACKS`
            (`bwcache/cache/block_stacks.py`): the name of its list of blocks, or several in calling
            order, or a `BlockStack` where blocks return more than `hidden_states`.
        on_step: Called after each step with its `StepRecord` and the new latents. An exception
            raised in it ends the run and reaches the caller of the pipeline.
        group: The processes (of `torch.distributed`) that have to decide alike; those of diffusers'
            context parallelism are found where None.

    Yields:
        A `Run`, whose `trace` grows step by step.

    Raises:
        CacheError: The pipeline is not one that this works on, is cached already, has another
            cache enabled, or is compiled as a whole; or, from the pipeline's call, nothing would be
            cached, since its blocks are not reached or the ends of its steps are not told.

    The videos of one call (a batch) are reused together: the least similar one decides.

    Every call of the pipeline starts afresh, and so does every loop inside one (long videos).
    Leaving the block, by an exception too, removes every gate and frees every tensor.
    """
    if isinstance(pipe, torch.nn.Module):
        pipe = SimpleNamespace(transformer=pipe)
    with entered(pipe) as undo:
        with lock_of(pipe):
            gated = transformers_to_gate(pipe)
            lane = lane_of(pipe, config, on_step, gated, undo)
            put_gates(gated, blocks, group, Switch(lane), undo, [lane.controller])
        yield Run(lane.controller, lane.stepping)


@contextmanager
def entered(pipe: object) -> Iterator[ExitStack]:
    """What leaving undoes, as a whole: nobody enters between the first of it and the last."""
    undo, lock = ExitStack(), lock_of(pipe)
    try:
        yield undo
    finally:
        with lock:
            undo.close()


def lock_of(pipe: object) -> threading.RLock:  # type: ignore[valid-type]
    """One for each transformer: pipelines on two devices do not wait for each other."""
    transformer = _first_transformer(pipe)
    if not isinstance(transformer, torch.nn.Module):
        return _of_none
    with _finding:
        return _entering.setdefault(transformer, threading.RLock())


def lane_of(
    pipe,
    config: Method | Sequence[Method] | None,
    on_step: StepCallback | None,
    gated: Sequence[torch.nn.Module],
    undo: ExitStack,
) -> Lane:
    """What belongs to one run: who decides, and who tells it when a step ends."""
    if on_step is not None and not callable(on_step):
        raise ConfigError("on_step", on_step, "a function of a step's record and the new latents")
    interrupted = lambda: getattr(pipe, "_interrupt", False) is True  # noqa: E731
    methods = _methods(config, len(gated))
    for expert, transformer in enumerate(gated):
        method = methods[min(expert, len(methods) - 1)]
        method.check_model(model_of(transformer))
        check_branches(method, transformer)
        check_long_skips(method, transformer)
        check_chunks(method, pipe, transformer)
    controller = Controller(methods, on_step, interrupted)

    def check() -> None:
        if [*map(id, gated)] != [*map(id, transformers_of(pipe))]:
            raise CacheError(
                "pipe: its transformer was replaced inside `with cached(…)`; leave it, enter anew",
                "replaced-inside",
            )

    undo.callback(controller.reset)
    return Lane(controller, undo.enter_context(Stepping(pipe, controller, check)))


def put_gates(
    gated: Sequence[torch.nn.Module],
    blocks: str | Sequence[str] | BlockStack | None,
    group: object,
    switch: Switch,
    undo: ExitStack,
    controllers: Sequence[Controller],
) -> None:
    """Put a gate before every block, and have the transformers announce their calls.

    Args:
        controllers: All whose turn it may be; where one gates modules, each gets a gate, too, and
            where one passes by whole calls, there is one before them.
    """
    transformers = [(transformer, stack_of(transformer, blocks)) for transformer in gated]
    for transformer, stack in transformers:
        check_own_blocks(transformer, stack)
    all_gates = [gates_of(transformer, stack, switch) for transformer, stack in transformers]
    check_each_once(all_gates)
    _open.add(undo)
    undo.callback(_open.discard, undo)
    for expert, (transformer, stack) in enumerate(transformers):
        gates: list[ModuleGate] = [*all_gates[expert]]
        parts: tuple[str, ...] = ()
        methods = [controller.method_of(expert) for controller in controllers]
        for method in methods:
            if method.site == "blocks":
                check_arguments(method, all_gates[expert], model_of(transformer))
        if any(method.site == "modules" for method in methods):
            gates += gates_of_modules(transformer, stack, switch)
            parts = parts_of(transformer, stack)
        ranks = Ranks.of(transformer, group)
        if any(method.site == "chunks" for method in methods):
            gates += gates_of_chunks(transformer, stack, switch, ranks)
        for gate in gates:
            undo.callback(gate.remove)
            gate.put()
        place = Place(transformer, stack, expert, ranks, gates, switch, parts)
        whole_calls = any(
            answers_any(each) for controller in controllers for each in controller.methods
        )
        undo.enter_context(announced(place, whole_calls))


def enable(pipe, config: Method | Sequence[Method] | None = None, **more) -> Run:
    """`cached` without a `with`, for a server or a notebook; `disable` takes it out again.

    Args:
        pipe, config, more: As for `cached`.

    Raises:
        CacheError: As `cached` does.
    """
    undo = _Enabled()
    undo.run = run = undo.enter_context(cached(pipe, config, **more))
    _enabled[_first_transformer(pipe)] = undo
    return run


def disable(pipe) -> None:
    """Take out what `enable` has put into a pipeline, or into another with its transformer.

    Raises:
        CacheError: Nothing was enabled there.
    """
    undo = _enabled.get(_first_transformer(pipe))  # type: ignore[arg-type]
    if undo is not None and undo.run.in_on_step:
        raise CacheError(
            "pipe: `disable` was called from `on_step`, in the middle of a run; an exception "
            "raised there ends the run, and then caching can be taken out",
            "enable-and-disable",
        )
    if undo is None:
        raise CacheError(
            "pipe: no caching is enabled on it; `enable(pipe, config)` comes before that",
            "enable-and-disable",
        )
    del _enabled[_first_transformer(pipe)]  # type: ignore[arg-type]
    undo.close()


class _Enabled(ExitStack):
    """What `disable` undoes, and of which run."""

    run: Run


def _first_transformer(pipe) -> torch.nn.Module | None:
    if isinstance(pipe, torch.nn.Module):
        return pipe
    return next(iter(transformers_in(pipe)), None)


def _methods(config: Method | Sequence[Method] | None, transformers: int) -> tuple[Method, ...]:
    if config is None:
        return (SAFE,)
    given = tuple(config) if isinstance(config, list | tuple) else (config,)
    if len(given) not in (1, transformers) or not all(isinstance(x, Method) for x in given):
        allowed = "a method's config" + (f", or {transformers} of them" if transformers > 1 else "")
        raise ConfigError("config", config, allowed)
    return given


def remove_leftovers(pipe: object = None) -> int:
    """Take out what every `cached` of this process that was never left has put into its pipeline.

    For the start of a job in a process that outlives its jobs, where one may have been cut short:
    nothing may be running. Leaving such a `cached` later does no harm.

    Args:
        pipe: A pipeline, or a transformer, that is looked through as well, for what nobody knows
            of any more.

    Returns:
        How many there were.
    """
    left = list(_open)
    for undo in left:
        with suppress(Exception):  # of one whose pipeline was taken apart; the others go on
            undo.close()
        _open.discard(undo)
    return len(left) + (0 if pipe is None else _strip(pipe))


def _strip(pipe: object) -> int:
    """Remove gates, hooks and wrappers from wherever they are; 1 if there were any."""
    bare = isinstance(pipe, torch.nn.Module)
    parts = [pipe] if bare else transformers_in(pipe)
    transformers = [part for part in parts if isinstance(part, torch.nn.Module)]
    found = 0
    for module in (module for part in transformers for module in part.modules()):
        own = vars(module)
        while isinstance(gate := own.get("_compiled_call_impl"), GATES):
            found = 1
            gate.remove()
        for hooks in (module._forward_pre_hooks, module._forward_hooks):
            for number in [n for n, hook in hooks.items() if isinstance(hook, Hook)]:
                found = 1
                del hooks[number]
    owners = [(part, ("cache_context",)) for part in transformers]
    if not bare:
        owners += [(pipe, ("progress_bar",))]  # type: ignore[list-item]
        owners += [(getattr(pipe, "scheduler", None), ("set_timesteps", "step"))]  # type: ignore
    for owner, wrapped in owners:
        for name in wrapped:
            if isinstance(getattr(owner, "__dict__", {}).get(name), WrappedMethod):
                found = 1
                unwrap(owner, name)
    return found
