"""Whatever was done to a pipeline, in whatever order: it is then as a fresh one, bit by bit.

Random sequences of runs, methods, sizes, dtypes, schedulers, cancels, exceptions, offloading.
"""

import copy
import gc
from collections.abc import Callable
from contextlib import suppress
from functools import cache

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bwcache import (
    BWCacheConfig,
    CacheError,
    FirstBlockCacheConfig,
    MagCacheConfig,
    cached,
    disable,
    enable,
)
from tests.methods.fixed import Fixed, every_block, odd_blocks, singly
from tests.pipelines.tiny import Tiny
from tests.pipelines.zoo_hunyuan import hunyuan_t2v
from tests.pipelines.zoo_wan import wan21_t2v, wan22_t2v

CPU = torch.device("cpu")
BUILDS: dict[str, Callable[[], Tiny]] = {
    "wan21": wan21_t2v,
    "wan22": wan22_t2v,
    "hunyuan": hunyuan_t2v,
}
RATIOS = (1.0, 1.02, 0.99, 0.97, 1.0, 0.95)
METHODS = {
    "measure": BWCacheConfig(0.0),
    "default": None,
    "once": BWCacheConfig(1e6, 1),
    "recheck": BWCacheConfig(0.3, 1, gate="recheck"),
    "output": BWCacheConfig(1e6, 2, reuse="output"),
    "forecast": BWCacheConfig(1e6, 1, reuse="forecast", max_consecutive=1),
    "warm-up": BWCacheConfig(1e6, 2, warm_up_steps=0.5),
    "mask": BWCacheConfig(0.1, step_mask="CRC?R"),
    "first block": FirstBlockCacheConfig(0.3),
    "magcache": MagCacheConfig(0.5, 2, 0.1, RATIOS),
    "blocks": Fixed(every_block, singly),
    "odd blocks": Fixed(odd_blocks, singly),
}
SCHEDULERS = {
    "euler": FlowMatchEulerDiscreteScheduler(shift=2.0),
    "unipc": UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=2.0
    ),
}
ENDS = ("end", "end", "end", "on_step raises", "block raises", "interrupt", "stop iteration")

RUN = st.fixed_dictionaries(
    {
        "do": st.just("run"),
        "method": st.sampled_from(sorted(METHODS)),
        "height": st.sampled_from((32, 48)),
        "steps": st.integers(1, 5),
        "videos": st.sampled_from((1, 1, 2)),
        "end": st.sampled_from(ENDS),
        "at": st.integers(0, 3),
        "by": st.sampled_from(("with", "with", "enable", "again inside")),
    }
)
CHANGE = st.one_of(
    st.fixed_dictionaries({"do": st.just("dtype"), "to": st.sampled_from(("bfloat16", "float32"))}),
    st.fixed_dictionaries({"do": st.just("scheduler"), "to": st.sampled_from(sorted(SCHEDULERS))}),
    st.fixed_dictionaries({"do": st.just("offload"), "to": st.sampled_from(("leaf", "block", ""))}),
    st.fixed_dictionaries({"do": st.just("plain")}),
)
SEQUENCES = st.lists(st.one_of(RUN, RUN, CHANGE), min_size=1, max_size=5)


class Stopped(Exception):
    """What ends a run."""


def apply(tiny: Tiny, weights: list[dict], action: dict) -> None:
    """Do one thing to a pipeline."""
    pipe = tiny.pipe
    match action["do"]:
        case "run":
            run(tiny, action)
        case "plain":
            tiny.run(num_inference_steps=2)
        case "scheduler":
            pipe.scheduler = copy.deepcopy(SCHEDULERS[action["to"]])
        case "offload":
            without_offloading(tiny)
            if action["to"]:
                for transformer in tiny.transformers:
                    kind = f"{action['to']}_level"
                    blocks = 1 if action["to"] == "block" else None
                    transformer.enable_group_offload(CPU, CPU, kind, num_blocks_per_group=blocks)
        case "dtype":
            without_offloading(tiny)
            for transformer, state in zip(tiny.transformers, weights, strict=True):
                transformer.to(torch.float32)
                for name, tensor in numbers(transformer).items():
                    tensor.data.copy_(state[name])
                transformer.to(getattr(torch, action["to"]))


def numbers(transformer: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Weights and buffers, those too that are not saved."""
    return {**dict(transformer.named_parameters()), **dict(transformer.named_buffers())}


def without_offloading(tiny: Tiny) -> None:
    for transformer in tiny.transformers:
        for module in transformer.modules():
            if hasattr(module, "_diffusers_hook"):
                for name in [*module._diffusers_hook.hooks]:
                    if "offload" in name or "onload" in name:
                        module._diffusers_hook.remove_hook(name, recurse=False)


def run(tiny: Tiny, action: dict) -> None:
    """One run with caching, which may end early."""
    pipe, method = tiny.pipe, METHODS[action["method"]]

    def watch(record, latents):
        if record.step_index == action["at"]:
            if action["end"] == "on_step raises":
                raise Stopped
            if action["end"] == "stop iteration":
                raise StopIteration
            pipe._interrupt = action["end"] == "interrupt"

    def fail(*_):
        raise Stopped

    call = {"height": action["height"], "num_inference_steps": action["steps"]}
    call["num_videos_per_prompt"] = action["videos"]
    handle = None
    if action["end"] == "block raises":
        handle = tiny.blocks[min(action["at"], len(tiny.blocks) - 1)].register_forward_hook(fail)
    try:
        with suppress(Stopped, StopIteration, RuntimeError if action["end"] != "end" else Stopped):
            if action["by"] == "enable":
                held = enable(pipe, method, on_step=watch)
                try:
                    tiny.run(**call)
                finally:
                    disable(pipe)
            else:
                with cached(pipe, method, on_step=watch) as held:
                    if action["by"] == "again inside":
                        with pytest.raises(CacheError):
                            enable(pipe, method)
                    tiny.run(**call)
                    assert held.branches == []
                    tiny.run(num_inference_steps=1)
    finally:
        if handle is not None:
            handle.remove()
    assert held.branches == []


@cache
def fresh(name: str) -> tuple[torch.Tensor, list]:
    """What a pipeline gives that nothing was done to, and what it is made of."""
    tiny = BUILDS[name]()
    plain = tiny.run(num_inference_steps=3)
    return plain, tiny.insides()


def check(name: str, sequence: list[dict]) -> None:
    tiny = BUILDS[name]()
    scheduler = copy.deepcopy(tiny.pipe.scheduler)
    weights = [copy.deepcopy(numbers(each)) for each in tiny.transformers]
    for action in sequence:
        apply(tiny, weights, action)
    expected, insides = fresh(name)
    apply(tiny, weights, {"do": "dtype", "to": "float32"})
    tiny.pipe.scheduler = scheduler
    assert torch.equal(tiny.run(num_inference_steps=3), expected)
    found = tiny.insides()
    assert [*map(of_ours, found[1:-1])] == [*map(of_ours, insides[1:-1])]
    assert found[-1] == insides[-1]


def of_ours(names: list[str]) -> list[str]:
    """Names of a module's own attributes, without what offloading and casting leave there."""
    return [name for name in names if not name.startswith(("_diffusers", "_hf", "forward"))]


QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large]


@given(st.sampled_from(sorted(BUILDS)), SEQUENCES)
@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=QUIET)
def test_a_pipeline_is_as_a_fresh_one_after_anything(name, sequence):
    check(name, sequence)


@pytest.mark.slow
@pytest.mark.skipif(
    "'slow' not in config.getoption('markexpr')", reason="takes many minutes: pytest -m slow"
)
@given(st.sampled_from(sorted(BUILDS)), SEQUENCES)
@settings(max_examples=300, deadline=None, suppress_health_check=QUIET)
def test_a_pipeline_is_as_a_fresh_one_after_anything_at_length(name, sequence):
    check(name, sequence)


def test_nothing_is_kept_after_leaving():
    """As many tensors are alive as before."""
    tiny = wan21_t2v()
    tiny.run()

    def alive() -> int:
        gc.collect()
        return sum(isinstance(thing, torch.Tensor) for thing in gc.get_objects())

    before = alive()
    for method in METHODS.values():
        with cached(tiny.pipe, method):
            tiny.run()
    assert alive() <= before + 2  # the scheduler's own last output
