"""How much work an attention or MLP is, from its layers and what it is given.

Multiplications and additions count as one operation each, as PyTorch's own counter has it: a linear
layer of `[I, O]` is 2 · I · O a token, attention of N tokens to M is 4 · N · M · (its inner width).
Norms, rotations and activations are left out. What matters is the ratio of a transformer's modules.
Processes that share a video's tokens count their own, so that self-attention counts for less there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch


def module_flops(
    module: torch.nn.Module, tokens: int, context: int | None = None, kept: int = 0
) -> float:
    """Operations of one call, for one entry of a batch.

    Args:
        module: An attention with `to_q`, `to_k`, `to_v` and `to_out`, or an MLP of linear layers.
        tokens: N, what is given.
        context: M, what an attention attends to; None for the same tokens.
        kept: Tokens that it attends to besides, whose keys and values are there already.
    """
    if not hasattr(module, "to_q"):
        return 2.0 * tokens * _size(module)
    attention: Any = module
    there = tokens if context is None else context
    # layers for a context's pictures stand beside `to_k` and `to_v`: a token passes one of them
    here = _size(attention.to_q) + _size(attention.to_out)
    projected = _size(attention.to_k) + _size(attention.to_v)
    scores = 4.0 * tokens * (there + kept) * attention.to_q.out_features
    return 2.0 * (tokens * here + there * projected) + scores


def share_of_tokens(
    block: torch.nn.Module,
    modules: Sequence[tuple[str, str]],
    tokens: int,
    of: int,
    context: int,
) -> float:
    """The share of a block's operations that some of its tokens are, attending to all.

    Args:
        block: The block.
        modules: Its attentions and MLPs and what each is, see `block_stacks.MODULES`.
        tokens, of: How many are computed, of how many.
        context: M, the tokens of its cross-attention's context, which it projects in any case.
    """
    done = whole = 0.0
    for name, part in modules:
        module, there = getattr(block, name), context if part == "cross" else None
        attended = of - tokens if part == "self" else 0
        done += module_flops(module, tokens, there, attended)
        whole += module_flops(module, of, there)
    return done / whole


def _size(module: torch.nn.Module) -> int:
    """Numbers in the matrices of its linear layers."""
    layers = (each for each in module.modules() if isinstance(each, torch.nn.Linear))
    return sum(each.in_features * each.out_features for each in layers)
