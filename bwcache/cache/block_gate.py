"""A gate before each transformer block: it lets the block run, or passes its inputs by.

The gate stands at the module's call (`_compiled_call_impl`, where PyTorch itself puts a compiled
version), not at its `forward`. So it is outermost whatever else is hooked to the block, before or
after: no offloaded weight is loaded for a block that is passed by, and a compiled block keeps its
graph, of which the gate is no part.
"""

from __future__ import annotations

import inspect

import torch

from ..errors import CacheError
from .block_stacks import BlockStack
from .branch import Tensors
from .controller import Controller


class BlockGate:
    """The gate of one block.

    Args:
        block: The block.
        stack: What passes through it.
        controller: Who decides.
        head: Whether it is the first block of the call.
        tail: Whether it is the last, where a replay is handed out.
        measured: Whether its features enter the indicator.
    """

    def __init__(
        self,
        block: torch.nn.Module,
        stack: BlockStack,
        controller: Controller,
        *,
        head: bool = False,
        tail: bool = False,
        measured: bool = False,
    ):
        self._block, self._stack, self._controller = block, stack, controller
        self._head, self._tail, self._measured = head, tail, measured
        names = list(inspect.signature(type(block).forward).parameters)[1:]
        self._places = {name: place for place, name in enumerate(names)}
        for name in stack.streams:
            if name not in self._places:
                raise CacheError(
                    f"blocks: {type(block).__name__} has no argument called {name}, only "
                    f"{', '.join(names)}; say what it returns: BlockStack(lists=…, streams=…)"
                )
        self._compiled = None

    def __call__(self, *args, **kwargs):
        controller = self._controller
        if self._head:
            controller.enter_stack(self.inputs(args, kwargs))
        if controller.reusing:
            return self.passed_by(args, kwargs)
        output = (self._compiled or self._block._call_impl)(*args, **kwargs)
        if self._measured or self._tail:
            streams = output if isinstance(output, tuple) else (output,)
            if self._measured:
                controller.measure(streams[self._stack.streams.index(self._stack.feature)])
            if self._tail:
                controller.leave_stack(streams[: len(self._stack.streams)])
        return output

    def inputs(self, args: tuple, kwargs: dict) -> Tensors:
        """The streams, as the block is given them."""
        return tuple(self._argument(name, args, kwargs) for name in self._stack.streams)

    def passed_by(self, args: tuple, kwargs: dict):
        """What the block returns where it does not run: its inputs, or at the tail the replay."""
        streams = self.inputs(args, kwargs)
        if self._tail:
            streams = self._controller.replay(streams)
        return streams if len(streams) > 1 else streams[0]

    def _argument(self, name: str, args: tuple, kwargs: dict):
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


class SideGate(BlockGate):
    """The gate of a block that only feeds the stack's blocks (see `BlockStack.side_list`)."""

    def passed_by(self, args: tuple, kwargs: dict):
        features = self._argument(self._stack.side_stream, args, kwargs)
        return features, features


def gates_of(
    transformer: torch.nn.Module, stack: BlockStack, controller: Controller, measured: list[int]
) -> list[BlockGate]:
    """A gate for each block of a transformer, in calling order, not yet in place."""
    blocks = in_calling_order(transformer, stack)
    side = passable_side_blocks(transformer, stack)
    gates = [
        SideGate(block, stack, controller, head=index == 0) for index, block in enumerate(side)
    ]
    for index, block in enumerate(blocks):
        head, tail = index == 0 and not side, index == len(blocks) - 1
        gates.append(
            BlockGate(block, stack, controller, head=head, tail=tail, measured=index in measured)
        )
    return gates


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
