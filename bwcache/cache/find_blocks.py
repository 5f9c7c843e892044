"""Where a transformer's blocks are: as told, as the table says, or by the usual names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from diffusers.hooks._helpers import TransformerBlockRegistry

from ..errors import CacheError, ConfigError
from .block_stacks import GUESSES, STACKS, BlockStack


def stack_of(
    transformer: torch.nn.Module, given: str | Sequence[str] | BlockStack | None
) -> BlockStack:
    """Where the blocks are: as told, as the table says, or by the usual names."""
    name = type(transformer).__name__
    if given is None:
        stack = STACKS.get(name) or _guessed(transformer)
    elif isinstance(given, BlockStack):
        stack = given
    else:
        lists = (given,) if isinstance(given, str) else given
        if not isinstance(lists, list | tuple) or not all(isinstance(x, str) for x in lists):
            raise ConfigError("blocks", given, "the names of lists of blocks, or a BlockStack")
        stack = _registered(transformer, tuple(lists))
    for list_name in stack.lists:
        blocks = getattr(transformer, list_name, None)
        if not isinstance(blocks, torch.nn.ModuleList) or not len(blocks):
            raise CacheError(
                f"blocks: {name} has no list of blocks called {list_name}", "unknown-models"
            )
    return stack


def _guessed(transformer: torch.nn.Module) -> BlockStack:
    for name in GUESSES:
        if isinstance(getattr(transformer, name, None), torch.nn.ModuleList):
            return _registered(transformer, (name,))
    raise CacheError(
        f"pipe: {type(transformer).__name__} is not known here and has no list of blocks called "
        f"{' or '.join(GUESSES)}; name its lists: cached(pipe, config, blocks=(…))",
        "unknown-models",
    )


def _registered(transformer: torch.nn.Module, lists: tuple[str, ...]) -> BlockStack:
    """The stack of these lists, with what diffusers' own registry knows of their blocks."""
    blocks: Any = getattr(transformer, lists[0], None) if lists else None
    try:
        known = TransformerBlockRegistry.get(type(blocks[0]))
    except (ValueError, TypeError, IndexError):
        return BlockStack(lists or ("",))
    streams = {known.return_hidden_states_index: known.hidden_states_argument_name}
    if known.return_encoder_hidden_states_index is not None:
        streams[known.return_encoder_hidden_states_index] = (
            known.encoder_hidden_states_argument_name
        )
    in_order = tuple(streams[place] for place in sorted(streams))
    return BlockStack(lists, in_order, known.hidden_states_argument_name)
