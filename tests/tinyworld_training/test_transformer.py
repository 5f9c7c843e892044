"""Training goes on where it stopped, step for step, and from the weights of a model."""

import json

import pytest
import torch
from safetensors.torch import load_file

from bwcache.files import ASSETS
from bwcache.tinyworld_training import transformer
from bwcache.tinyworld_training.export import averaged, export
from bwcache.tinyworld_training.transformer import learning_rate, sample_sigmas, take_over

from .conftest import flow_trainer


@pytest.fixture(scope="module")
def straight(codec_folder, tmp_path_factory):
    made = flow_trainer(tmp_path_factory.mktemp("straight"), codec_folder)
    made.run()
    return made


def test_a_resumed_run_equals_one_without_a_stop(straight, codec_folder, tmp_path):
    first = flow_trainer(tmp_path, codec_folder)
    for _ in range(2):
        first.train_step()
        first.step += 1
    first.save()
    second = flow_trainer(tmp_path, codec_folder)
    assert second.load()
    assert second.step == 2
    second.run()
    pairs = zip(second.model.parameters(), straight.model.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_minutes_that_are_up_still_save(codec_folder, tmp_path):
    stopped = flow_trainer(tmp_path, codec_folder, "--minutes", "0")
    stopped.run()
    assert flow_trainer(tmp_path, codec_folder).load()
    assert not flow_trainer(tmp_path / "elsewhere", codec_folder).load()


def test_everything_is_trained(straight, codec_folder, tmp_path):
    fresh = flow_trainer(tmp_path, codec_folder)
    pairs = zip(fresh.model.named_parameters(), straight.model.parameters(), strict=True)
    still = [name for (name, one), other in pairs if torch.equal(one, other)]
    assert not still


def test_training_starts_from_a_models_weights(run, codec_folder, tmp_path):
    folder = tmp_path / "model"
    export(run, codec_folder, folder, clips=1)
    trainer = flow_trainer(tmp_path / "new", codec_folder, "--init", str(folder))
    weights = load_file(folder / transformer.WEIGHTS["transformer"])
    for name, parameter in trainer.model["transformer"].named_parameters():
        assert torch.equal(parameter, weights[name]), name
    assert trainer.train_step() > 0


def test_training_goes_on_from_the_shipped_weights(codec_folder, tmp_path):
    """Whatever its latents are: what fits is taken, in the size that the model has."""
    shipped = ASSETS / "tinyworld"
    args = ["--init", str(shipped), "--codec", str(codec_folder), "--out", str(tmp_path),
            "--steps", "2", "--batch", "1", "--noises", "1", "--device", "cpu"]  # fmt: skip
    transformer.main(args)
    state = torch.load(tmp_path / transformer.CHECKPOINT, weights_only=True)
    assert state["step"] == 2
    weights = load_file(shipped / transformer.WEIGHTS["transformer"])
    trained = averaged(state, "transformer")
    assert trained.keys() == weights.keys()
    name = "blocks.3.attn1.to_q.weight"
    torch.testing.assert_close(trained[name], weights[name], atol=1e-2, rtol=0)


def test_an_autoencoder_must_be_given(capsys):
    with pytest.raises(SystemExit):
        transformer.main(["--steps", "1"])
    assert "--codec" in capsys.readouterr().err


def test_the_history_of_the_weights_is_kept(run, codec_folder, tmp_path):
    export(run, codec_folder, tmp_path / "model", clips=1)
    transformer.main(
        ["--out", str(tmp_path / "new"), "--init", str(tmp_path / "model"), "--batch", "1",
         "--steps", "1", "--device", "cpu"]
    )  # fmt: skip
    export(tmp_path / "new", codec_folder, tmp_path / "again", clips=1)
    history = json.loads((tmp_path / "again" / transformer.HISTORY).read_text())
    assert [one["steps"] for one in history] == [0, 1]


def test_a_larger_model_begins_as_the_smaller_one(run, codec_folder, tmp_path):
    """Blocks that are new add nothing at first."""
    export(run, codec_folder, tmp_path / "model", clips=1)
    small = flow_trainer(tmp_path / "a", codec_folder, "--init", str(tmp_path / "model"))
    large = flow_trainer(tmp_path / "b", codec_folder, "--init", str(tmp_path / "model"),
                         "--layers", "2", "--text-layers", "2")  # fmt: skip
    clips, captions, _ = small.batch()
    latents = small.latents(clips)
    outputs = []
    for trainer in (small, large):
        text = transformer.encode(trainer.tokenizer, trainer.model["text_encoder"], captions)
        sigma = torch.tensor([500.0])
        outputs.append(trainer.model["transformer"](latents, sigma, text, return_dict=False)[0])
    torch.testing.assert_close(*outputs)


def test_fewer_latent_channels_take_the_first():
    model = torch.nn.Linear(2, 3)
    source = {"weight": torch.arange(20.0).view(4, 5), "bias": torch.ones(4)}
    assert take_over(model, source) == []
    assert torch.equal(model.weight, source["weight"][:3, :2])
    assert take_over(model, {}) == ["weight", "bias"]


def test_the_rate_warms_up_stays_and_falls_to_zero():
    assert learning_rate(0, 0.0) < 0.1
    assert learning_rate(200, 0.3) == 1
    assert learning_rate(200, 0.8) == pytest.approx(0.5)
    assert learning_rate(200, 1.0) == 0


def test_noise_levels_cover_a_batch_evenly_and_lie_near_noise():
    sigma = sample_sigmas(400, torch.Generator().manual_seed(0))
    assert 0 < sigma.min() < sigma.max() < 1
    assert 0.6 < sigma.mean() < 0.8
    halves = [sample_sigmas(2, torch.Generator().manual_seed(seed)) for seed in range(20)]
    assert all(pair.min() < 0.75 < pair.max() for pair in halves)


def test_bfloat16_trains_the_same_shapes(codec_folder, tmp_path):
    """What a GPU does, on the processor."""
    trainer = flow_trainer(tmp_path, codec_folder, "--bfloat16")
    loss = trainer.train_step().item()
    exact = flow_trainer(tmp_path / "exact", codec_folder).train_step().item()
    assert loss == pytest.approx(exact, rel=0.05)
    assert all(p.dtype == torch.float32 for p in trainer.model.parameters())
    trainer.save()
    assert flow_trainer(tmp_path, codec_folder, "--bfloat16").load()
