"""`cached(pipe, config)`: put caching into a diffusers video pipeline, and take it out again.

`enable` and `disable` are the same in two calls, for servers and notebooks.

The only file that touches diffusers' hook internals (those of its parallelism apart, see
`context_parallel.py`), which are partly private: diffusers is pinned exactly. No model's forward is
copied; blocks are told to run or to be passed by.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import wraps
from inspect import signature
from types import SimpleNamespace
from weakref import WeakKeyDictionary

import torch
from diffusers.hooks._helpers import TransformerBlockRegistry
from diffusers.hooks.hooks import CacheContext, _set_cache_context

from ..errors import CacheError, ConfigError
from .block_gate import (
    BlockGate,
    SideGate,
    gates_of,
    gates_of_modules,
    in_calling_order,
    parts_of,
)
from .block_stacks import CALLED_PER_BRANCH, GUESSES, REFUSED, STACKS, BlockStack
from .branch import BLOCK_PROBES, CALL_PROBES, GUIDANCE
from .call_gate import CallGate
from .controller import Call, Controller, StepCallback, model_of
from .lanes import Lane, Switch
from .method import Method, RunFacts
from .methods.bwcache import BWCacheConfig
from .ranks import Ranks
from .run import Run
from .scheduler_watch import Stepping
from .steps_told import timestep_of
from .trace import StepRecord
from .turns import Runner, Turns
from .wrapped_method import WrappedMethod, unwrap, wrapped_method

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

GATES = (BlockGate, CallGate)  # whatever may stand at a module's call

OTHER_CACHES = ("cache_dit", "para_attn")  # whose wrapped forward is known by its module

BUILT_IN_CACHES = (
    "faster_cache",
    "first_block_cache",
    "mag_cache",
    "pyramid_attention_broadcast",
    "sea_cache",
    "taylorseer_cache",
    "text_kv_cache",
)


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
    with _entered(pipe) as undo:
        with _lock_of(pipe):
            gated = transformers_to_gate(pipe)
            lane = _lane(pipe, config, on_step, gated, undo)
            _put_gates(gated, blocks, group, Switch(lane), undo, [lane.controller])
        yield Run(lane.controller, lane.stepping)


@contextmanager
def _entered(pipe: object) -> Iterator[ExitStack]:
    """What leaving undoes, as a whole: nobody enters between the first of it and the last."""
    undo, lock = ExitStack(), _lock_of(pipe)
    try:
        yield undo
    finally:
        with lock:
            undo.close()


def _lock_of(pipe: object) -> threading.RLock:  # type: ignore[valid-type]
    """One for each transformer: pipelines on two devices do not wait for each other."""
    transformer = _first_transformer(pipe)
    if not isinstance(transformer, torch.nn.Module):
        return _of_none
    with _finding:
        return _entering.setdefault(transformer, threading.RLock())


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
    with _entered(entrants[0].pipe) as undo:
        with _lock_of(entrants[0].pipe):
            gated = transformers_to_gate(entrants[0].pipe)
            for entrant in entrants[1:]:
                if [*map(id, _transformers(entrant.pipe))] != [*map(id, gated)]:
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
            _put_gates(gated, blocks, group, switch, undo, controllers)
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
        made = _lane(entrant.pipe, entrant.config, self._step, gated, undo)
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


def transformers_to_gate(pipe: object) -> list[torch.nn.Module]:
    """A pipeline's transformers, none of which is cached yet."""
    found = _transformers(pipe)
    for transformer in found:
        _check_not_gated(transformer)
    return found


def _lane(
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
        _check_branches(method, transformer)
        _check_long_skips(method, transformer)
    controller = Controller(methods, on_step, interrupted)

    def check() -> None:
        if [*map(id, gated)] != [*map(id, _transformers(pipe))]:
            raise CacheError(
                "pipe: its transformer was replaced inside `with cached(…)`; leave it, enter anew",
                "replaced-inside",
            )

    undo.callback(controller.reset)
    return Lane(controller, undo.enter_context(Stepping(pipe, controller, check)))


def _motion(transformer: torch.nn.Module, output: object) -> torch.Tensor | None:
    """How a prediction differs from frame to frame; None where it does not show its frames.

    Args:
        transformer: What gave it.
        output: `[B, C, F, H, W]`, or `[B, F, C, H, W]` where its second axis is not its channels'.
    """
    if not isinstance(output, torch.Tensor) or output.ndim != 5:
        return None
    channels = getattr(getattr(transformer, "config", None), "out_channels", None)
    axis = 1 if channels == output.shape[2] != output.shape[1] else 2
    return output.diff(dim=axis) if output.shape[axis] > 1 else None


def _check_arguments(method: Method, gates: Sequence[BlockGate], model: str) -> None:
    """Refuse a method that measures what these blocks are not given."""
    of_blocks = [gate for gate in gates if not isinstance(gate, SideGate)]
    for probe in method.probes(RunFacts(2, len(of_blocks), model=model)):
        if probe.of not in (*CALL_PROBES, *BLOCK_PROBES, GUIDANCE):
            for block in probe.blocks:
                of_blocks[block].check_argument(probe.of)


def _check_branches(method: Method, transformer: torch.nn.Module) -> None:
    """Refuse a method that needs guidance branches apart where one call makes them all."""
    name = type(transformer).__name__
    if method.guidance == "needed" and name in STACKS and name not in CALLED_PER_BRANCH:
        raise CacheError(
            f"method: {method.title} estimates one guidance branch from the other, but {name} is "
            "given both in one call; use another method on this model",
            "other-methods",
        )


def _check_long_skips(method: Method, transformer: torch.nn.Module) -> None:
    """Refuse a method that computes more blocks around the middle than long skips lead past it."""
    has = getattr(getattr(transformer, "config", None), "long_skips", 0)
    if method.long_skips > has:
        raise CacheError(
            f"method: {method.title} here needs {method.long_skips} long skips from first to last "
            f"blocks, but {type(transformer).__name__} has {has}; use "
            + (f"at most {has} computed blocks" if has else "another method, or tinyworld-skip"),
            "other-methods",
        )


def _put_gates(
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
        _check_own_blocks(transformer, stack)
    all_gates = [gates_of(transformer, stack, switch) for transformer, stack in transformers]
    _check_each_once(all_gates)
    _open.add(undo)
    undo.callback(_open.discard, undo)
    for expert, (transformer, stack) in enumerate(transformers):
        gates = all_gates[expert]
        parts: tuple[str, ...] = ()
        methods = [controller.method_of(expert) for controller in controllers]
        for method in methods:
            if method.site == "blocks":
                _check_arguments(method, gates, model_of(transformer))
        if any(method.site == "modules" for method in methods):
            gates += gates_of_modules(transformer, stack, switch)
            parts = parts_of(transformer, stack)
        for gate in gates:
            undo.callback(gate.remove)
            gate.put()
        ranks = Ranks.of(transformer, group)
        place = _Place(transformer, stack, expert, ranks, gates, switch, parts)
        whole_calls = any(controller.may_answer_calls for controller in controllers)
        undo.enter_context(_announced(place, whole_calls))


def _check_each_once(gates: Sequence[Sequence[BlockGate]]) -> None:
    """Refuse one and the same block in two places: no gate could tell which of them is called."""
    seen: set[int] = set()
    for gate in (gate for each in gates for gate in each):
        if id(gate.block) in seen:
            raise CacheError(
                f"blocks: the same {type(gate.block).__name__} is listed twice; name each list of "
                "blocks once, and only lists whose blocks are all different",
                "unknown-models",
            )
        seen.add(id(gate.block))


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
    found = [getattr(pipe, name, None) for name in ("transformer", "transformer_2")]
    return next((each for each in found if each is not None), None)


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
    names = ("transformer", "transformer_2")
    parts = [pipe] if bare else [getattr(pipe, name, None) for name in names]
    transformers = [part for part in parts if isinstance(part, torch.nn.Module)]
    found = 0
    for module in (module for part in transformers for module in part.modules()):
        own = vars(module)
        while isinstance(gate := own.get("_compiled_call_impl"), GATES):
            found = 1
            gate.remove()
        for hooks in (module._forward_pre_hooks, module._forward_hooks):
            for number in [n for n, hook in hooks.items() if isinstance(hook, _Hook)]:
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


def _transformers(pipe) -> list[torch.nn.Module]:
    found = [getattr(pipe, name, None) for name in ("transformer", "transformer_2")]
    found = [each for each in dict.fromkeys(found) if each is not None]
    bare = isinstance(pipe, SimpleNamespace) and found
    if not found or not (bare or hasattr(pipe, "scheduler")):
        raise CacheError(
            f"pipe: {type(pipe).__name__} has no transformer and scheduler; "
            "give a diffusers video pipeline such as WanPipeline",
            "not-a-pipeline",
        )
    for transformer in found:
        _check_not_compiled(transformer)
        _check_no_other_cache(transformer)
    return found


def _check_not_gated(transformer: torch.nn.Module) -> None:
    if reason := REFUSED.get(type(transformer).__name__):
        raise CacheError(
            f"pipe: {type(transformer).__name__} cannot be cached: {reason}", "refused-models"
        )
    for module in transformer.modules():
        if isinstance(vars(module).get("_compiled_call_impl"), GATES):
            raise CacheError(
                "pipe: it is cached already; leave the other `with cached(…)` first, or call "
                "`disable(pipe)`, or `remove_leftovers(pipe)` where nobody knows which",
                "two-caches",
            )


def _check_no_other_cache(transformer: torch.nn.Module) -> None:
    forward = vars(transformer).get("forward")
    while hasattr(forward, "func"):  # a partial
        forward = forward.func
    package = str(getattr(forward, "__module__", "")).partition(".")[0]
    if package in OTHER_CACHES or vars(transformer).get("_is_cached") is True:
        package = package if package in OTHER_CACHES else "another library"
        raise CacheError(
            f"pipe: a cache of {package} is enabled on its transformer; disable that first (for "
            "cache-dit `cache_dit.disable_cache(pipe)`)",
            "two-caches",
        )
    for module in transformer.modules():
        hooks = getattr(getattr(module, "_diffusers_hook", None), "hooks", {})
        for hook in hooks.values():
            if type(hook).__module__.rpartition(".")[2] in BUILT_IN_CACHES:
                raise CacheError(
                    "pipe: one of diffusers' own caches is enabled on it "
                    f"({type(hook).__name__}); call pipe.transformer.disable_cache() first",
                    "two-caches",
                )


def _check_own_blocks(transformer: torch.nn.Module, stack: BlockStack) -> None:
    """Refuse a list of blocks that another wrapper has put in the place of the model's own."""
    of_diffusers = type(transformer).__module__.startswith("diffusers.")
    for name in stack.lists:
        blocks = getattr(transformer, name)
        for block in blocks:
            own = any(kind.__module__.startswith("diffusers.") for kind in type(block).__mro__)
            if (of_diffusers and not own) or _only_holds_blocks(block, stack):
                raise CacheError(
                    f"pipe: {type(block).__name__} stands in transformer.{name} instead of the "
                    "model's own blocks, as other caches put it there; take it out first",
                    "two-caches",
                )


def _only_holds_blocks(block: torch.nn.Module, stack: BlockStack) -> bool:
    """Whether a block is a shell around a list of others that take what it takes."""
    lists = [part for part in block.modules() if isinstance(part, torch.nn.ModuleList)]
    inside = [each for part in lists for each in part]
    takes = [stack.feature in signature(type(each).forward).parameters for each in inside]
    weights = {id(weight) for each in inside for weight in each.parameters()}
    return bool(takes) and all(takes) and all(id(w) in weights for w in block.parameters())


def _check_not_compiled(transformer: torch.nn.Module) -> None:
    inner = getattr(transformer, "_orig_mod", transformer)
    forward = vars(transformer).get("forward")
    compiled = hasattr(forward, "_torchdynamo_orig_callable")
    called = transformer._compiled_call_impl
    own = called is None or isinstance(called, CallGate)
    if inner is transformer and own and not compiled:
        return
    raise CacheError(
        "pipe: its whole transformer is compiled, which hides the blocks; load it afresh and "
        f"compile the blocks instead: {_way_to_compile(inner)}",
        "compiled-as-a-whole",
    )


def _way_to_compile(transformer: torch.nn.Module) -> str:
    if getattr(transformer, "_repeated_blocks", None):
        return "pipe.transformer.compile_repeated_blocks()"
    lists = STACKS.get(type(transformer).__name__, BlockStack(GUESSES[:1])).lists
    return "; ".join(f"for block in pipe.transformer.{name}: block.compile()" for name in lists)


def stack_of(
    transformer: torch.nn.Module, given: str | Sequence[str] | BlockStack | None
) -> BlockStack:
    """Where the blocks are: as told, as the table says, or by the usual names."""
    name = type(transformer).__name__
    if given is None:
        stack = STACKS.get(name) or _guessed(transformer)
    elif isinstance(given, BlockStack):
        stack = given
    else:
        lists = (given,) if isinstance(given, str) else given
        if not isinstance(lists, list | tuple) or not all(isinstance(x, str) for x in lists):
            raise ConfigError("blocks", given, "the names of lists of blocks, or a BlockStack")
        stack = _registered(transformer, tuple(lists))
    for list_name in stack.lists:
        blocks = getattr(transformer, list_name, None)
        if not isinstance(blocks, torch.nn.ModuleList) or not len(blocks):
            raise CacheError(
                f"blocks: {name} has no list of blocks called {list_name}", "unknown-models"
            )
    return stack


def _guessed(transformer: torch.nn.Module) -> BlockStack:
    for name in GUESSES:
        if isinstance(getattr(transformer, name, None), torch.nn.ModuleList):
            return _registered(transformer, (name,))
    raise CacheError(
        f"pipe: {type(transformer).__name__} is not known here and has no list of blocks called "
        f"{' or '.join(GUESSES)}; name its lists: cached(pipe, config, blocks=(…))",
        "unknown-models",
    )


def _registered(transformer: torch.nn.Module, lists: tuple[str, ...]) -> BlockStack:
    """The stack of these lists, with what diffusers' own registry knows of their blocks."""
    blocks = getattr(transformer, lists[0], None) if lists else None
    try:
        known = TransformerBlockRegistry.get(type(blocks[0]))
    except (ValueError, TypeError, IndexError):
        return BlockStack(lists or ("",))
    streams = {known.return_hidden_states_index: known.hidden_states_argument_name}
    if known.return_encoder_hidden_states_index is not None:
        streams[known.return_encoder_hidden_states_index] = (
            known.encoder_hidden_states_argument_name
        )
    in_order = tuple(streams[place] for place in sorted(streams))
    return BlockStack(lists, in_order, known.hidden_states_argument_name)


@dataclass(frozen=True)
class _Place:
    """A transformer that caching has been put into.

    Args:
        transformer, stack: What and where.
        expert: Which of the pipeline's transformers it is, from 0.
        ranks: The processes that share its calls.
        gates: One for each of its blocks.
        switch: Knows who is told.
        parts: Of the modules that have gates, see `RunFacts`.
    """

    transformer: torch.nn.Module
    stack: BlockStack
    expert: int
    ranks: Ranks | None
    gates: list[BlockGate]
    switch: Switch
    parts: tuple[str, ...] = ()

    @property
    def lists(self) -> list[object]:
        """The lists of blocks, as they are right now."""
        return [getattr(self.transformer, name, None) for name in self.stack.lists]


class _Hook:
    """A forward hook that stays with the one module it was made for.

    A copy of the module has one that does nothing. It cannot be saved: what it belongs to is a
    running program's.
    """

    def __init__(self, act: Callable):
        self._act = act

    @torch.compiler.disable
    def __call__(self, *given):
        self._act(*given)

    def rest(self) -> None:
        """Do nothing any more, wherever it may have been handed."""
        self._act = _nothing

    def __deepcopy__(self, memo: dict) -> _Hook:
        return _Hook(_nothing)

    def __reduce__(self):
        raise CacheError(
            "transformer: it cannot be saved whole while caching is in it; use `save_pretrained` "
            "or `state_dict()`, or leave `with cached(…)` first",
            "saving-inside",
        )


def _nothing(*given) -> None:
    """What a copied module's hook does."""


@contextmanager
def _announced(place: _Place, whole_calls: bool) -> Iterator[None]:
    """Tell the controller whenever the transformer is called, and for which guidance branch."""
    transformer, stack, switch = place.transformer, place.stack, place.switch
    call_gate: CallGate | None = None
    num_blocks = len(in_calling_order(transformer, stack))
    lists = place.lists

    def check_lists() -> None:
        if any(now is not then for now, then in zip(place.lists, lists, strict=True)):
            raise CacheError(
                "pipe: its blocks were replaced by another wrapper, as other caches do it, so that "
                "neither would know what the other leaves out; take one of the two out",
                "two-caches",
            )

    def announce(module, args, kwargs):
        if call_gate is not None and call_gate.has_announced():
            return
        lane, controller = switch.lane, switch.controller
        _check_not_compiled(module)
        if controller.between_steps:
            lane.hold(module)
        if controller.idle:  # once a run: it looks at every module
            _check_no_other_cache(module)
            if lane.stepping.unguided:
                controller.refuse_unguided()
        check_lists()
        lane.stepping.follow()
        context = lane.contexts[-1][0] if lane.contexts else None
        lane.stepping.called(context, timestep_of(module, args, kwargs))
        for gate in place.gates:
            gate.put()  # compiling a block inside the `with` takes its place
        given = args[0] if args else next(iter(kwargs.values()), None)
        modules = controller.method_of(place.expert).site == "modules"
        call = Call(
            module,
            len(place.parts) if modules else num_blocks,
            stack.alternating,
            context,
            place.expert,
            len(given) if isinstance(given, torch.Tensor) and given.ndim else 1,
            place.ranks,
            check_lists,
            place.parts if modules else (),
            stack.feature,
            tuple(given.shape) if isinstance(given, torch.Tensor) else (),
        )
        controller.begin_call(call, lane.stepping.plan)
        if controller.measures_calls:
            controller.measure_call("call_input", given)

    def report(module, args, output):
        controller = switch.controller
        if controller.unreached:
            raise CacheError(
                "pipe: its transformer ran, but none of its blocks was reached: its forward was "
                "replaced, or compiled ahead of time as a whole, so that nothing can be cached. "
                f"Compile the blocks instead: {_way_to_compile(module)}",
                "nothing-is-cached",
            )
        if controller.measures_calls:
            prediction = output if isinstance(output, torch.Tensor) else output[0]
            controller.measure_call("call_output", prediction)
            if (motion := _motion(module, prediction)) is not None:
                controller.measure_call("call_motion", motion)
        if controller.answers_calls:
            controller.call_returned(output)

    def naming(cache_context: Callable) -> Callable:
        @wraps(cache_context)
        @contextmanager
        def named(name, *args, **kwargs):
            contexts = switch.lane.contexts
            contexts.append((name, kwargs))
            try:
                with cache_context(name, *args, **kwargs):
                    yield
            finally:
                contexts.pop()

        return named

    with ExitStack() as undo:
        announcing, reporting = _Hook(announce), _Hook(report)
        handle = transformer.register_forward_pre_hook(announcing, with_kwargs=True)
        undo.callback(handle.remove)
        undo.callback(transformer.register_forward_hook(reporting).remove)
        for hook in (announcing, reporting):
            undo.callback(hook.rest)
        if hasattr(transformer, "cache_context"):
            undo.enter_context(wrapped_method(transformer, "cache_context", naming, transformer))
        if whole_calls:
            call_gate = CallGate(transformer, switch, announce)
            undo.callback(call_gate.remove)
            call_gate.put()
        yield
