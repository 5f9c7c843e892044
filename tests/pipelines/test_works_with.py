"""What people combine with caching: offloading, casting, LoRAs, number types, schedulers.

Every set-up is compared with the same set-up without caching, on Wan (one stream through the
blocks, a call for each guidance branch) and HunyuanVideo (two streams, two lists of blocks).
"""

from collections.abc import Callable
from dataclasses import replace

import accelerate
import diffusers
import pytest
import torch
from accelerate.hooks import AlignDevicesHook
from diffusers.hooks.group_offloading import ModuleGroup
from diffusers.hooks.layerwise_casting import LayerwiseCastingHook
from peft import LoraConfig
from peft.utils import get_peft_model_state_dict

from bwcache import BWCacheConfig, cached
from tests.pipelines.combined import FREELY, Build, SetUp, builds, check, entered, orders
from tests.pipelines.tiny import Tiny
from tests.pipelines.zoo_cog_ltx import cogvideox
from tests.pipelines.zoo_hunyuan import hunyuan_t2v
from tests.pipelines.zoo_wan import wan21_t2v

CPU = torch.device("cpu")


def nothing(pipe) -> None:
    """No set-up."""


def model_offload(pipe) -> None:
    pipe.enable_model_cpu_offload(device=CPU)


def sequential_offload(pipe) -> None:
    """What `enable_sequential_cpu_offload` does, which itself asks for a device with a number."""
    for part in pipe.components.values():
        if isinstance(part, torch.nn.Module):
            accelerate.cpu_offload(part, CPU, offload_buffers=bool(part._parameters))


def group_offload(kind: str, blocks: int | None = None) -> SetUp:
    return lambda pipe: pipe.transformer.enable_group_offload(
        CPU, CPU, kind, num_blocks_per_group=blocks
    )


def casting(pipe) -> None:
    pipe.transformer.enable_layerwise_casting(torch.float8_e4m3fn, torch.float32)


BY_BLOCK: dict[str, SetUp] = {
    "sequential": sequential_offload,
    "block_level": group_offload("block_level", 1),
    "pairs_of_blocks": group_offload("block_level", 2),
    "leaf_level": group_offload("leaf_level"),
    "float8": casting,
}


@builds
@orders
@pytest.mark.parametrize("name", ["model", *BY_BLOCK])
def test_offloaded_or_cast_weights(build, inside, name):
    check(build, BY_BLOCK.get(name, model_offload), inside)


@builds
@orders
@pytest.mark.parametrize("name", BY_BLOCK)
def test_no_weight_of_a_passed_by_block_is_loaded_or_cast(build, inside, name, monkeypatch):
    touched: set[torch.nn.Module] = set()

    def note(kind: type, method: str, modules: Callable) -> None:
        original = getattr(kind, method)

        def noted(hook, *args, **kwargs):
            touched.update(modules(hook, *args))
            return original(hook, *args, **kwargs)

        monkeypatch.setattr(kind, method, noted)

    note(ModuleGroup, "onload_", lambda group: [*group.modules, group.onload_leader])
    note(AlignDevicesHook, "pre_forward", lambda hook, module, *_: [module])
    note(LayerwiseCastingHook, "pre_forward", lambda hook, module, *_: [module])
    tiny, seen = build(), []
    parts = {part for block in tiny.blocks for part in block.modules()}

    def look(record, latents) -> None:
        seen.append((record.action, bool(touched & parts)))
        touched.clear()

    with entered(tiny, BY_BLOCK[name], inside, FREELY, on_step=look):
        tiny.run()
    computed, reused = ("compute", True), ("reuse", False)
    assert seen[-6:] == [computed, computed, reused, reused, computed, reused]


def lora(build: Build) -> dict[str, torch.Tensor]:
    """Weights of a LoRA on the attention of a transformer."""
    transformer = build().pipe.transformer
    transformer.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_v"]))
    return {
        f"transformer.{name}": torch.full_like(weight, 0.3)
        for name, weight in get_peft_model_state_dict(transformer).items()
    }


@builds
@orders
@pytest.mark.parametrize("offload", [None, "block_level", "leaf_level"])
def test_lora(build, inside, offload):
    """Diffusers takes group offloading's hooks out and puts them back when a LoRA is loaded."""
    weights, without = lora(build), build().run()

    def set_up(pipe) -> None:
        if offload:
            BY_BLOCK[offload](pipe)
        pipe.load_lora_weights(dict(weights), adapter_name="ours")

    check(build, set_up, inside)
    tiny = build()
    set_up(tiny.pipe)
    assert not torch.equal(tiny.run(), without)


@pytest.mark.parametrize("offload", [None, "block_level", "leaf_level"])
def test_lora_loaded_and_taken_out_inside(offload):
    """Offloading is there before caching: its hooks are taken out from under whatever came after.

    Of six steps three are reused, in two branches of four blocks.
    """
    tiny, weights, ran = wan21_t2v(), lora(wan21_t2v), []
    for block in tiny.pipe.transformer.blocks:
        block.attn1.register_forward_hook(lambda *_: ran.append(1))
    if offload:
        BY_BLOCK[offload](tiny.pipe)
    with cached(tiny.pipe, FREELY):
        first = tiny.run()
        tiny.pipe.load_lora_weights(weights, adapter_name="ours")
        assert not torch.equal(tiny.run(), first)
        tiny.pipe.unload_lora_weights()
        assert torch.equal(tiny.run(), first)
    assert len(ran) == 3 * (3 * 2 * 4)


@pytest.mark.parametrize("build", [wan21_t2v, hunyuan_t2v, cogvideox])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(build, dtype):
    def halved() -> Tiny:
        tiny = build()
        tiny.pipe.to(dtype)
        given = {
            name: value.to(dtype) if name.endswith("prompt_embeds") else value
            for name, value in tiny.arguments.items()
        }
        return replace(tiny, arguments=given)

    check(halved, nothing)


@pytest.mark.parametrize("call", [{"num_videos_per_prompt": 2}, {"guidance_scale": 1.0}])
def test_two_videos_of_a_prompt_and_no_guidance(call):
    def called_so() -> Tiny:
        tiny = wan21_t2v()
        return replace(tiny, arguments={**tiny.arguments, **call})

    check(called_so, nothing)


def test_each_prompt_of_a_batch_gives_what_it_gives_alone():
    tiny, prompts = wan21_t2v(), ["a red circle moving right", "a blue square"]
    with cached(tiny.pipe, FREELY):
        noises = [torch.Generator().manual_seed(seed) for seed in range(2)]
        together = tiny.run(prompt=prompts, generator=noises)
        alone = [tiny.run(seed, prompt=prompt) for seed, prompt in enumerate(prompts)]
    torch.testing.assert_close(together, torch.cat(alone))


FLOW = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": 2.0}
SCHEDULERS = [
    (wan21_t2v, diffusers.FlowMatchEulerDiscreteScheduler(shift=2.0), 6),
    (wan21_t2v, diffusers.FlowMatchHeunDiscreteScheduler(shift=2.0), 11),  # all but one twice
    (wan21_t2v, diffusers.UniPCMultistepScheduler(**FLOW), 6),
    (wan21_t2v, diffusers.DPMSolverMultistepScheduler(**FLOW), 6),
    (cogvideox, diffusers.CogVideoXDDIMScheduler(clip_sample=False), 6),
    (cogvideox, diffusers.CogVideoXDPMScheduler(clip_sample=False), 6),
    (cogvideox, diffusers.PNDMScheduler(), 15),  # three steps of four calls to begin with
]


@pytest.mark.parametrize(
    ("build", "scheduler", "steps"), SCHEDULERS, ids=[type(s).__name__ for _, s, _ in SCHEDULERS]
)
def test_schedulers(build, scheduler, steps):
    """The pattern counts the scheduler's own steps, not the six asked for."""

    def other() -> Tiny:
        tiny = build()
        tiny.pipe.scheduler = type(scheduler).from_config(scheduler.config)
        return tiny

    check(other, nothing)
    tiny = other()
    with cached(tiny.pipe, BWCacheConfig(0.0)) as run:
        tiny.run()
    assert run.trace.num_steps == steps
    timesteps = [step.timestep for step in run.trace.steps]
    assert timesteps == tiny.pipe.scheduler.timesteps.tolist()
