"""The indicator as the paper describes it, done the plain way: a yardstick for what ours costs.

Every token of every block is kept and compared in float32, and the host reads each block's number
as soon as it is there. It decides nothing and reuses nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import torch

from ..cache.block_gate import in_calling_order
from ..cache.find_blocks import stack_of
from ..cache.transformers_in import transformers_in
from .step_ends import at_step_ends


class PaperStyle:
    """The plain indicator of one pipeline.

    Attributes:
        indicators: The mean over blocks and guidance branches, for each step; None for the first.
    """

    def __init__(self):
        self.indicators: list[float | None] = []
        self._kept: dict[tuple[int, int], torch.Tensor] = {}
        self._distances: list[float] = []
        self._branch = -1

    def begin_call(self, *_) -> None:
        """A guidance branch's call begins; branches are told apart by their order in the step."""
        self._branch += 1

    @torch.no_grad()
    def measure(self, block: int, features: torch.Tensor) -> None:
        """A block has given its features, `[B, tokens, channels]`."""
        key = self._branch, block
        if key in self._kept:
            now, before = features.float(), self._kept[key].float()
            distance = (now - before).abs().sum() / before.abs().sum()
            self._distances.append(distance.item())
        self._kept[key] = features.detach()

    def end_step(self) -> None:
        """The scheduler has stepped."""
        found, self._distances, self._branch = self._distances, [], -1
        self.indicators.append(sum(found) / len(found) if found else None)

    def free(self) -> None:
        """Let go of every tensor."""
        self._kept.clear()


@contextmanager
def paper_style(pipe) -> Iterator[PaperStyle]:
    """Measure one call of a pipeline the plain way; every hook is gone afterwards.

    Source: arXiv 2509.13789, Eq. 5-7, for all blocks. The features are kept by reference, not
    copied, which is the cheapest way to keep them.
    """
    state = PaperStyle()

    with ExitStack() as undo:
        undo.callback(state.free)
        for transformer in transformers_in(pipe):
            undo.callback(transformer.register_forward_pre_hook(state.begin_call).remove)
            for block, hook in _block_hooks(transformer, state):
                undo.callback(block.register_forward_hook(hook).remove)
        undo.enter_context(at_step_ends(pipe, state.end_step))
        yield state


def _block_hooks(transformer: torch.nn.Module, state: PaperStyle):
    stack = stack_of(transformer, None)
    place = stack.streams.index(stack.feature)

    def hook_of(index: int) -> Callable:
        def hook(module, args, output):
            state.measure(index, output[place] if isinstance(output, tuple) else output)

        return hook

    for index, block in enumerate(in_calling_order(transformer, stack)):
        yield block, hook_of(index)
