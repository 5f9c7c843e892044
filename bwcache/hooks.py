"""`cached(pipe, config)`: put a caching method into a diffusers pipeline, and take it out again.

The only file that touches diffusers' hook internals, which are partly private: diffusers is
pinned exactly. No model's forward is copied; blocks are told to run or to be passed by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps

import torch
from diffusers.hooks import HookRegistry, ModelHook
from diffusers.hooks._helpers import TransformerBlockMetadata, TransformerBlockRegistry

from .config import BWCacheConfig
from .controller import Controller, StepCallback, Tensors
from .run import CacheError, Run

HOOK = "bwcache"
BLOCK_LISTS = ("blocks", "transformer_blocks")


class BlockHook(ModelHook):
    """Runs one block, or passes it by; the first and last block of the stack report it."""

    def __init__(self, controller: Controller, index: int):
        super().__init__()
        self._controller, self._index = controller, index
        self._is_head, self._is_tail = index == 0, index == controller.num_blocks - 1

    def initialize_hook(self, module: torch.nn.Module) -> torch.nn.Module:
        self._metadata = _metadata(module)
        return module

    def new_forward(self, module: torch.nn.Module, *args, **kwargs):
        controller = self._controller
        if self._is_head:
            controller.enter_stack(self._inputs(args, kwargs))
        if controller.reusing:
            inputs = self._inputs(args, kwargs)
            return self._as_output(controller.replay(inputs) if self._is_tail else inputs)
        output = self.fn_ref.original_forward(*args, **kwargs)
        outputs = self._outputs(output)
        controller.measure(self._index, outputs[0])
        if self._is_tail:
            controller.leave_stack(outputs)
        return output

    def _inputs(self, args: tuple, kwargs: dict) -> Tensors:
        """`hidden_states`, and `encoder_hidden_states` where the block returns that too."""
        names = [self._metadata.hidden_states_argument_name]
        if self._metadata.return_encoder_hidden_states_index is not None:
            names.append("encoder_hidden_states")
        read = self._metadata._get_parameter_from_args_kwargs
        return tuple(read(name, args, kwargs) for name in names)

    def _outputs(self, output) -> Tensors:
        if not isinstance(output, tuple):
            return (output,)
        return tuple(output[i] for i in self._places())

    def _as_output(self, tensors: Tensors):
        if self._metadata.return_encoder_hidden_states_index is None:
            return tensors[0]
        output = [None] * len(tensors)
        for place, tensor in zip(self._places(), tensors, strict=True):
            output[place] = tensor
        return tuple(output)

    def _places(self) -> list[int]:
        found = (
            self._metadata.return_hidden_states_index,
            self._metadata.return_encoder_hidden_states_index,
        )
        return [place for place in found if place is not None]


@contextmanager
def cached(
    pipe, config: BWCacheConfig | None = None, *, on_step: StepCallback | None = None
) -> Iterator[Run]:
    """Run a diffusers video pipeline with BWCache.

    Args:
        pipe: A pipeline with a `transformer` (and perhaps a `transformer_2`) and a `scheduler`.
        config: The settings; the paper's defaults where None.
        on_step: Called after each step with its `StepRecord` and the new latents. An exception
            raised in it ends the run and reaches the caller of the pipeline.

    Yields:
        A `Run`, whose `trace` grows step by step.

    Raises:
        CacheError: The pipeline is not one that this works on, is cached already, or has one of
            diffusers' own caches enabled.

    Every call of the pipeline starts afresh. Leaving the block, by an exception too, removes
    every hook, frees every tensor and restores each `forward`.
    """
    config = BWCacheConfig() if config is None else config
    transformers = _transformers(pipe)
    stacks = [_blocks(transformer) for transformer in transformers]
    if len({len(stack) for stack in stacks}) > 1:
        raise CacheError("pipe: its transformers have different numbers of blocks")
    controller = Controller(config, len(stacks[0]), on_step)
    with ExitStack() as undo:
        undo.callback(controller.reset)
        for transformer, stack in zip(transformers, stacks, strict=True):
            undo.callback(_forget_child_registries, transformer)
            for index, block in enumerate(stack):
                undo.enter_context(_hooked(block, BlockHook(controller, index)))
            _forget_child_registries(transformer)
            undo.enter_context(_announced(transformer, controller, pipe))
        undo.enter_context(_stepping(pipe, controller))
        yield Run(controller)


def _transformers(pipe) -> list[torch.nn.Module]:
    found = [getattr(pipe, name, None) for name in ("transformer", "transformer_2")]
    found = [transformer for transformer in found if transformer is not None]
    if not found or not hasattr(pipe, "scheduler"):
        raise CacheError(
            f"pipe: {type(pipe).__name__} has no transformer and scheduler; "
            "give a diffusers video pipeline such as WanPipeline"
        )
    for transformer in found:
        if getattr(transformer, "is_cache_enabled", False):
            raise CacheError(
                "pipe: one of diffusers' own caches is enabled on it; "
                "call pipe.transformer.disable_cache() first"
            )
    return found


def _blocks(transformer: torch.nn.Module) -> list[torch.nn.Module]:
    for name in BLOCK_LISTS:
        blocks = getattr(transformer, name, None)
        if isinstance(blocks, torch.nn.ModuleList) and len(blocks):
            break
    else:
        raise CacheError(
            f"pipe: {type(transformer).__name__} has no list of blocks "
            f"called {' or '.join(BLOCK_LISTS)}"
        )
    for block in blocks:
        registry = getattr(block, "_diffusers_hook", None)
        if registry is not None and registry.get_hook(HOOK) is not None:
            raise CacheError("pipe: it is cached already; leave the other `with cached(…)` first")
    return list(blocks)


def _metadata(block: torch.nn.Module) -> TransformerBlockMetadata:
    try:
        return TransformerBlockRegistry.get(type(block))
    except ValueError:
        metadata = TransformerBlockMetadata(return_hidden_states_index=0)
        metadata._cls = type(block)
        return metadata


@contextmanager
def _hooked(block: torch.nn.Module, hook: BlockHook) -> Iterator[None]:
    """The hook on the block, then the block exactly as it was."""
    had_registry, forward = hasattr(block, "_diffusers_hook"), vars(block).get("forward")
    registry = HookRegistry.check_if_exists_or_initialize(block)
    registry.register_hook(hook, HOOK)
    try:
        yield
    finally:
        registry.remove_hook(HOOK, recurse=False)
        if not had_registry:
            del block._diffusers_hook
        if forward is None and not registry.hooks:
            del block.forward


@contextmanager
def _announced(transformer: torch.nn.Module, controller: Controller, pipe) -> Iterator[None]:
    """Tell the controller whenever the transformer is called."""

    def announce(module, args, kwargs):
        num_steps = getattr(pipe, "_num_timesteps", None) or len(pipe.scheduler.timesteps)
        controller.begin_call(module, num_steps, _device(pipe))

    handle = transformer.register_forward_pre_hook(announce, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def _stepping(pipe, controller: Controller) -> Iterator[None]:
    """Tell the controller when a run begins and when a step ends, by the pipeline's scheduler.

    The scheduler is what every pipeline shares: it steps once for each denoising step, however
    often the transformer is called in it, and is set anew at the start of every run.
    """

    def starting(set_timesteps: Callable) -> Callable:
        @wraps(set_timesteps)
        def wrapped(*args, **kwargs):
            controller.reset()
            return set_timesteps(*args, **kwargs)

        return wrapped

    def ending(step: Callable) -> Callable:
        @wraps(step)
        def wrapped(model_output, timestep, *args, **kwargs):
            result = step(model_output, timestep, *args, **kwargs)
            latents = result[0] if isinstance(result, tuple) else result.prev_sample
            controller.end_step(float(timestep), latents, _device(pipe))
            return result

        return wrapped

    with (
        _wrapped(pipe.scheduler, "set_timesteps", starting),
        _wrapped(pipe.scheduler, "step", ending),
    ):
        yield


@contextmanager
def _wrapped(owner, name: str, wrap: Callable[[Callable], Callable]) -> Iterator[None]:
    """A method of one object replaced for a while, then the object exactly as it was."""
    had_own, original = name in vars(owner), getattr(owner, name)
    setattr(owner, name, wrap(original))
    try:
        yield
    finally:
        if had_own:
            setattr(owner, name, original)
        else:
            delattr(owner, name)


def _device(pipe) -> torch.device:
    return getattr(pipe, "_execution_device", None) or pipe.device


def _forget_child_registries(transformer: torch.nn.Module) -> None:
    """Diffusers remembers which blocks have hooks; make it look again."""
    if hasattr(transformer, "_diffusers_hook"):
        transformer._diffusers_hook.invalidate_child_registries_cache()
