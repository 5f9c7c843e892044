"""How much a block's features changed since the last computed step: sampled relative L1.

Pure tensor arithmetic on the features' own device; nothing here waits for the host.
"""

from __future__ import annotations

import torch


def evenly_spaced(count: int, wanted: int | None) -> list[int]:
    """At most `wanted` indices spread evenly over `range(count)`, both ends included."""
    if wanted is None or wanted >= count:
        return list(range(count))
    if wanted == 1:
        return [count // 2]
    return [round(i * (count - 1) / (wanted - 1)) for i in range(wanted)]


def sample_tokens(hidden_states: torch.Tensor, wanted: int | None) -> torch.Tensor:
    """A copy of `wanted` evenly strided tokens of `[B, tokens, channels]`; None copies all.

    The same tokens every time for one shape, so that two samples can be compared.
    """
    stride = 1 if wanted is None else max(1, -(-hidden_states.shape[1] // wanted))
    return hidden_states.detach()[:, ::stride].clone()


def relative_l1(current: torch.Tensor, previous: torch.Tensor) -> torch.Tensor:
    """‖current − previous‖₁ / ‖previous‖₁.

    Args:
        current: Features of any shape and floating dtype.
        previous: Features of the same shape, dtype and device.

    Returns:
        A float32 scalar on the same device, summed in float32. NaN or infinite where the features
        are, or where `previous` is all zero.

    Source: arXiv 2509.13789, Eq. 5.
    """
    previous = previous.float()
    return (current.float() - previous).abs().sum() / previous.abs().sum()
