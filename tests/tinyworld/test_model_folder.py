import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from bwcache.models import ModelError, find
from bwcache.tinyworld.load import PARTS, load
from bwcache.tinyworld_training.check import generate
from bwcache.tinyworld_training.export import averaged, export

TRANSFORMER = "transformer/diffusion_pytorch_model.safetensors"

SPEC = find("tinyworld")


@pytest.fixture
def copy(model, tmp_path):
    return shutil.copytree(model, tmp_path / "tinyworld")


def test_what_is_exported_is_what_loads(model, run):
    pipe = load(SPEC, model)
    state = torch.load(run / "checkpoint.pt", weights_only=True)
    for part in ("transformer", "text_encoder"):
        loaded = getattr(pipe, part).state_dict()
        for name, value in averaged(state, part).items():
            assert torch.equal(loaded[name], value), name
    assert torch.equal(pipe.vae.basis, state["codec"]["basis"])
    assert pipe.vae.painter is not None
    assert pipe.scheduler.config.flow_shift == SPEC.scheduler_options["flow_shift"]


def test_compiled_names_are_put_right():
    state = {"ema": {"module.transformer.blocks.0._orig_mod.ffn.weight": 1, "n_averaged": 2}}
    assert averaged(state, "transformer") == {"blocks.0.ffn.weight": 1}


def test_a_loaded_model_makes_clips_that_do_not_depend_on_the_batch(model):
    pipe = load(SPEC, model)
    pipe.set_progress_bar_config(disable=True)
    captions = ["a red circle still", "a blue square growing"]
    both = generate(pipe, SPEC, captions, seed=0, num_inference_steps=2)
    assert both.shape == (2, 17, 64, 64, 3)
    alone = generate(pipe, SPEC, captions[1:], seed=1, num_inference_steps=2)
    assert abs(both[1] - alone[0]).max() < 1e-3


def test_the_folder_has_diffusers_layout(model):
    index = json.loads((model / "model_index.json").read_text())
    assert index["_class_name"] == "WanPipeline"
    assert set(PARTS) <= set(index)
    assert not list(model.rglob("*.bin"))
    assert not list(model.rglob("*.pt"))


def test_the_card_states_only_what_was_measured(model, run, tmp_path):
    card = (model / "README.md").read_text()
    assert "license: apache-2.0" in card
    assert "dB" in card
    assert "captions" not in card
    assert "indicator" not in card
    check = {"captions": 8, "right": {"shape": 0.875}, "goals": {"shape": 0.8}}
    curve = {"prompt": "a red circle", "steps": 3, "indicator": [None, 0.25, 0.125]}
    export(run, None, tmp_path / "again", check, curve)
    card = (tmp_path / "again" / "README.md").read_text()
    assert "| shape | 88% | 80% |" in card
    assert "| 1 | 0.2500 |" in card


def test_exporting_again_replaces_the_folder_whole(copy, run):
    (copy / "stray").touch()
    export(run, None, copy, None, None)
    assert not (copy / "stray").exists()
    assert [path.name for path in copy.parent.iterdir()] == [copy.name]


def refused(folder) -> str:
    with pytest.raises(ModelError) as caught:
        load(SPEC, folder)
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
