"""A gate before each transformer block: it lets the block run, or passes its inputs by.

The gate stands at the module's call (`_compiled_call_impl`, where PyTorch itself puts a compiled
version), not at its `forward`. So it is outermost whatever else is hooked to the block, before or
after: no offloaded weight is loaded for a block that is passed by, and a compiled block keeps its
graph, of which the gate is no part.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch

from ..errors import CacheError
from .block_stacks import MODULES, BlockStack
from .branch import SAMPLE
from .controller import GIVE
from .flops import module_flops
from .in_place import Tensors
from .lanes import Switch
from .method import Site


class BlockGate:
    """The gate of one block.

    Args:
        block: The block.
        index: Its place in the call, from 0.
        stack: What passes through it.
        switch: Knows who decides: the controller of the run whose turn it is.
        site: Whether it is a block's, or a module's inside one; see `Method.site`.
    """

    def __init__(
        self,
        block: torch.nn.Module,
        index: int,
        stack: BlockStack,
        switch: Switch,
        site: Site = "blocks",
    ):
        self._site = site
        self._block, self._index = block, index
        self._stack, self._switch = stack, switch
        self._feature = stack.streams.index(stack.feature)
        names = list(inspect.signature(type(block).forward).parameters)[1:]
        self._places = {name: place for place, name in enumerate(names)}
        for name in stack.streams:
            if name not in self._places:
                raise CacheError(
                    f"blocks: {type(block).__name__} has no argument called {name}, only "
                    f"{', '.join(names)}; say what it returns: BlockStack(lists=…, streams=…)",
                    "unknown-models",
                )
        self._compiled: Callable[..., Any] | None = None

    def __call__(self, *args, **kwargs):
        controller, index = self._switch.controller, self._index
        # called by somebody else than the pipeline's transformer, or gated elsewhere in this run
        if not controller.doing or controller.site != self._site:
            return self.run(args, kwargs)
        if controller.entered[index]:
            controller.before(
                index,
                lambda: self.inputs(args, kwargs),
                lambda name: self._argument(name, args, kwargs),
            )
        if controller.doing[index]:
            return self.passed_by(args, kwargs)
        if controller.weighing:
            controller.weigh(index, self._operations(args, kwargs))
        output = (self._compiled or self._block._call_impl)(*args, **kwargs)
        leaving = controller.left[index]
        if leaving == SAMPLE:
            whole = isinstance(output, tuple)
            controller.sample(index, output[self._feature] if whole else output)
        elif leaving:
            streams = output if isinstance(output, tuple) else (output,)
            streams = streams[: len(self._stack.streams)]
            lent = self._compiled is not None  # perhaps as CUDA graphs
            controller.after(index, lambda: self.inputs(args, kwargs), streams, self._feature, lent)
        return output

    @property
    def block(self) -> torch.nn.Module:
        return self._block

    def run(self, args: tuple, kwargs: dict):
        """What the block itself gives."""
        return (self._compiled or self._block._call_impl)(*args, **kwargs)

    def inputs(self, args: tuple, kwargs: dict) -> Tensors:
        """The streams, as the block is given them."""
        return tuple(self._argument(name, args, kwargs) for name in self._stack.streams)

    def passed_by(self, args: tuple, kwargs: dict):
        """What the block returns where it does not run: its inputs; at a span's end the replay."""
        streams, controller = self.inputs(args, kwargs), self._switch.controller
        refuse_gradients(streams)
        if controller.doing[self._index] == GIVE:
            streams = controller.replay(self._index, streams)
        return streams if len(streams) > 1 else streams[0]

    def _operations(self, args: tuple, kwargs: dict) -> float:
        """How much work this module is."""
        given = self.inputs(args, kwargs)[self._feature]
        place = self._places.get(CONTEXT, len(args))
        context = kwargs.get(CONTEXT, args[place] if place < len(args) else None)
        tokens = context.shape[-2] if isinstance(context, torch.Tensor) else None
        return module_flops(self._block, given.shape[-2], tokens)

    def check_argument(self, name: str) -> None:
        """Refuse a method that measures an argument which the block does not take."""
        if name not in self._places:
            raise CacheError(
                f"method: it measures {name}, which {type(self._block).__name__} is not "
                f"given, only {', '.join(self._places)}; use another method on this model",
                "other-methods",
            )

    def _argument(self, name: str, args: tuple, kwargs: dict):
        self.check_argument(name)
        return kwargs[name] if name in kwargs else args[self._places[name]]

    # -- putting it there and taking it away ----------------------------------------------------

    @property
    def in_place(self) -> bool:
        return vars(self._block).get("_compiled_call_impl") is self

    def put(self) -> None:
        """Stand before the block, and before its compiled version if it has one."""
        if not self.in_place:
            self._compiled = self._block._compiled_call_impl
            self._block._compiled_call_impl = self

    def remove(self) -> None:
        """Leave the block as it would be without the gate."""
        if self.in_place:
            del self._block._compiled_call_impl
            if self._compiled is not None:
                self._block._compiled_call_impl = self._compiled


def refuse_gradients(streams: Sequence[torch.Tensor]) -> None:
    """Refuse to pass by what gradients should flow through."""
    if torch.is_grad_enabled() and any(stream.requires_grad for stream in streams):
        raise CacheError(
            "pipe: gradients cannot pass a step that is reused, since its blocks do not run; "
            "call it inside `torch.no_grad()`, or leave `with cached(…)` to train",
            "gradients",
        )


class SideGate(BlockGate):
    """The gate of a block that only feeds the stack's blocks (see `BlockStack.side_list`)."""

    def __call__(self, *args, **kwargs):
        controller = self._switch.controller
        if not controller.doing or controller.site != self._site:
            return self.run(args, kwargs)
        if not controller.passes_stack(self.inputs(args, kwargs)):
            return self.run(args, kwargs)
        features = self._argument(self._stack.side_stream, args, kwargs)
        return features, features


def gates_of(transformer: torch.nn.Module, stack: BlockStack, switch: Switch) -> list[BlockGate]:
    """A gate for each block of a transformer, in calling order, not yet in place."""
    side = passable_side_blocks(transformer, stack)
    blocks = in_calling_order(transformer, stack)
    return [
        *(SideGate(block, index, stack, switch) for index, block in enumerate(side)),
        *(BlockGate(block, index, stack, switch) for index, block in enumerate(blocks)),
    ]


CONTEXT = "encoder_hidden_states"  # what an attention attends to where that is not its own input
MODULE = BlockStack(("modules",))  # what passes through an attention or an MLP


def gates_of_modules(
    transformer: torch.nn.Module, stack: BlockStack, switch: Switch
) -> list[BlockGate]:
    """A gate for each attention and MLP of its blocks, in calling order, not yet in place.

    Raises:
        CacheError: It is not known which they are.
    """
    name, found = type(transformer).__name__, []
    for block in in_calling_order(transformer, stack):
        for attribute, _ in MODULES.get(name, ()):
            if isinstance(module := getattr(block, attribute, None), torch.nn.Module):
                found.append(module)
    if not found:
        known = ", ".join(MODULES)
        raise CacheError(
            f"method: it gates attentions and MLPs, which are known of {known}, not of {name}; use "
            'granularity="stack" or another method on this model',
            "other-methods",
        )
    return [BlockGate(each, i, MODULE, switch, "modules") for i, each in enumerate(found)]


def parts_of(transformer: torch.nn.Module, stack: BlockStack) -> tuple[str, ...]:
    """What each of those modules is, see `RunFacts.parts`."""
    return tuple(
        part
        for block in in_calling_order(transformer, stack)
        for attribute, part in MODULES.get(type(transformer).__name__, ())
        if isinstance(getattr(block, attribute, None), torch.nn.Module)
    )


def in_calling_order(transformer: torch.nn.Module, stack: BlockStack) -> list[torch.nn.Module]:
    """The stack's blocks as they are called one after another."""
    lists = [list(getattr(transformer, name)) for name in stack.lists]
    if stack.alternating:
        return [block for turn in zip(*lists, strict=True) for block in turn]
    return [block for blocks in lists for block in blocks]


def passable_side_blocks(transformer: torch.nn.Module, stack: BlockStack) -> list[torch.nn.Module]:
    """Side blocks that a reused step can do without.

    All, or none where the model adds one of their results behind its last block (`vace_layers`).
    """
    if stack.side_list is None:
        return []
    last = len(in_calling_order(transformer, stack)) - 1
    if last in getattr(transformer.config, "vace_layers", ()):
        return []
    return list(getattr(transformer, stack.side_list))
