"""What people tried on other caching libraries and found wanting; tried here, and sound."""

import copy
from dataclasses import replace

import pytest
import torch
from diffusers import WanPipeline, WanTransformer3DModel
from torch.utils.flop_counter import FlopCounterMode

from bwcache import BWCacheConfig, QuantCacheConfig, cached
from bwcache.runs.metrics import sound_difference_db
from tests.pipelines.combined import FREELY, actions, check, pattern
from tests.pipelines.zoo_cog_ltx import cogvideox
from tests.pipelines.zoo_hunyuan import hunyuan15_t2v, hunyuan_t2v
from tests.pipelines.zoo_ltx2 import ltx2_t2v
from tests.pipelines.zoo_wan import wan21_t2v, wan_v2v

builds = pytest.mark.parametrize("build", [wan21_t2v, hunyuan_t2v])


@builds
def test_inference_mode(build):
    tiny = build()
    with torch.inference_mode():
        plain = tiny.run()
        with cached(tiny.pipe, BWCacheConfig(0.0)):
            assert torch.equal(tiny.run(), plain)
        with cached(tiny.pipe, FREELY) as run:
            inside = tiny.run()
    assert actions(run) == pattern(6)
    with cached(tiny.pipe, FREELY):
        assert torch.equal(tiny.run(), inside)


@builds
def test_weights_in_int8_by_torchao(build):
    check(build, in_int8)


def in_int8(pipe) -> None:
    quantization = pytest.importorskip("torchao.quantization")  # pip install "bwcache[bench]"
    quantization.quantize_(pipe.transformer, quantization.Int8WeightOnlyConfig())


def test_quantcache_on_weights_in_int8():
    """What its authors do with both: pruning and stretches do not mind how weights are kept."""
    tiny = wan21_t2v()
    full = tiny.run()
    in_int8(tiny.pipe)
    plain = tiny.run()
    assert 0 < (plain - full).abs().max() < 0.1
    with cached(tiny.pipe, QuantCacheConfig(threshold=1e6)) as run:
        first, second = tiny.run(), tiny.run()
    assert run.trace.letters == "CprrrC"
    assert torch.equal(first, second)
    assert not torch.equal(first, plain)
    assert torch.equal(tiny.run(), plain)


@builds
def test_a_copy_made_inside_and_a_pipeline_saved_inside(build, tmp_path):
    tiny = build()
    plain = tiny.run()
    with cached(tiny.pipe, FREELY) as run:
        first = tiny.run()
        other = replace(tiny, pipe=copy.deepcopy(tiny.pipe))
        assert torch.equal(other.run(), plain)
        tiny.pipe.transformer.save_pretrained(tmp_path / "transformer")
        state = tiny.pipe.transformer.state_dict()
        assert torch.equal(tiny.run(), first)
    assert len(run.traces) == 2
    assert torch.equal(tiny.run(), plain)
    assert torch.equal(other.run(), plain)
    again = type(tiny.pipe.transformer).from_pretrained(tmp_path / "transformer").eval()
    assert all(torch.equal(weight, state[name]) for name, weight in again.state_dict().items())
    assert again.state_dict().keys() == state.keys()
    tiny.pipe.transformer = again
    torch.testing.assert_close(tiny.run(), plain)  # read weights may lie otherwise in memory


def test_a_whole_pipeline_saved_inside_is_read_again(tmp_path):
    tiny = wan21_t2v()
    plain = tiny.run()
    with cached(tiny.pipe, FREELY):
        tiny.run()
        tiny.pipe.save_pretrained(tmp_path)
    read = WanPipeline.from_pretrained(tmp_path)
    read.set_progress_bar_config(disable=True)
    torch.testing.assert_close(replace(tiny, pipe=read).run(), plain)


@pytest.mark.parametrize(("strength", "steps"), [(1.0, 8), (0.8, 6), (0.5, 4), (0.25, 2)])
def test_strength_counts_the_steps_that_run(strength, steps):
    tiny = wan_v2v()
    tiny = replace(tiny, arguments={**tiny.arguments, "strength": strength})
    plain = tiny.run()
    with cached(tiny.pipe, BWCacheConfig(0.0)) as run:
        assert torch.equal(tiny.run(), plain)
    assert run.trace.num_steps == len(run.trace.steps) == steps
    with cached(tiny.pipe, FREELY) as run:
        tiny.run()
    assert actions(run) == pattern(steps)


def test_sigmas_of_ones_own():
    tiny = hunyuan_t2v()
    call = {"sigmas": [1.0, 0.9, 0.7, 0.4, 0.1], "num_inference_steps": 5}
    plain = tiny.run(**call)
    with cached(tiny.pipe, BWCacheConfig(0.0)) as run:
        assert torch.equal(tiny.run(**call), plain)
    assert run.trace.num_steps == 5
    with cached(tiny.pipe, FREELY) as run:
        tiny.run(**call)
    assert actions(run) == pattern(5)


def test_several_guiders_of_hunyuanvideo_15():
    from diffusers import AdaptiveProjectedGuidance, ClassifierFreeGuidance, SkipLayerGuidance
    from diffusers.hooks import LayerSkipConfig

    skipping = LayerSkipConfig(indices=[1], fqn="transformer_blocks")
    guiders = {
        "plain": ClassifierFreeGuidance(guidance_scale=3.0),
        "projected": AdaptiveProjectedGuidance(guidance_scale=3.0),
        "skip layer": SkipLayerGuidance(guidance_scale=3.0, skip_layer_config=skipping),
    }
    for name, guider in guiders.items():
        tiny = hunyuan15_t2v()
        tiny.pipe.guider = guider
        plain = tiny.run()
        with cached(tiny.pipe, BWCacheConfig(0.0)) as run:
            assert torch.equal(tiny.run(), plain), name
        assert len(run.trace.steps) == 6
        with cached(tiny.pipe, FREELY) as run:
            assert torch.isfinite(tiny.run()).all()
        assert actions(run) == pattern(6), name
        assert torch.equal(tiny.run(), plain), name


def test_a_modular_pipeline():
    """Its loop calls the transformer by its guider, and ends steps by its scheduler."""
    from diffusers.modular_pipelines.wan import WanBlocks, WanModularPipeline

    tiny = wan21_t2v()
    pipe = WanModularPipeline(blocks=WanBlocks())
    parts = ("tokenizer", "text_encoder", "transformer", "scheduler", "vae")
    pipe.update_components(**{name: getattr(tiny.pipe, name) for name in parts})

    def run_it() -> torch.Tensor:
        return pipe(
            prompt="a red circle",
            height=32,
            width=32,
            num_frames=9,
            num_inference_steps=6,
            output_type="pt",
            generator=torch.Generator().manual_seed(0),
            output="videos",
        )

    plain = run_it()
    with cached(pipe, BWCacheConfig(0.0)) as run:
        assert torch.equal(run_it(), plain)
    assert run.trace.num_steps == len(run.trace.steps) == 6
    with cached(pipe, FREELY) as run:
        run_it()
    assert actions(run) == pattern(6)
    assert torch.equal(run_it(), plain)


def test_a_batched_guidance_pipeline_in_a_batch():
    """Two prompts, two branches each, in one call: measured for each video by itself."""
    tiny = cogvideox()
    with cached(tiny.pipe, BWCacheConfig(0.0)) as run:
        tiny.run(num_videos_per_prompt=2)
    together = run.trace.indicators
    alone = []
    for _ in range(2):
        with cached(tiny.pipe, BWCacheConfig(0.0, indicator_tokens=None)) as run:
            tiny.run()
        alone.append(run.trace.indicators)
    assert all(x is not None for x in together[1:])
    assert max(together[1:]) < 2 * max(alone[0][1:])


def test_thesound_of_ltx_2_is_reused_and_compared_as_the_picture_is():
    from bwcache.runs.generate import sound_of

    tiny = ltx2_t2v()
    whole = replace(tiny, read=lambda output: output)
    plain = sound_of(whole.run())
    with cached(tiny.pipe, BWCacheConfig(0.0)):
        assert sound_difference_db(sound_of(whole.run()), plain) is None
    found = []
    for interval in (1, 3):
        with cached(tiny.pipe, BWCacheConfig(1e6, interval)) as run:
            found.append(sound_difference_db(sound_of(whole.run()), plain))
        assert run.trace.steps_reused
    assert found[0] > found[1]


def test_text_keys_and_values_are_too_little_to_keep():
    """They never change, so they could be kept without loss: 0.05 % of a step of Wan 2.1."""
    with torch.device("meta"):
        transformer = WanTransformer3DModel(num_attention_heads=12, ffn_dim=8960, num_layers=30)
        latents, text = torch.empty(1, 16, 21, 60, 104), torch.empty(1, 512, 4096)
        with FlopCounterMode(display=False) as counted:
            transformer(latents, torch.empty(1), text)
    width = 12 * 128
    text_keys_and_values = 30 * 2 * (2 * 512 * width * width)
    assert text_keys_and_values / counted.get_total_flops() < 1e-3
