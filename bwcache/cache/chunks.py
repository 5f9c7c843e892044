"""Chunks of a video's frames of which some are computed while the others keep what they had.

The tokens of a chunk that is not computed take no part in any block. The others attend to its
keys and values all the same: those of when it was last computed, kept for every block. Pure tensor
code: knows nothing of methods or pipelines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from .block_stacks import MODULES
from .flops import share_of_tokens
from .in_place import Tensors
from .method import CHUNK_CHANGE, CHUNK_MOVES
from .replay import ChunkResidual, Residual

Projection = Literal["queries", "keys", "values"]
Rotary = tuple[torch.Tensor, torch.Tensor]
TIMESTEP, ROTARY, MASK = "temb", "rotary_emb", "attention_mask"  # what a block is given by token
NOT_BY_TOKEN = "what its blocks are given cannot be told apart by token"
NONE_LEFT = "a plan without any chunk to compute"
NOT_KEPT = "not all blocks' keys and values are kept for this call yet"
# a frame that has not begun is at timestep 999, of which its first one may be 1 above
WAITING = 1.0


@dataclass
class Part:
    """A running call in which only some tokens are computed.

    Args:
        computed: Which, `[n]` of N.
        tokens: What the first block was given, `[B, N, C]`.
        output: What the stack gives, to be filled: that of the other tokens is in it already.
        rotary: Cosines and sines of all tokens, `[1, N, 1, D]` each; None where there are none.
        blocks: How many there are.
        modules: The attentions and MLPs of each, see `block_stacks.MODULES`.
        share: Of a block's operations, how many are done.
    """

    computed: torch.Tensor
    tokens: torch.Tensor
    output: torch.Tensor
    rotary: Rotary | None
    blocks: int
    modules: Sequence[tuple[str, str]]
    share: float = 1.0
    _narrowed: dict[int, tuple[torch.Tensor, torch.Tensor]] = field(default_factory=dict)

    def weigh(self, block: torch.nn.Module, context: int) -> None:
        """Reckon `share` from the first block, and the tokens of its cross-attention's context."""
        tokens = self.tokens.shape[1]
        self.share = share_of_tokens(block, self.modules, len(self.computed), tokens, context)

    def given(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """A block's arguments, of the computed tokens only.

        Keys of the others are rotated along with the computed ones' behind their projection, so
        that the block is given no rotary tables.
        """
        found = dict(arguments)
        if found["hidden_states"].shape[1] == self.tokens.shape[1]:
            found["hidden_states"] = self._of(found["hidden_states"], 1)
        found[TIMESTEP] = self._of(found[TIMESTEP], 2)
        mask = found.get(MASK)
        if mask is not None and mask.shape[-2] > 1:
            found[MASK] = self._of(mask, -2)
        found[ROTARY] = None
        return found

    def whole(self, computed: torch.Tensor) -> torch.Tensor:
        """What the stack gives, of all tokens."""
        return self.output.index_copy(1, self.computed, computed.to(self.output))

    def _of(self, tensor: torch.Tensor, axis: int) -> torch.Tensor:
        """The computed tokens of it; every block is given the same tensors."""
        known = self._narrowed.get(id(tensor))
        if known is None or known[0] is not tensor:
            known = tensor, tensor.index_select(axis, self.computed.to(tensor.device))
            self._narrowed[id(tensor)] = known
        return known[1]


class Chunks:
    """What one guidance branch keeps of its chunks.

    Args:
        frames_per_chunk: See `Method`.
        blocks: How many the call has.
        keeping: Whether keys and values are kept: not where nothing is ever reused.
    """

    def __init__(self, frames_per_chunk: int, blocks: int, keeping: bool = True):
        self._size, self._blocks, self._keeping = frames_per_chunk, blocks, keeping
        self._kept: dict[tuple[Projection, int], torch.Tensor] = {}
        self._kind: tuple = ()
        self._bounds: list[tuple[int, int]] = []
        self._last: torch.Tensor | None = None
        self._times: list[float] = []
        self._moves: list[int] = []
        self._ready: list[bool] = []
        self._modules: Sequence[tuple[str, str]] = ()

    @property
    def tensors(self) -> list[torch.Tensor]:
        """Everything that is kept between steps."""
        return [*self._kept.values(), *([] if self._last is None else [self._last])]

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._bounds)

    def begin(
        self, inputs: Tensors, timestep: torch.Tensor, owner: object, watch: bool
    ) -> dict[str, tuple[float, ...]]:
        """The first block is about to be called.

        Args:
            inputs: What it is given: `[B, N, C]`, frame behind frame.
            timestep: Of each frame, `[B, F]`.
            owner: The transformer. Where it is set to attend to a causal block of frames and those
                before it, such a block is a chunk.
            watch: Whether the chunks are compared with the last call that was; waits for the
                device.

        Returns:
            `CHUNK_CHANGE`, of the least similar video, and `CHUNK_MOVES`; nothing where there is
            nothing alike to compare with.
        """
        self._modules = MODULES.get(type(owner).__name__, ())
        tokens = _only(inputs)
        frames = timestep.shape[1]
        causal = getattr(getattr(owner, "config", None), "num_frame_per_block", 1)
        kind = (tokens.shape, tokens.dtype, tokens.device, frames, causal)
        if kind != self._kind:
            self._kept.clear()
            self._last, self._times, self._kind = None, [], kind
            size, per_frame = causal if causal > 1 else self._size, tokens.shape[1] // frames
            starts = range(0, frames, size)
            self._bounds = [
                (start * per_frame, min(start + size, frames) * per_frame) for start in starts
            ]
        return self._watch(tokens, timestep) if watch else {}

    def _watch(self, tokens: torch.Tensor, timestep: torch.Tensor) -> dict[str, tuple[float, ...]]:
        """How the chunks differ from the last call that was watched."""
        tokens, last = tokens.detach(), self._last
        parts: list[torch.Tensor] = [timestep.amax(0).float()]
        if last is not None:
            sizes = torch.stack([_sums(tokens - last, self._bounds), _sums(last, self._bounds)])
            parts.append((sizes[0] / sizes[1]).amax(0).to(timestep.device))
        numbers = torch.cat(parts).tolist()
        frames = timestep.shape[1]
        times, changes = numbers[:frames], numbers[frames:]
        if self._times and any(t > b + WAITING for t, b in zip(times, self._times, strict=True)):
            # other frames are in these places: a longer video is seen through a moving window
            self._times, changes = [], []
        self._move(times)
        self._last = tokens
        if not changes:
            return {}
        return {CHUNK_CHANGE: tuple(changes), CHUNK_MOVES: self._chunk_moves()}

    def enter(
        self,
        reused: tuple[int, ...],
        replay: Residual,
        inputs: Tensors,
        argument: Callable[[str], Any],
    ) -> Part | str:
        """Compute only some chunks in the running call.

        Args:
            reused: The others, by number.
            replay: What they are given behind the last block.
            inputs: What the first block is given.
            argument: Gives the first block's argument of that name.

        Returns:
            What is computed, or why all has to be.
        """
        tokens, rotary = _only(inputs), argument(ROTARY)
        count, refusal = tokens.shape[1], replay.refusal(inputs)
        if refusal is not None:
            return refusal
        if not _by_token(argument(TIMESTEP), rotary, argument(MASK), count):
            return NOT_BY_TOKEN
        kept = list(self._kept.values())
        if len(kept) != 2 * self._blocks or any(x.shape[:2] != tokens.shape[:2] for x in kept):
            return NOT_KEPT
        assert isinstance(replay, ChunkResidual)
        assert replay.kept is not None
        if len({*reused}) == self.count:
            return NONE_LEFT
        is_held = torch.zeros(count, dtype=torch.bool)
        for chunk in reused:
            start, stop = self._bounds[chunk]
            is_held[start:stop] = True
        held = is_held.nonzero().flatten().to(tokens.device)
        computed = (~is_held).nonzero().flatten().to(tokens.device)
        replay.hold(held)
        output = tokens.detach() + _only(replay.kept)
        return Part(computed, tokens, output, rotary, self._blocks, self._modules)

    def seen(
        self, part: Part | None, what: Projection, block: int, projected: torch.Tensor, heads: int
    ) -> torch.Tensor:
        """What an attention goes on with, behind one of its projections.

        Args:
            part: Of the running call.
            what: Which.
            block: Whose attention it is.
            projected: `[B, N, C]`, or `[B, n, C]` in a call of some tokens.
            heads: Of the attention.
        """
        if part is None:
            if self._keeping and what != "queries":
                self._kept[what, block] = projected.detach()
            return projected
        if what == "queries":
            return _rotated(projected, part.rotary, heads, part.computed)
        whole = self._kept[what, block].index_copy(1, part.computed, projected.detach())
        self._kept[what, block] = whole
        return _rotated(whole, part.rotary, heads) if what == "keys" else whole

    def _move(self, times: list[float]) -> None:
        """Count each frame's own steps. One that is ready from the start counts all calls."""
        if not self._times:
            self._ready = [time < max(times) - WAITING for time in times]
            self._moves = [0] * len(times)
        else:
            for i, (now, then) in enumerate(zip(times, self._times, strict=True)):
                self._moves[i] += now < then or self._ready[i]
        self._times = times

    def _chunk_moves(self) -> tuple[float, ...]:
        per_frame = self._kind[0][1] // len(self._moves)
        frames = [(start // per_frame, stop // per_frame) for start, stop in self._bounds]
        return tuple(float(min(self._moves[start:stop])) for start, stop in frames)


def _only(streams: Tensors) -> torch.Tensor:
    """The one tensor that passes through the blocks of such a model."""
    (tokens,) = streams
    assert tokens is not None
    return tokens


def _sums(tokens: torch.Tensor, bounds: list[tuple[int, int]]) -> torch.Tensor:
    """‖·‖₁ of each chunk of each video, `[B, chunks]`."""
    each = torch.linalg.vector_norm(tokens, 1, dim=-1, dtype=torch.float32)
    return torch.stack([each[:, start:stop].sum(1) for start, stop in bounds], dim=1)


def _by_token(timestep: Any, rotary: Any, mask: Any, count: int) -> bool:
    """Whether a block's arguments are those of single tokens, so that some can be taken."""
    if not isinstance(timestep, torch.Tensor) or timestep.ndim != 4 or timestep.shape[2] != count:
        return False
    if rotary is not None and any(table.shape[1] != count for table in rotary):
        return False
    return mask is None or (mask.shape[-2] in (1, count) and mask.shape[-1] == count)


def _rotated(
    projected: torch.Tensor, rotary: Rotary | None, heads: int, which: torch.Tensor | None = None
) -> torch.Tensor:
    """Neighbouring channels of each head turned by their token's angle: `[B, n, C]`."""
    if rotary is None:
        return projected
    cos, sin = rotary if which is None else (table.index_select(1, which) for table in rotary)
    even, odd = projected.unflatten(2, (heads, -1)).unflatten(-1, (-1, 2)).unbind(-1)
    cos, sin = cos[..., 0::2], sin[..., 1::2]
    turned = torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1)
    return turned.flatten(2).type_as(projected)
