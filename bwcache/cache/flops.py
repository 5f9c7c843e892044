"""How much work an attention or MLP is, from its layers and what it is given.

Multiplications and additions count as one operation each, as PyTorch's own counter has it: a linear
layer of `[I, O]` is 2 · I · O a token, attention of N tokens to M is 4 · N · M · (its inner width).
Norms, rotations and activations are left out. What matters is the ratio of a transformer's modules.
Processes that share a video's tokens count their own, so that self-attention counts for less there.
"""

from __future__ import annotations

from typing import Any

import torch


def module_flops(module: torch.nn.Module, tokens: int, context: int | None = None) -> float:
    """Operations of one call, for one entry of a batch.

    Args:
        module: An attention with `to_q`, `to_k`, `to_v` and `to_out`, or an MLP of linear layers.
        tokens: N, what is given.
        context: M, what an attention attends to; None for the same tokens.
    """
    if not hasattr(module, "to_q"):
        return 2.0 * tokens * _size(module)
    attention: Any = module
    there = tokens if context is None else context
    # layers for a context's pictures stand beside `to_k` and `to_v`: a token passes one of them
    here = _size(attention.to_q) + _size(attention.to_out)
    kept = _size(attention.to_k) + _size(attention.to_v)
    return 2.0 * (tokens * here + there * kept) + 4.0 * tokens * there * attention.to_q.out_features


def _size(module: torch.nn.Module) -> int:
    """Numbers in the matrices of its linear layers."""
    layers = (each for each in module.modules() if isinstance(each, torch.nn.Linear))
    return sum(each.in_features * each.out_features for each in layers)
