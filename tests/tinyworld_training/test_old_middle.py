"""Training steps with an earlier step's middle blocks, and the recipe that has them."""

import json
import subprocess

import pytest
import torch
from safetensors.torch import load_file

from bwcache.files import ASSETS
from bwcache.tinyworld.load import load
from bwcache.tinyworld.long_skips import LongSkipWanTransformer3DModel
from bwcache.tinyworld.transformer import build_transformer
from bwcache.tinyworld_training import recipe, transformer
from bwcache.tinyworld_training.export import averaged, export
from bwcache.tinyworld_training.old_middle import (
    Noised,
    blocks_anew,
    earlier,
    velocity_with_old_middle,
)

from .conftest import flow_trainer

SKIPS = ("--layers", "4", "--long-skips", "2", "--old-middle", "0.5")


def bfloat16() -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16)


def noised(transformer, seed: int, sigma: float) -> Noised:
    generator = torch.Generator().manual_seed(seed)
    shape = (2, transformer.config.in_channels, 2, 3, 3)
    return Noised(torch.randn(shape, generator=generator), torch.full((2,), sigma))


@pytest.fixture
def small():
    torch.manual_seed(0)
    made = build_transformer(layers=6, heads=1, z_dim=4, text_dim=16, long_skips=2)
    for block in made.blocks[-2:]:
        torch.nn.init.normal_(block.skip_projection.weight, std=0.1)
    return made


TEXT = torch.ones(2, 3, 16)


def test_a_middle_of_the_same_moment_changes_nothing(small):
    now = noised(small, 1, 0.4)
    whole = small(now.latents, now.sigma * 1000, TEXT)[0]
    for anew in (1, 2):
        same = velocity_with_old_middle(small, now, now, TEXT, anew, torch.enable_grad)
        assert torch.equal(same, whole)


def test_an_old_middle_gives_no_gradients_and_the_rest_does_in_bfloat16(small):
    """Each block that is computed anew learns, and no other."""
    now, before = noised(small, 1, 0.4), noised(small, 2, 0.5)
    velocity_with_old_middle(
        small, now, before, TEXT, 1, bfloat16
    ).float().square().sum().backward()
    for name, parameter in small.named_parameters():
        middle = any(name.startswith(f"blocks.{place}.") for place in range(1, 5))
        assert (parameter.grad is None) == middle, name
    assert small.blocks[5].skip_projection.weight.grad.abs().max() > 0
    assert small.blocks[0].ffn.net[2].weight.grad.abs().max() > 0


def test_which_steps_have_an_old_middle():
    anew = [blocks_anew(step, 0.4, 3) for step in range(30)]
    assert sum(one > 0 for one in anew) == 12
    assert [one for one in anew if one] == [1, 1, 1, 2, 1, 3] * 2
    assert not any(blocks_anew(step, 0.0, 3) for step in range(30))
    assert all(blocks_anew(step, 1.0, 3) for step in range(30))


def test_earlier_noise_is_that_of_one_to_three_sampling_steps_before():
    scheduler = load(ASSETS / "tinyworld").scheduler
    scheduler.set_timesteps(30)
    sigmas = scheduler.sigmas[:-1]
    found = earlier(sigmas, torch.Generator().manual_seed(0))
    distance = [
        int((sigmas[: place + 1] - one).abs().argmin()) - place for place, one in enumerate(found)
    ]
    assert set(distance[3:]) == {-1, -2, -3}
    assert (
        found[3:] - sigmas[[place + d for place, d in enumerate(distance)][3:]]
    ).abs().max() < 0.01
    assert found.max() <= 1


def test_training_begins_from_a_model_without_skips_and_is_exported(run, codec_folder, tmp_path):
    export(run, codec_folder, tmp_path / "model", clips=1)
    trainer = flow_trainer(
        tmp_path / "new", codec_folder, "--init", str(tmp_path / "model"), *SKIPS
    )
    trainer.run()
    export(tmp_path / "new", codec_folder, tmp_path / "skipping", clips=1)
    loaded = load(tmp_path / "skipping").transformer
    assert isinstance(loaded, LongSkipWanTransformer3DModel)
    assert loaded.config.long_skips == 2
    assert all(block.skip_projection.weight.abs().max() > 0 for block in loaded.blocks[-2:])
    index = json.loads((tmp_path / "skipping" / "model_index.json").read_text())
    card = (tmp_path / "skipping" / "README.md").read_text()
    assert "# TinyWorld with long skips" in card
    assert "last 2 blocks" in card
    assert "unchanged" not in (card.split("WanTransformer3DModel")[1])
    assert index["transformer"] == [LongSkipWanTransformer3DModel.__module__, type(loaded).__name__]
    again = flow_trainer(
        tmp_path / "again", codec_folder, "--init", str(tmp_path / "skipping"), "--layers", "4"
    )
    assert again.model["transformer"].config.long_skips == 2


def test_a_resumed_run_with_old_middles_equals_one_without_a_stop(codec_folder, tmp_path):
    straight = flow_trainer(tmp_path / "straight", codec_folder, *SKIPS)
    straight.run()
    first = flow_trainer(tmp_path / "stopped", codec_folder, *SKIPS)
    for _ in range(2):
        first.train_step()
        first.step += 1
    first.save()
    second = flow_trainer(tmp_path / "stopped", codec_folder, *SKIPS)
    assert second.load()
    second.run()
    pairs = zip(second.model.parameters(), straight.model.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (["--long-skips", "5"], "--long-skips: 5 given, allowed is 0 to 4"),
        (["--old-middle", "0.4"], "add --long-skips"),
        (["--long-skips", "3", "--old-middle", "1.5"], "allowed is 0 to 1"),
        (["--skips-alone"], "--skips-alone: add --init"),
    ],
)
def test_what_cannot_be_trained_is_refused(given, named, tmp_path, capsys):
    shipped = ["--init", str(ASSETS / "tinyworld"), "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as ended:
        transformer.main([*shipped, *given])
    assert ended.value.code == 2
    assert named in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_recipe_begins_from_the_shipped_weights(tmp_path):
    for small in (True, False):
        commands = recipe.skip_commands(tmp_path, 5, small)
        assert [command for command, *_ in commands] == ["train", "export", "check", "export"]
        args = transformer.parser().parse_args(commands[0][1:])
        assert (args.init, args.long_skips) == (ASSETS / "tinyworld", 3)
        assert 0 < args.old_middle <= 1
        assert args.minutes == 5
        assert args.skips_alone


def test_a_recipe_ends_at_the_command_that_fails(monkeypatch, tmp_path):
    ran, statuses = [], {"export": 3}

    def run(command):
        ran.append(command[3])
        return subprocess.CompletedProcess(command, statuses.get(command[3], 0))

    monkeypatch.setattr(recipe.subprocess, "run", run)
    assert recipe.main(["long-skips", "--out", str(tmp_path), "--small"]) == 3
    assert ran == ["train", "export"]
    ran.clear()
    statuses = {"check": 1}  # goals are missed: that is told, and written down
    assert recipe.main(["long-skips", "--out", str(tmp_path), "--small"]) == 1
    assert ran == ["train", "export", "check", "export"]
    with pytest.raises(SystemExit) as ended:
        recipe.main(["long-skips", "--out", str(tmp_path), "--minutes", "0"])
    assert ended.value.code == 2


def test_two_steps_from_the_shipped_weights_change_the_skips_alone(tmp_path):
    command = recipe.skip_commands(tmp_path, 5, small=True)[0][1:]
    transformer.main(command)
    state = torch.load(tmp_path / "run" / transformer.CHECKPOINT, weights_only=True)
    weights = load_file(ASSETS / "tinyworld" / transformer.WEIGHTS["transformer"])
    trained = averaged(state, "transformer")
    assert {name for name in trained if name not in weights} == {
        f"blocks.{place}.skip_projection.{part}"
        for place in (5, 6, 7)
        for part in ("weight", "bias")
    }
    for name, weight in weights.items():
        torch.testing.assert_close(trained[name], weight, msg=name)
    assert trained["blocks.7.skip_projection.weight"].abs().max() > 0


def test_skips_that_are_nothing_yet_are_as_far_off_as_an_old_middle_is(tmp_path):
    """Where nothing is old the model is its teacher: no loss. Elsewhere there is one."""
    shipped = ["--init", str(ASSETS / "tinyworld"), "--out", str(tmp_path), "--no-muon"]
    alone = ["--long-skips", "3", "--skips-alone", "--batch", "1", "--noises", "1"]
    for share, alike in (("0", True), ("1", False)):
        args = transformer.parser().parse_args([*shipped, *alone, "--old-middle", share])
        trainer = transformer.FlowTrainer(args)
        assert (float(trainer.train_step()) < 1e-9) == alike
