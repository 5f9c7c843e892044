"""What caching cannot be put into, or a method cannot run on: said before anything is touched."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from types import SimpleNamespace
from typing import Any

import torch

from ..errors import CacheError
from .block_gate import BlockGate, ModuleGate, SideGate
from .block_stacks import CALLED_PER_BRANCH, GUESSES, REFUSED, STACKS, BlockStack
from .branch import BLOCK_PROBES, CALL_PROBES, GUIDANCE
from .call_gate import CallGate
from .method import Method, RunFacts
from .transformers_in import transformers_in

GATES = (ModuleGate, CallGate)  # whatever may stand at a module's call

OTHER_CACHES = ("cache_dit", "para_attn")  # whose wrapped forward is known by its module

BUILT_IN_CACHES = (
    "faster_cache",
    "first_block_cache",
    "mag_cache",
    "pyramid_attention_broadcast",
    "sea_cache",
    "taylorseer_cache",
    "text_kv_cache",
)


def transformers_to_gate(pipe: object) -> list[torch.nn.Module]:
    """A pipeline's transformers, none of which is cached yet."""
    found = transformers_of(pipe)
    for transformer in found:
        _check_not_gated(transformer)
    return found


def transformers_of(pipe: object) -> list[torch.nn.Module]:
    """A pipeline's transformers.

    Raises:
        CacheError: It has none, or one is compiled as a whole or cached by somebody else.
    """
    found = transformers_in(pipe)
    bare = isinstance(pipe, SimpleNamespace) and found
    if not found or not (bare or hasattr(pipe, "scheduler")):
        raise CacheError(
            f"pipe: {type(pipe).__name__} has no transformer and scheduler; "
            "give a diffusers video pipeline such as WanPipeline",
            "not-a-pipeline",
        )
    for transformer in found:
        check_not_compiled(transformer)
        check_no_other_cache(transformer)
    return found


def _check_not_gated(transformer: torch.nn.Module) -> None:
    if reason := REFUSED.get(type(transformer).__name__):
        raise CacheError(
            f"pipe: {type(transformer).__name__} cannot be cached: {reason}", "refused-models"
        )
    for module in transformer.modules():
        if isinstance(vars(module).get("_compiled_call_impl"), GATES):
            raise CacheError(
                "pipe: it is cached already; leave the other `with cached(…)` first, or call "
                "`disable(pipe)`, or `remove_leftovers(pipe)` where nobody knows which",
                "two-caches",
            )


def check_no_other_cache(transformer: torch.nn.Module) -> None:
    """Refuse what another library, or diffusers itself, caches already."""
    forward: Any = vars(transformer).get("forward")
    while hasattr(forward, "func"):  # a partial
        forward = forward.func
    package = str(getattr(forward, "__module__", "")).partition(".")[0]
    if package in OTHER_CACHES or vars(transformer).get("_is_cached") is True:
        package = package if package in OTHER_CACHES else "another library"
        raise CacheError(
            f"pipe: a cache of {package} is enabled on its transformer; disable that first (for "
            "cache-dit `cache_dit.disable_cache(pipe)`)",
            "two-caches",
        )
    for module in transformer.modules():
        hooks = getattr(getattr(module, "_diffusers_hook", None), "hooks", {})
        for hook in hooks.values():
            if type(hook).__module__.rpartition(".")[2] in BUILT_IN_CACHES:
                raise CacheError(
                    "pipe: one of diffusers' own caches is enabled on it "
                    f"({type(hook).__name__}); call pipe.transformer.disable_cache() first",
                    "two-caches",
                )


def check_own_blocks(transformer: torch.nn.Module, stack: BlockStack) -> None:
    """Refuse a list of blocks that another wrapper has put in the place of the model's own."""
    of_diffusers = type(transformer).__module__.startswith("diffusers.")
    for name in stack.lists:
        blocks = getattr(transformer, name)
        for block in blocks:
            own = any(kind.__module__.startswith("diffusers.") for kind in type(block).__mro__)
            if (of_diffusers and not own) or _only_holds_blocks(block, stack):
                raise CacheError(
                    f"pipe: {type(block).__name__} stands in transformer.{name} instead of the "
                    "model's own blocks, as other caches put it there; take it out first",
                    "two-caches",
                )


def _only_holds_blocks(block: torch.nn.Module, stack: BlockStack) -> bool:
    """Whether a block is a shell around a list of others that take what it takes."""
    lists = [part for part in block.modules() if isinstance(part, torch.nn.ModuleList)]
    inside = [each for part in lists for each in part]
    takes = [stack.feature in signature(type(each).forward).parameters for each in inside]
    weights = {id(weight) for each in inside for weight in each.parameters()}
    return bool(takes) and all(takes) and all(id(w) in weights for w in block.parameters())


def check_not_compiled(transformer: torch.nn.Module) -> None:
    """Refuse a transformer that is compiled as a whole."""
    inner = getattr(transformer, "_orig_mod", transformer)
    forward = vars(transformer).get("forward")
    compiled = hasattr(forward, "_torchdynamo_orig_callable")
    called = transformer._compiled_call_impl
    own = called is None or isinstance(called, CallGate)
    if inner is transformer and own and not compiled:
        return
    raise CacheError(
        "pipe: its whole transformer is compiled, which hides the blocks; load it afresh and "
        f"compile the blocks instead: {way_to_compile(inner)}",
        "compiled-as-a-whole",
    )


def way_to_compile(transformer: torch.nn.Module) -> str:
    """The code that compiles a pipeline's blocks instead of its whole transformer."""
    if getattr(transformer, "_repeated_blocks", None):
        return "pipe.transformer.compile_repeated_blocks()"
    lists = STACKS.get(type(transformer).__name__, BlockStack(GUESSES[:1])).lists
    return "; ".join(f"for block in pipe.transformer.{name}: block.compile()" for name in lists)


def check_each_once(gates: Sequence[Sequence[BlockGate]]) -> None:
    """Refuse one and the same block in two places: no gate could tell which of them is called."""
    seen: set[int] = set()
    for gate in (gate for each in gates for gate in each):
        if id(gate.block) in seen:
            raise CacheError(
                f"blocks: the same {type(gate.block).__name__} is listed twice; name each list of "
                "blocks once, and only lists whose blocks are all different",
                "unknown-models",
            )
        seen.add(id(gate.block))


def check_arguments(method: Method, gates: Sequence[BlockGate], model: str) -> None:
    """Refuse a method that measures what these blocks are not given."""
    of_blocks = [gate for gate in gates if not isinstance(gate, SideGate)]
    for probe in method.probes(RunFacts(2, len(of_blocks), model=model)):
        if probe.of not in (*CALL_PROBES, *BLOCK_PROBES, GUIDANCE):
            for block in probe.blocks:
                of_blocks[block].check_argument(probe.of)


def check_branches(method: Method, transformer: torch.nn.Module) -> None:
    """Refuse a method that needs guidance branches apart where one call makes them all."""
    name = type(transformer).__name__
    if method.guidance == "needed" and name in STACKS and name not in CALLED_PER_BRANCH:
        raise CacheError(
            f"method: {method.title} estimates one guidance branch from the other, but {name} is "
            "given both in one call; use another method on this model",
            "other-methods",
        )


def check_long_skips(method: Method, transformer: torch.nn.Module) -> None:
    """Refuse a method that computes more blocks around the middle than long skips lead past it."""
    has = getattr(getattr(transformer, "config", None), "long_skips", 0)
    if method.long_skips > has:
        raise CacheError(
            f"method: {method.title} here needs {method.long_skips} long skips from first to last "
            f"blocks, but {type(transformer).__name__} has {has}; use "
            + (f"at most {has} computed blocks" if has else "another method, or tinyworld-skip"),
            "other-methods",
        )
