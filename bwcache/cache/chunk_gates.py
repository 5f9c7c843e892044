"""Gates inside the attentions of a model whose chunks of frames are reused one by one.

They stand at the projections of each block's self-attention: keys and values of a chunk that is
not computed are those that it last had. The attention's own processor, with its backend, is what
runs. Which models are refused, and why, stands here, too.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..errors import CacheError
from .block_gate import ModuleGate, in_calling_order
from .block_stacks import CALLED_PER_FRAME, BlockStack
from .chunks import Projection
from .lanes import Switch
from .method import Method
from .ranks import Ranks

ATTENTION = "attn1"
# norms stand behind the projections of queries and keys, rotation behind the norms
PROJECTIONS: tuple[tuple[str, Projection], ...] = (
    ("norm_q", "queries"),
    ("norm_k", "keys"),
    ("to_v", "values"),
)
PROCESSORS = ("SkyReelsV2AttnProcessor",)


class ProjectionGate(ModuleGate):
    """The gate behind one projection of an attention.

    Args:
        module: The projection, or the norm behind it.
        what: Of what.
        block: The place of the attention's block in the call.
        heads: Of the attention.
        switch: Knows whose chunks they are.
    """

    def __init__(
        self, module: torch.nn.Module, what: Projection, block: int, heads: int, switch: Switch
    ):
        super().__init__(module, switch)
        self._what, self._place, self._heads = what, block, heads

    def __call__(self, *args, **kwargs):
        projected, controller = self.run(args, kwargs), self._switch.controller
        if controller.chunks is None:
            return projected
        given = self._what, self._place, projected, self._heads
        return controller.chunks.seen(controller.part, *given)


def gates_of_chunks(
    transformer: torch.nn.Module, stack: BlockStack, switch: Switch, ranks: Ranks | None
) -> list[ProjectionGate]:
    """The gates of all blocks, not yet in place.

    Raises:
        CacheError: The attentions are not as they are known, or processes share a video.
    """
    if ranks is not None:
        raise _refusal("processes share the video's tokens, each a part of every chunk")
    gates = []
    for place, block in enumerate(in_calling_order(transformer, stack)):
        _refuse_compiled(any(each._compiled_call_impl is not None for each in block.modules()))
        attention = getattr(block, ATTENTION)
        processor = type(attention.processor).__name__
        if processor not in PROCESSORS or getattr(attention, "fused_projections", False):
            raise _refusal(
                f"what its attentions do is known of {', '.join(PROCESSORS)} with projections "
                "that are not fused"
            )
        for name, what in PROJECTIONS:
            module = getattr(attention, name)
            gates.append(ProjectionGate(module, what, place, attention.heads, switch))
    return gates


def check_chunks(method: Method, pipe: object, transformer: torch.nn.Module) -> None:
    """Refuse a method of chunks on a pipeline whose frames have no timesteps of their own.

    Raises:
        CacheError: So it is.
    """
    if method.site != "chunks":
        return
    name, kinds = type(transformer).__name__, type(pipe).__mro__
    of_diffusers = any(kind.__module__.startswith("diffusers.pipelines.") for kind in kinds)
    forcing = any("DiffusionForcing" in kind.__name__ for kind in kinds)
    if name not in CALLED_PER_FRAME or (of_diffusers and not forcing):
        named = name if name not in CALLED_PER_FRAME else type(pipe).__name__
        raise _refusal(f"{named} has one timestep for all of them", method.title)


def check_call(timestep: object, gates: Sequence[ModuleGate]) -> None:
    """Refuse a call whose frames have no timesteps of their own, or whose blocks are compiled.

    Raises:
        CacheError: So it is.
    """
    if not isinstance(timestep, torch.Tensor) or timestep.ndim != 2:
        raise _refusal("this call has one timestep for all of them")
    _refuse_compiled(any(gate.compiled for gate in gates))


def _refuse_compiled(compiled: bool) -> None:
    if compiled:
        raise _refusal("its blocks are compiled, which hides the attentions in them")


def _refusal(why: str, title: str = "it") -> CacheError:
    return CacheError(
        f"method: {title} reuses chunks of frames one by one, but {why}; use a pipeline of "
        "SkyReels-V2's diffusion forcing in one process, its blocks as they were loaded, or "
        "another method",
        "other-methods",
    )
