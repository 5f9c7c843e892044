import json

import numpy as np
import pytest
import torch
from PIL import Image

from bwcache.files import ASSETS
from bwcache.models import find
from bwcache.tinyworld.load import PARTS, load
from bwcache.tinyworld_training import autoencoder, check, contact_sheet, transformer
from bwcache.tinyworld_training.__main__ import main
from bwcache.tinyworld_training.check import generate
from bwcache.tinyworld_training.contact_sheet import GAP, sheet, strip
from bwcache.tinyworld_training.export import averaged, export
from bwcache.tinyworld_training.recipe import gpu_commands
from bwcache.tinyworld_training.transformer import CHECKPOINT


def test_what_is_exported_is_what_loads(run, codec_folder, tmp_path):
    export(run, codec_folder, tmp_path / "model", clips=1)
    pipe = load(tmp_path / "model")
    state = torch.load(run / CHECKPOINT, weights_only=True)
    for part in ("transformer", "text_encoder"):
        loaded = getattr(pipe, part).state_dict()
        for name, value in averaged(state, part).items():
            assert torch.equal(loaded[name], value), name
    index = json.loads((tmp_path / "model" / "model_index.json").read_text())
    assert set(PARTS) <= set(index)
    assert not list(tmp_path.rglob("*.pt"))


def test_parts_that_a_relative_has_byte_for_byte_are_left_out(run, codec_folder, tmp_path):
    whole, model = tmp_path / "whole", tmp_path / "model"
    export(run, codec_folder, whole, clips=1)
    scheduler = whole / "scheduler" / "scheduler_config.json"
    scheduler.write_text(scheduler.read_text() + "\n")
    export(run, codec_folder, model, clips=1, relative=whole)
    assert {path.name for path in model.iterdir() if path.is_dir()} == {"transformer", "scheduler"}
    card = " ".join((model / "README.md").read_text().split())
    assert "This folder lacks text_encoder, tokenizer, vae: they are TinyWorld's" in card
    assert "lacks" not in (whole / "README.md").read_text()
    one, other = load(model, whole), load(whole)
    for part in ("transformer", "text_encoder", "vae"):
        pairs = zip(getattr(one, part).parameters(), getattr(other, part).parameters(), strict=True)
        assert all(torch.equal(*pair) for pair in pairs)


def test_compiled_names_are_put_right():
    state = {"ema": {"module.transformer.blocks.0._orig_mod.ffn.weight": 1, "n_averaged": 2}}
    assert averaged(state, "transformer") == {"blocks.0.ffn.weight": 1}


def test_exporting_again_replaces_the_folder_whole(run, codec_folder, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "stray").touch()
    export(run, codec_folder, folder, clips=1)
    assert not (folder / "stray").exists()
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]


def test_the_card_states_only_what_was_measured(run, codec_folder, tmp_path):
    export(run, codec_folder, tmp_path / "model", clips=1)
    card = (tmp_path / "model" / "README.md").read_text()
    assert "license: apache-2.0" in card
    assert "dB" in card
    assert "| asked for" not in card
    assert "indicator" not in card
    check = {
        "clips": {"one shape": 24, "two shapes": 12},
        "values": {"shape": 0.875},
        "goals": {"shape": 0.95},
        "overlap by word": {"circle": 0.91},
        "outline moves, pixels": 0.25,
        "mistakes": [{"caption": "a red circle still", "shown": "nothing on white"}],
        "settings": {"seed": 0},
    }
    curve = {"prompt": "a red circle still", "steps": 3, "indicator": [None, 0.25, 0.125]}
    export(run, codec_folder, tmp_path / "model", check, curve, ("Note.",), clips=1)
    card = (tmp_path / "model" / "README.md").read_text()
    for line in ("| shape | 0.875 | 0.950 |", "| circle | 0.910 |", "| 1 | 0.2500 |", "- Note.",
                 "| a red circle still | nothing on white |"):  # fmt: skip
        assert line in card


def test_a_clip_does_not_depend_on_its_batch(run, codec_folder, tmp_path):
    export(run, codec_folder, tmp_path / "model", clips=1)
    pipe = load(tmp_path / "model")
    pipe.set_progress_bar_config(disable=True)
    captions, spec = ["a red circle still", "a blue square growing"], find("tinyworld")
    both = generate(pipe, spec, captions, seed=0, num_inference_steps=2)
    assert both.shape == (2, 33, 128, 128, 3)
    alone = generate(pipe, spec, captions[1:], seed=1, num_inference_steps=2)
    assert abs(both[1] - alone[0]).max() < 1e-3


def test_a_contact_sheet_holds_its_pictures():
    clip = np.random.default_rng(0).uniform(0, 1, (9, 8, 8, 3))
    shown = strip(clip, 3)
    assert shown.shape == (8, 24, 3)
    assert np.array_equal(shown[:, 8:16], clip[4])
    paper = np.asarray(sheet([shown] * 3, columns=2))
    assert paper.shape == (2 * 8 + 3 * GAP, 2 * 24 + 3 * GAP, 3)
    assert np.allclose(paper[GAP : GAP + 8, GAP : GAP + 24] / 255, shown, atol=1 / 255)
    assert Image.fromarray(paper).size == (60, 28)


@pytest.fixture
def few_scenes(monkeypatch):
    """One caption of one shape and one of two, and one example."""
    scenes = check.check_scenes()
    for module in (check, contact_sheet):
        monkeypatch.setattr(module, "check_scenes", lambda plain: [scenes[0], scenes[-1]])
    monkeypatch.setattr(contact_sheet, "SEEDS", 1)


def test_the_check_and_the_sheets_are_made_of_a_models_clips(
    few_scenes, run, codec_folder, tmp_path, capsys
):
    export(run, codec_folder, tmp_path / "model", clips=1)
    model = ["--model", str(tmp_path / "model"), "--steps", "1", "--device", "cpu"]
    assert main(["check", *model, "--seeds", "2", "--json", str(tmp_path / "check.json")]) == 1
    assert "2 clips of one shape, 2 of two" in capsys.readouterr().out
    result = json.loads((tmp_path / "check.json").read_text())
    assert result["settings"]["num_inference_steps"] == 1
    assert not result["passed"]
    assert main(["sheet", *model, "--out", str(tmp_path / "sheets")]) == 0
    made = {path.name for path in (tmp_path / "sheets").iterdir()}
    assert made == {"one-shape.png", "one-shape.txt", "two-shapes.png", "two-shapes.txt",
                    "examples.png"}  # fmt: skip


def test_a_model_that_is_missing_is_named(tmp_path, capsys):
    assert main(["check", "--model", str(tmp_path / "nowhere")]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_a_command_that_does_not_exist_is_refused(capsys):
    assert main(["paint"]) == 2
    assert "autoencoder, train, export, check, sheet" in capsys.readouterr().err


def test_no_file_tells_where_it_was_made(run, codec_folder, tmp_path):
    export(run, codec_folder, tmp_path / "model", clips=1)
    for folder in (tmp_path / "model", ASSETS / "tinyworld"):
        for path in folder.rglob("*.json"):
            assert "_name_or_path" not in path.read_text(), path


def test_the_gpu_recipe_is_made_of_commands_that_exist(tmp_path):
    readers = {"autoencoder": autoencoder.parser, "train": transformer.parser}
    for small in (True, False):
        commands = gpu_commands(tmp_path, 20, small)
        assert [command for command, *_ in commands] == [
            "autoencoder", "train", "export", "autoencoder", "export", "check"
        ]  # fmt: skip
        trained = [readers[name]().parse_args(rest) for name, *rest in commands if name in readers]
        assert sum(args.minutes for args in trained) <= 20
        assert {args.device for args in trained} == {"cpu" if small else "cuda"}
