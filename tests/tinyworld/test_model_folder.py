import json
import shutil

import pytest
from safetensors.torch import load_file, save_file

from bwcache.models import ModelError
from bwcache.tinyworld.load import PARTS, load

TRANSFORMER = "transformer/diffusion_pytorch_model.safetensors"


@pytest.fixture
def copy(model, tmp_path):
    return shutil.copytree(model, tmp_path / "tinyworld")


def test_the_folder_has_diffusers_layout(model):
    index = json.loads((model / "model_index.json").read_text())
    assert index["_class_name"] == "WanPipeline"
    assert set(PARTS) <= set(index)
    assert not list(model.rglob("*.bin"))
    assert not list(model.rglob("*.pt"))


def refused(folder) -> str:
    with pytest.raises(ModelError) as caught:
        load(folder)
    message = str(caught.value)
    assert "\n" not in message
    assert "git checkout" in message
    return message


def test_a_missing_folder_is_named(tmp_path):
    assert str(tmp_path / "nowhere") in refused(tmp_path / "nowhere")


@pytest.mark.parametrize("part", PARTS)
def test_a_missing_file_is_named(copy, part):
    (copy / part / PARTS[part][1]).unlink()
    assert str(copy / part / PARTS[part][1]) in refused(copy)


@pytest.mark.parametrize("part", PARTS)
def test_a_cut_off_file_is_named(copy, part):
    path = copy / part / PARTS[part][1]
    path.write_bytes(path.read_bytes()[:100])
    assert str(path) in refused(copy)


@pytest.mark.parametrize("part", ["text_encoder", "transformer", "vae"])
def test_a_missing_or_damaged_config_is_refused(copy, part):
    (copy / part / "config.json").write_text("{")
    assert str(copy / part) in refused(copy)
    (copy / part / "config.json").unlink()
    assert str(copy / part) in refused(copy)


@pytest.mark.parametrize("part", ["text_encoder", "transformer", "vae"])
def test_an_absent_weight_is_not_filled_with_random_numbers(copy, part):
    path = copy / part / PARTS[part][1]
    weights = load_file(path)
    weights.pop(next(iter(weights)))
    save_file(weights, path, metadata={"format": "pt"})
    assert "absent" in refused(copy)
