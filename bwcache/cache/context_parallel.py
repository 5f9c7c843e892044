"""Split one video's tokens over several processes, by diffusers' context parallelism.

The only file that touches diffusers' parallel internals, which are experimental: diffusers is
pinned exactly. A model needs a plan of where its tokens are split and gathered. diffusers has
Wan's; the others are here. CogVideoX and HunyuanVideo have none there, and their attentions have
the text in one row with the video's tokens, so that neither of diffusers' two ways (Ulysses, ring)
can be used: each process keeps the whole text, and gathers the keys and values of all tokens for
the queries of its own. LTX has one that splits the text as well, which fails on the text's mask.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from types import MappingProxyType
from typing import Any, Literal

import torch
import torch.distributed as dist
from diffusers.hooks.context_parallel import apply_context_parallel
from diffusers.models._modeling_parallel import (
    ContextParallelConfig,
    ContextParallelInput,
    ContextParallelOutput,
    ParallelConfig,
    gather_size_by_comm,
)
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode

from ..errors import CacheError, ConfigError

_TOKENS = ContextParallelInput(split_dim=1, expected_dims=3)
_ANGLES = ContextParallelInput(
    split_dim=0, expected_dims=2
)  # of the rotary embedding, each token's
_ANGLES_MADE = ContextParallelInput(split_dim=0, expected_dims=2, split_output=True)
_LTX_ANGLES = ContextParallelInput(split_dim=1, expected_dims=3, split_output=True)
_TIMES = ContextParallelInput(split_dim=1, expected_dims=2)  # where each token has its own
_FIRST_BLOCK = {"transformer_blocks.0": {"hidden_states": _TOKENS}}
_WHOLE_AGAIN = {"proj_out": ContextParallelOutput(gather_dim=1, expected_dims=3)}


@dataclass(frozen=True)
class SplitPlan:
    """Where a model's tokens are split and gathered.

    Args:
        entries: As diffusers wants it; None for diffusers' own (`_cp_plan`).
        text: Where the text stands among the tokens of an attention: not at all, "first" or "last".
    """

    entries: Mapping[str, Any] | None = None
    text: Literal["", "first", "last"] = ""


PLANS: Mapping[str, SplitPlan] = MappingProxyType(
    {
        "WanTransformer3DModel": SplitPlan(),
        "LTXVideoTransformer3DModel": SplitPlan(
            {
                "": {"hidden_states": _TOKENS, "timestep": _TIMES},
                "rope": {0: _LTX_ANGLES, 1: _LTX_ANGLES},
                **_WHOLE_AGAIN,
            }
        ),
        "CogVideoXTransformer3DModel": SplitPlan(
            {"": {"image_rotary_emb": [_ANGLES, _ANGLES]}, **_FIRST_BLOCK, **_WHOLE_AGAIN}, "first"
        ),
        "HunyuanVideoTransformer3DModel": SplitPlan(
            {"rope": {0: _ANGLES_MADE, 1: _ANGLES_MADE}, **_FIRST_BLOCK, **_WHOLE_AGAIN}, "last"
        ),
    }
)


def check_can_split(transformer: torch.nn.Module) -> None:
    """Refuse a model whose tokens nobody has said how to split.

    Raises:
        ConfigError: There is no plan for it.
    """
    name = type(transformer).__name__
    if name not in PLANS:
        raise ConfigError(
            "context_parallel",
            name,
            f"one of {', '.join(PLANS)}: of no other it is known that several processes make what "
            "one makes",
        )
    kind = getattr(transformer.config, "image_condition_type", None)
    if kind == "token_replace":
        raise ConfigError(
            "context_parallel",
            f"image_condition_type={kind}",
            f"a {name} that treats all tokens alike: this one counts off those of the first frame",
        )


def split(transformer: torch.nn.Module, mesh: DeviceMesh) -> None:
    """Split a transformer's tokens over the processes of a mesh, whatever their number.

    Args:
        transformer: Of a diffusers pipeline; the same in all processes, and whole in each.
        mesh: See `mesh_of`.

    Raises:
        ConfigError: See `check_can_split`.

    What `ModelMixin.enable_parallelism` does, which divides by the number of accelerators and so
    needs one.
    """
    check_can_split(transformer)
    size = mesh.size()
    parallel = ContextParallelConfig(ulysses_degree=size, ulysses_anything=True)
    config = ParallelConfig(context_parallel_config=parallel)
    config.setup(mesh.get_rank(), size, torch.device(mesh.device_type), mesh=mesh)
    plan = PLANS[type(transformer).__name__]
    for block in _blocks(transformer):
        # the first attention of a block is the one over the video's tokens
        attention: Any = next(part for part in block.children() if hasattr(part, "processor"))
        if plan.text:
            made = _Gathering(attention.processor, parallel, plan.text == "first")
            attention.set_processor(made)
        else:
            attention.processor._parallel_config = config
    transformer._parallel_config = config  # type: ignore[assignment]
    # of diffusers' own way to gather, gloo refuses parts of unequal length
    group, splitting = parallel._flattened_mesh.get_group(), {}
    entries: Any = plan.entries or transformer._cp_plan
    for name, what in entries.items():
        if isinstance(what, ContextParallelOutput):
            last = transformer.get_submodule(name)
            last.register_forward_hook(partial(_gather_output, what.gather_dim, group))
        else:
            splitting[name] = what
    apply_context_parallel(transformer, parallel, splitting)


def mesh_of(size: int, device_type: str) -> DeviceMesh:
    """All processes of the default group as the mesh that diffusers wants."""
    return init_device_mesh(device_type, (1, size), mesh_dim_names=("ring", "ulysses"))


def limit_waiting(mesh: DeviceMesh, limit: timedelta) -> None:
    """From now on a process waits so long, at most, for the others of a mesh."""
    flat = mesh["ring", "ulysses"]._flatten()  # of which diffusers takes the very same
    for group in (*mesh.get_all_groups(), flat.get_group()):
        dist.distributed_c10d._set_pg_timeout(limit, group)


def gathered(part: torch.Tensor, dim: int, group: Any) -> torch.Tensor:
    """The parts of all processes behind one another, whatever their lengths along a dimension."""
    lengths = gather_size_by_comm(part.shape[dim], group)
    short = list(part.shape)
    short[dim] = max(lengths) - part.shape[dim]
    longest = torch.cat([part, part.new_zeros(short)], dim=dim).contiguous()
    parts = [torch.empty_like(longest) for _ in lengths]
    dist.all_gather(parts, longest, group=group)
    pairs = zip(parts, lengths, strict=True)
    return torch.cat([each.narrow(dim, 0, length) for each, length in pairs], dim=dim)


def _gather_output(dim: int, group: Any, module: object, args: object, output: torch.Tensor):
    return gathered(output, dim, group)


def _blocks(transformer: torch.nn.Module) -> list[torch.nn.Module]:
    names = ("blocks", "transformer_blocks", "single_transformer_blocks")
    return [block for name in names for block in getattr(transformer, name, ())]


class _Gathering:
    """An attention over text and video of which only a part of the video's tokens is here.

    Args:
        processor: The model's own, which makes queries, keys and values of what is here.
        parallel: How the tokens are split.
        text_first: Whether the text comes before the video.
    """

    def __init__(self, processor: Callable, parallel: ContextParallelConfig, text_first: bool):
        self._processor, self._parallel, self._text_first = processor, parallel, text_first

    def __call__(  # diffusers leaves out what it does not find named here
        self,
        attn: torch.nn.Module,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        image_rotary_emb: Sequence[torch.Tensor] | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        given = (hidden_states, encoder_hidden_states, attention_mask, image_rotary_emb)
        text = encoder_hidden_states.shape[1]
        with _KeysOfAll(self._parallel, text, self._text_first) as keys:
            found = self._processor(attn, *given)
        if keys.seen != 1:
            raise CacheError(
                "pipe: its attention does not go through PyTorch's scaled dot product, so that "
                'the other processes\' tokens are missing in it; set_attention_backend("native")',
                "ranks",
            )
        return found


class _KeysOfAll(TorchFunctionMode):
    """Inside it, PyTorch's attention is given the keys and values of all processes' tokens."""

    def __init__(self, parallel: ContextParallelConfig, text: int, text_first: bool):
        super().__init__()
        self._parallel, self._text, self._text_first = parallel, text, text_first
        self.seen = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if func is scaled_dot_product_attention:
            self.seen += 1
            given = dict(zip(("query", "key", "value"), args, strict=False)) | kwargs
            pair = torch.stack([given.pop("key"), given.pop("value")])  # [2, B, heads, tokens, C]
            text, video = self._apart(pair)
            video = gathered(video, 3, self._parallel._flattened_mesh.get_group())
            both = (text, video) if self._text_first else (video, text)
            key, value = torch.cat(both, dim=3).unbind()
            return func(given.pop("query"), key, value, *args[3:], **given)
        return func(*args, **kwargs)

    def _apart(self, pair: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        tokens = pair.shape[3] - self._text
        if self._text_first:
            return pair.split([self._text, tokens], dim=3)
        video, text = pair.split([tokens, self._text], dim=3)
        return text, video
