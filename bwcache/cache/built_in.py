"""diffusers' own caches, with what goes wrong with them guarded or mended.

TaylorSeer    its default names match no module of most models, so that it does nothing: the
              attentions and MLPs are named where they are known, else it is refused
PAB           one memory for both guidance branches: refused where a pipeline calls the
              transformer once for each; `PABConfig` has one memory each
FirstBlock    processes that share a video decide each by its own part of it: refused there
FasterCache   an IndexError in the run there, behind which its hooks stay: refused
all           a number that is not finite makes some of them reuse: what they keep is dropped
              behind the first such call, so that those that follow compute; every hook is gone
              on leaving, errors or not
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import torch
from diffusers import (
    FasterCacheConfig,
    FirstBlockCacheConfig,
    PyramidAttentionBroadcastConfig,
    TaylorSeerCacheConfig,
)

from ..errors import CacheError
from .block_stacks import CALLED_PER_BRANCH, MODULES, STACKS
from .ranks import Ranks
from .refusals import BUILT_IN_CACHES, transformers_to_gate


@contextmanager
def built_in(pipe: Any, config: Any) -> Iterator[None]:
    """Run a pipeline with one of diffusers' own caches; leaving removes it.

    Args:
        pipe: As for `cached`.
        config: Such as diffusers' `FirstBlockCacheConfig(threshold=0.1)`.

    Raises:
        CacheError: It would fail, do nothing or mix guidance branches on this pipeline, or another
            cache is there.
    """
    with ExitStack() as undo:
        for transformer in transformers_to_gate(pipe):
            _check(transformer, config)
            undo.callback(_disable, transformer)
            transformer.enable_cache(_mended(transformer, config))  # type: ignore[operator]
            if not _hooked(transformer):
                raise CacheError(
                    f"config: {type(config).__name__} matches no module of "
                    f"{type(transformer).__name__}, so that it would do nothing; name them in its "
                    "`cache_identifiers`",
                    "nothing-is-cached",
                )
            undo.callback(transformer.register_forward_hook(_forget_if_not_finite).remove)
        yield


def _check(transformer: torch.nn.Module, config: Any) -> None:
    name, per_branch = type(transformer).__name__, type(transformer).__name__ in CALLED_PER_BRANCH
    if isinstance(config, FirstBlockCacheConfig) and Ranks.of(transformer) is not None:
        raise CacheError(
            "config: diffusers' FirstBlockCache decides by what each process measures of "
            "its own part of the video, and near the threshold they wait for one another for "
            "ever; use one of bwcache's methods",
            "ranks",
        )
    if per_branch and isinstance(config, FasterCacheConfig):
        raise CacheError(
            f"config: diffusers' FasterCache needs both guidance branches in one call; {name} is "
            "called once for each, where it fails with an IndexError; use another method",
            "other-methods",
        )
    if per_branch and isinstance(config, PyramidAttentionBroadcastConfig):
        raise CacheError(
            f"config: diffusers' PyramidAttentionBroadcast keeps one attention for both guidance "
            f"branches; {name} is called once for each, so that one would be given the other's; "
            "use bwcache's `PABConfig`",
            "other-methods",
        )


def _mended(transformer: torch.nn.Module, config: Any) -> Any:
    """The config, with the modules named that TaylorSeer's default names do not match."""
    name = type(transformer).__name__
    named = ("cache_identifiers", "skip_predict_identifiers", "use_lite_mode")
    if not isinstance(config, TaylorSeerCacheConfig) or name not in MODULES:
        return config
    if any(getattr(config, each) for each in named):
        return config
    lists, parts = STACKS[name].lists, [part for part, _ in MODULES[name]]
    patterns = [rf"{blocks}\.\d+\.{part}" for blocks in lists for part in parts]
    given: Any = config  # a dataclass, which its types do not say
    return replace(given, cache_identifiers=patterns)


def _hooked(transformer: torch.nn.Module) -> bool:
    """Whether any of diffusers' caches has put a hook into it."""
    for module in transformer.modules():
        for hook in getattr(getattr(module, "_diffusers_hook", None), "hooks", {}).values():
            if type(hook).__module__.rpartition(".")[2] in BUILT_IN_CACHES:
                return True
    return False


def _disable(transformer: torch.nn.Module) -> None:
    if getattr(transformer, "is_cache_enabled", False):
        transformer.disable_cache()  # type: ignore[operator]


def _forget_if_not_finite(transformer: torch.nn.Module, args: Any, output: Any) -> None:
    """A threshold is never below what is not a number; so nothing of such a call may be kept."""
    prediction = output if isinstance(output, torch.Tensor) else output[0]
    if not bool(torch.isfinite(prediction).all()):
        transformer._reset_stateful_cache()  # type: ignore[operator]
