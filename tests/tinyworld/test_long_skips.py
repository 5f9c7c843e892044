"""TinyWorld's transformer with long skips: what it computes, and that it is kept and loaded."""

import shutil

import pytest
import torch

from bwcache import SkipCacheConfig, cached
from bwcache.cache.block_gate import in_calling_order
from bwcache.cache.find_blocks import stack_of
from bwcache.files import ASSETS
from bwcache.models import ModelError, find, loading
from bwcache.models.call import call_arguments
from bwcache.tinyworld.load import load
from bwcache.tinyworld.long_skips import LongSkipBlock, LongSkipWanTransformer3DModel
from bwcache.tinyworld.transformer import build_transformer, transformer_class
from bwcache.tinyworld_training.transformer import take_over


def given(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Latents of two clips, their timesteps and texts."""
    generator = torch.Generator().manual_seed(seed)
    latents = torch.randn(2, 12, 3, 4, 6, generator=generator)
    return latents, torch.tensor([700.0, 20.0]), torch.randn(2, 24, 128, generator=generator)


@pytest.fixture(scope="module")
def shipped():
    return load(ASSETS / "tinyworld").transformer


@pytest.fixture
def skipping(shipped):
    """The shipped weights, and skips that add nothing."""
    transformer = build_transformer(long_skips=3).eval()
    with torch.no_grad():
        left = take_over(transformer, shipped.state_dict())
    assert len(left) == 6
    assert all("skip_projection" in name for name in left)
    return transformer


def test_the_catalogues_model_loads_and_skip_cache_computes_its_ends_alone():
    pipe = loading.load("tinyworld-skip", "cpu")
    call = call_arguments(find("tinyworld-skip"), "a red circle still on a white background", 0, 4)
    with cached(pipe, SkipCacheConfig(2)) as run:
        frames = pipe(**call).frames[0]
    assert [step.blocks for step in run.trace.steps] == ["CCCCCCCC", "CrrrrrrC"] * 2
    assert frames.shape == (33, 128, 128, 3)
    red, green, blue = frames[16, 64, 64]
    assert red > 0.6 > max(green, blue)  # it draws what it is asked for


def test_a_folder_without_some_parts_has_them_of_another(skipping, tmp_path):
    skipping.save_pretrained(tmp_path / "transformer")
    own = ASSETS / "tinyworld"
    pipe = load(tmp_path, own)
    assert pipe.transformer.config.long_skips == 3
    other = load(own)
    pairs = zip(pipe.vae.parameters(), other.vae.parameters(), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)
    assert pipe.scheduler.config == other.scheduler.config
    for relative in (None, tmp_path):
        with pytest.raises(ModelError, match=str(tmp_path / "tokenizer")):
            load(tmp_path, relative)
    shutil.rmtree(tmp_path / "transformer")
    with pytest.raises(ModelError, match=str(tmp_path / "transformer")):
        load(tmp_path, own)
    (tmp_path / "vae").mkdir()  # a part that is begun is its own, and damaged
    skipping.save_pretrained(tmp_path / "transformer")
    with pytest.raises(ModelError, match=str(tmp_path / "vae")):
        load(tmp_path, own)


@torch.no_grad()
def test_it_begins_as_what_it_was_begun_from_to_the_last_bit(shipped, skipping):
    assert torch.equal(skipping(*given())[0], shipped(*given())[0])
    assert torch.equal(skipping(*given()).sample, skipping(*given(), return_dict=False)[0])


@torch.no_grad()
def test_each_late_block_takes_what_its_mirror_image_gave(skipping):
    gave, took = {}, {}
    for place, block in enumerate(skipping.blocks):
        block.register_forward_hook(lambda _, args, out, place=place: gave.update({place: out}))
        if isinstance(block, LongSkipBlock):
            block.register_forward_pre_hook(
                lambda _, args, place=place: took.update({place: args[4]})
            )
    skipping(*given())
    assert sorted(took) == [5, 6, 7]
    assert all(took[place] is gave[7 - place] for place in took)


@torch.no_grad()
def test_a_skip_that_has_weight_matters(skipping):
    before = skipping(*given())[0]
    torch.nn.init.normal_(skipping.blocks[7].skip_projection.weight[:, 160:], std=0.05)
    assert not torch.allclose(skipping(*given())[0], before, atol=1e-3)


def test_what_is_saved_is_what_loads(skipping, shipped, tmp_path):
    skipping.save_pretrained(tmp_path / "skipping")
    shipped.save_pretrained(tmp_path / "shipped")
    assert transformer_class(tmp_path / "shipped") is type(shipped)
    kind = transformer_class(tmp_path / "skipping")
    assert kind is LongSkipWanTransformer3DModel
    loaded = kind.from_pretrained(tmp_path / "skipping")
    assert loaded.config.long_skips == 3
    assert loaded.config.rope_max_seq_len == 32
    for name, weight in skipping.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], weight), name


def test_its_blocks_are_one_stack(skipping):
    stack = stack_of(skipping, None)
    assert stack.streams == ("hidden_states",)
    assert in_calling_order(skipping, stack) == list(skipping.blocks)


@pytest.mark.parametrize("skips", [-1, 5])
def test_more_skips_than_half_the_blocks_are_refused(skips):
    with pytest.raises(ValueError, match="long_skips"):
        build_transformer(long_skips=skips)


def test_what_it_does_not_take_is_refused(skipping):
    with pytest.raises(ValueError, match="attention_kwargs"):
        skipping(*given(), attention_kwargs={"scale": 0.5})
