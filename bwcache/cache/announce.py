"""Tells the controller of a transformer's calls: for which guidance branch, and what they gave."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import wraps

import torch

from ..errors import CacheError
from .block_gate import ModuleGate, in_calling_order
from .block_stacks import BlockStack
from .call_answers import refuse_unguided
from .call_gate import CallGate
from .chunk_gates import check_call
from .lanes import Switch
from .ranks import Ranks
from .refusals import check_no_other_cache, check_not_compiled, way_to_compile
from .run_state import Call
from .steps_told import timestep_of
from .wrapped_method import wrapped_method


@dataclass(frozen=True)
class Place:
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
    gates: list[ModuleGate]
    switch: Switch
    parts: tuple[str, ...] = ()

    @property
    def lists(self) -> list[object]:
        """The lists of blocks, as they are right now."""
        return [getattr(self.transformer, name, None) for name in self.stack.lists]


class Hook:
    """A forward hook that stays with the one module it was made for.

    A copy of the module has one that does nothing. It cannot be saved: what it belongs to is a
    running program's.
    """

    def __init__(self, act: Callable):
        self._act = act

    @torch.compiler.disable
    def __call__(self, *given):
        return self._act(*given)

    def rest(self) -> None:
        """Do nothing any more, wherever it may have been handed."""
        self._act = _nothing

    def __deepcopy__(self, memo: dict) -> Hook:
        return Hook(_nothing)

    def __reduce__(self):
        raise CacheError(
            "transformer: it cannot be saved whole while caching is in it; use `save_pretrained` "
            "or `state_dict()`, or leave `with cached(…)` first",
            "saving-inside",
        )


def _nothing(*given) -> None:
    """What a copied module's hook does."""


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


@contextmanager
def announced(place: Place, whole_calls: bool) -> Iterator[None]:
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
        check_not_compiled(module)
        if controller.between_steps:
            lane.hold(module)
        if controller.idle:  # once a run: it looks at every module
            check_no_other_cache(module)
            if lane.stepping.unguided:
                refuse_unguided(controller.methods)
        check_lists()
        lane.stepping.follow()
        context = lane.contexts[-1][0] if lane.contexts else None
        timestep = timestep_of(module, args, kwargs)
        lane.stepping.called(context, timestep)
        for gate in place.gates:
            gate.put()  # compiling a block inside the `with` takes its place
        given = args[0] if args else next(iter(kwargs.values()), None)
        site = controller.method_of(place.expert).site
        if site == "chunks":
            check_call(timestep, place.gates)
        modules, latents = site == "modules", isinstance(given, torch.Tensor)
        call = Call(
            owner=module,
            num_blocks=len(place.parts) if modules else num_blocks,
            alternating=stack.alternating,
            context=context,
            expert=place.expert,
            rows=len(given) if latents and given.ndim else 1,
            ranks=place.ranks,
            check=check_lists,
            parts=place.parts if modules else (),
            feature=stack.feature,
            shape=tuple(given.shape) if latents else (),
            timestep=timestep,
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
                f"Compile the blocks instead: {way_to_compile(module)}",
                "nothing-is-cached",
            )
        if controller.measures_calls:
            prediction: torch.Tensor = output if isinstance(output, torch.Tensor) else output[0]
            controller.measure_call("call_output", prediction)
            if (motion := _motion(module, prediction)) is not None:
                controller.measure_call("call_motion", motion)
        return controller.call_returned(output) if controller.answers_calls else None

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
        announcing, reporting = Hook(announce), Hook(report)
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
