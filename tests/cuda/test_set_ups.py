"""Offloading, casting, number types and adapters, where the weights really travel."""

from dataclasses import replace

import accelerate
import pytest
import torch

from tests.cuda.on_device import check, moved
from tests.pipelines.tiny import Tiny
from tests.pipelines.zoo_cog_ltx import cogvideox
from tests.pipelines.zoo_hunyuan import hunyuan_t2v
from tests.pipelines.zoo_wan import wan21_t2v, wan22_t2v

CPU = torch.device("cpu")
builds = pytest.mark.parametrize("build", [wan21_t2v, hunyuan_t2v])


@builds
def test_model_offloading(build, device):
    check(build, lambda pipe: pipe.enable_model_cpu_offload(device=device), device)


def test_model_offloading_of_two_experts(device):
    check(wan22_t2v, lambda pipe: pipe.enable_model_cpu_offload(device=device), device)


@builds
def test_sequential_offloading(build, device):
    def set_up(pipe) -> None:
        if device.type == "cuda":
            pipe.enable_sequential_cpu_offload(device=device)
            return
        for part in pipe.components.values():
            if isinstance(part, torch.nn.Module):
                accelerate.cpu_offload(part, CPU, offload_buffers=bool(part._parameters))

    check(build, set_up, device)


GROUPS = {
    "block_level": {"offload_type": "block_level", "num_blocks_per_group": 1},
    "pairs_of_blocks": {"offload_type": "block_level", "num_blocks_per_group": 2},
    "leaf_level": {"offload_type": "leaf_level"},
}
STREAMS = {
    "no stream": {},
    "stream": {"use_stream": True},
    "stream, recorded": {"use_stream": True, "record_stream": True},
    "stream, low CPU memory": {"use_stream": True, "low_cpu_mem_usage": True},
}


@builds
@pytest.mark.parametrize("streams", STREAMS)
@pytest.mark.parametrize("group", GROUPS)
def test_group_offloading(build, group, streams, device):
    more = STREAMS[streams]
    if more and device.type != "cuda":
        pytest.skip("a CPU has no streams")
    if more and group == "pairs_of_blocks":
        pytest.skip("diffusers takes one block a group where there are streams")

    def set_up(pipe) -> None:
        for name, part in pipe.components.items():
            if isinstance(part, torch.nn.Module) and name != "transformer":
                part.to(device)
        pipe.transformer.enable_group_offload(device, CPU, **GROUPS[group], **more)

    check(build, set_up, device)


@builds
def test_layerwise_casting(build, device):
    def set_up(pipe) -> None:
        pipe.to(device)
        pipe.transformer.enable_layerwise_casting(torch.float8_e4m3fn, torch.float32)

    check(build, set_up, device)


@pytest.mark.parametrize("build", [wan21_t2v, hunyuan_t2v, cogvideox])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(build, dtype, device):
    def halved() -> Tiny:
        tiny = build()
        given = {
            name: moved(value, device, dtype) if name.endswith("prompt_embeds") else value
            for name, value in tiny.arguments.items()
        }
        return replace(tiny, arguments=given)

    check(halved, lambda pipe: pipe.to(device, dtype), device)


@builds
@pytest.mark.parametrize("offload", ["none", "block_level", "leaf_level"])
def test_lora(build, offload, device):
    pytest.importorskip("peft")
    from tests.pipelines.test_works_with import lora

    weights = lora(build)

    def set_up(pipe) -> None:
        pipe.to(device)
        if offload != "none":
            pipe.transformer.to(CPU)
            pipe.transformer.enable_group_offload(device, CPU, **GROUPS[offload])
        pipe.load_lora_weights(dict(weights), adapter_name="ours")

    check(build, set_up, device)
