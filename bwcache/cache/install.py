"""`cached(pipe, config)`: put caching into a diffusers video pipeline, and take it out again.

The only file that touches diffusers' hook internals, which are partly private: diffusers is
pinned exactly. No model's forward is copied; blocks are told to run or to be passed by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import wraps

import torch
from diffusers.hooks._helpers import TransformerBlockRegistry

from ..errors import CacheError
from .block_gate import BlockGate, gates_of, in_calling_order
from .block_stacks import GUESSES, REFUSED, STACKS, BlockStack
from .controller import Call, Controller, StepCallback
from .method import Method
from .methods.bwcache import BWCacheConfig
from .run import Run
from .scheduler_watch import Stepping, plan_of
from .wrapped_method import watched

_open: set[ExitStack] = set()  # one for each `cached` that has not been left

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
    config: Method | None = None,
    *,
    blocks: str | Sequence[str] | BlockStack | None = None,
    on_step: StepCallback | None = None,
) -> Iterator[Run]:
    """Run a diffusers video pipeline with a caching method.

    Args:
        pipe: A pipeline with a `transformer` (and perhaps a `transformer_2`) and a `scheduler`.
        config: The method and its settings; BWCache with the paper's defaults where None.
        blocks: Where the transformer's blocks are, for one that is not in `STACKS`
            (`bwcache/cache/block_stacks.py`): the name of its list of blocks, or several in calling
            order, or a `BlockStack` where blocks return more than `hidden_states`.
        on_step: Called after each step with its `StepRecord` and the new latents. An exception
            raised in it ends the run and reaches the caller of the pipeline.

    Yields:
        A `Run`, whose `trace` grows step by step.

    Raises:
        CacheError: The pipeline is not one that this works on, is cached already, has one of
            diffusers' own caches enabled, or is compiled as a whole.

    Every call of the pipeline starts afresh, and so does every loop inside one (long videos).
    Leaving the block, by an exception too, removes every gate and frees every tensor.
    """
    config = BWCacheConfig() if config is None else config
    controller = Controller(config, on_step)
    gated = _transformers(pipe)
    for transformer in gated:
        _check_not_gated(transformer)
    transformers = [(t, stack_of(t, blocks)) for t in gated]

    def check() -> None:
        if [*map(id, gated)] != [*map(id, _transformers(pipe))]:
            raise CacheError(
                "pipe: its transformer was replaced inside `with cached(…)`; leave it, enter anew"
            )

    with ExitStack() as undo:
        _open.add(undo)
        undo.callback(_open.discard, undo)
        undo.callback(controller.reset)
        stepping = undo.enter_context(Stepping(pipe, controller, check))
        for transformer, stack in transformers:
            gates = gates_of(transformer, stack, controller)
            for gate in gates:
                undo.callback(gate.remove)
                gate.put()
            undo.enter_context(_announced(transformer, stack, controller, gates, pipe, stepping))
        yield Run(controller)


def strip() -> int:
    """Take out what every `cached` of this process that was never left has put into its pipeline.

    For the start of a job in a process that outlives its jobs, where one may have been cut short:
    nothing may be running. Leaving such a `cached` later does no harm.

    Returns:
        How many there were.
    """
    left = list(_open)
    for undo in left:
        undo.close()
    return len(left)


def _transformers(pipe) -> list[torch.nn.Module]:
    found = [getattr(pipe, name, None) for name in ("transformer", "transformer_2")]
    found = [transformer for transformer in found if transformer is not None]
    if not found or not hasattr(pipe, "scheduler"):
        raise CacheError(
            f"pipe: {type(pipe).__name__} has no transformer and scheduler; "
            "give a diffusers video pipeline such as WanPipeline"
        )
    for transformer in found:
        _check_not_compiled(transformer)
        _check_no_built_in_cache(transformer)
    return found


def _check_not_gated(transformer: torch.nn.Module) -> None:
    if reason := REFUSED.get(type(transformer).__name__):
        raise CacheError(f"pipe: {type(transformer).__name__} cannot be cached: {reason}")
    for module in transformer.modules():
        if isinstance(vars(module).get("_compiled_call_impl"), BlockGate):
            raise CacheError("pipe: it is cached already; leave the other `with cached(…)` first")


def _check_no_built_in_cache(transformer: torch.nn.Module) -> None:
    for module in transformer.modules():
        hooks = getattr(getattr(module, "_diffusers_hook", None), "hooks", {})
        for hook in hooks.values():
            if type(hook).__module__.rpartition(".")[2] in BUILT_IN_CACHES:
                raise CacheError(
                    "pipe: one of diffusers' own caches is enabled on it "
                    f"({type(hook).__name__}); call pipe.transformer.disable_cache() first"
                )


def _check_not_compiled(transformer: torch.nn.Module) -> None:
    inner = getattr(transformer, "_orig_mod", transformer)
    if inner is transformer and transformer._compiled_call_impl is None:
        return
    raise CacheError(
        "pipe: its whole transformer is compiled, which hides the blocks; load it afresh and "
        f"compile the blocks instead: {_way_to_compile(inner)}"
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
        lists = (given,) if isinstance(given, str) else tuple(given)
        stack = _registered(transformer, lists)
    for list_name in stack.lists:
        blocks = getattr(transformer, list_name, None)
        if not isinstance(blocks, torch.nn.ModuleList) or not len(blocks):
            raise CacheError(f"blocks: {name} has no list of blocks called {list_name}")
    return stack


def _guessed(transformer: torch.nn.Module) -> BlockStack:
    for name in GUESSES:
        if isinstance(getattr(transformer, name, None), torch.nn.ModuleList):
            return _registered(transformer, (name,))
    raise CacheError(
        f"pipe: {type(transformer).__name__} is not known here and has no list of blocks called "
        f"{' or '.join(GUESSES)}; name its lists: cached(pipe, config, blocks=(…))"
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


@contextmanager
def _announced(
    transformer: torch.nn.Module,
    stack: BlockStack,
    controller: Controller,
    gates: list[BlockGate],
    pipe,
    stepping: Stepping,
) -> Iterator[None]:
    """Tell the controller whenever the transformer is called, and for which guidance branch."""
    contexts: list[str] = []
    num_blocks = len(in_calling_order(transformer, stack))

    @torch.compiler.disable
    def announce(module, args, kwargs):
        _check_not_compiled(module)
        stepping.follow()
        for gate in gates:
            gate.put()  # compiling a block inside the `with` takes its place
        context = contexts[-1] if contexts else None
        call = Call(module, num_blocks, stack.alternating, context)
        controller.begin_call(call, lambda: plan_of(pipe))
        if controller.measures_calls:
            given = args[0] if args else next(iter(kwargs.values()))
            controller.measure_call("call_input", given)

    @torch.compiler.disable
    def report(module, args, output):
        if controller.measures_calls:
            controller.measure_call("call_output", output[0])

    def naming(cache_context: Callable) -> Callable:
        @wraps(cache_context)
        @contextmanager
        def named(name, *args, **kwargs):
            contexts.append(name)
            try:
                with cache_context(name, *args, **kwargs):
                    yield
            finally:
                contexts.pop()

        return named

    with ExitStack() as undo:
        handle = transformer.register_forward_pre_hook(announce, with_kwargs=True)
        undo.callback(handle.remove)
        undo.callback(transformer.register_forward_hook(report).remove)
        if hasattr(transformer, "cache_context"):
            undo.enter_context(watched(transformer, "cache_context", naming))
        yield
