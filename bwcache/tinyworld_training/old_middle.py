"""Training steps in which a transformer with long skips lives with an earlier step's middle.

A transformer that begins from weights without skips has no reason to use them: its middle blocks
bring everything along. So in a share of the training steps the last blocks are given the middle as
it was one to three sampling steps earlier, computed without gradients from the same clip and the
same noise at that noise level; only the first and the last blocks are computed anew, as a cache
does on a reused step. What has changed since then can reach the last blocks by the skips alone.
Skip-DiT (arXiv 2411.17616) trains without such steps; this is an aid of ours.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import NamedTuple

import torch

from ..tinyworld.long_skips import LongSkipWanTransformer3DModel
from ..tinyworld.transformer import FLOW_SHIFT

SAMPLING_STEPS = 30  # whose distances are meant, on a scheduler shifted by `FLOW_SHIFT`
OLDEST = 3  # steps that a middle may be old


def blocks_anew(step: int, share: float, long_skips: int) -> int:
    """How many first, and as many last, blocks a training step computes anew; 0 means all.

    `share` of the steps, evenly spread, have an old middle. Every second of those computes one
    block anew, as caching mostly does; the others each number up to `long_skips` in turn.
    """
    count = int(step * share)  # steps before this one that had an old middle
    if int((step + 1) * share) == count:
        return 0
    return 1 + count // 2 % long_skips if count % 2 else 1


def earlier(sigma: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Noise levels one to `OLDEST` sampling steps before `sigma` `[B]`, at most 1.

    The scheduler's are `s·u / (1 + (s − 1)·u)` of `u`, which falls evenly from 1 to 0.
    """
    shift = FLOW_SHIFT
    steps = torch.randint(1, OLDEST + 1, sigma.shape, generator=generator, device=sigma.device)
    place = sigma / (shift - (shift - 1) * sigma) + steps / SAMPLING_STEPS
    place = place.clamp(max=1)
    return shift * place / (1 + (shift - 1) * place)


class Noised(NamedTuple):
    """Latents `[B, z, T, h, w]` and their noise levels `[B]`."""

    latents: torch.Tensor
    sigma: torch.Tensor


def velocity_with_old_middle(
    transformer: LongSkipWanTransformer3DModel,
    now: Noised,
    before: Noised,
    text: torch.Tensor,
    anew: int,
    precision: Callable[[], AbstractContextManager],
) -> torch.Tensor:
    """What the transformer predicts `now` if its middle blocks are those of `before`.

    Args:
        transformer: It has long skips, at least `anew`.
        now, before: Of the same clips.
        text: Embedded captions `[B, words, C]`.
        anew: How many first, and as many last, blocks are computed now.
        precision: Makes the context to compute in; one for each part, so that no weight which
            autocast rounded and kept for the part without gradients is used in the other.
    """
    layers = len(transformer.blocks)
    late = layers - anew
    with torch.no_grad(), precision():
        tokens, conditions = transformer.embed(before.latents, before.sigma * 1000, text)
        middle = transformer.run_blocks(tokens, conditions, range(late), [])
    with precision():
        tokens, conditions = transformer.embed(now.latents, now.sigma * 1000, text)
        skips: list[torch.Tensor] = []
        transformer.run_blocks(tokens, conditions, range(anew), skips)
        output = transformer.run_blocks(middle, conditions, range(late, layers), skips)
        return transformer.predict(output, conditions, now.latents.shape)
