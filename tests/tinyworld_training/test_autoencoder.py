import pytest
import torch

from bwcache.tinyworld_training.autoencoder import fitted_codec, psnr
from bwcache.tinyworld_training.export import export

from .conftest import codec_trainer


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    made = codec_trainer(tmp_path_factory.mktemp("straight"), "--steps", "3")
    made.run()
    return made


def test_a_resumed_run_equals_one_without_a_stop(straight, tmp_path):
    first = codec_trainer(tmp_path, "--steps", "3")
    first.train_step()
    first.step = 1
    first.save()
    second = codec_trainer(tmp_path, "--steps", "3")
    assert second.load()
    second.run()
    pairs = zip(second.codec.parameters(), straight.codec.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_encoder_and_decoder_learn_and_the_principal_components_stay(straight, tmp_path):
    fresh = codec_trainer(tmp_path)
    same = {
        name
        for (name, one), other in zip(
            fresh.codec.named_parameters(), straight.codec.parameters(), strict=True
        )
        if torch.equal(one, other)
    }
    assert same == {"mean", "basis"}


def test_the_decoder_alone_leaves_latents_as_they_are(codec_folder, tmp_path):
    trainer = codec_trainer(tmp_path, "--decoder", "--init", str(codec_folder))
    before = {name: p.clone() for name, p in trainer.codec.named_parameters()}
    config = trainer.codec.config
    trainer.train_step()
    moved = {n for n, p in trainer.codec.named_parameters() if not torch.equal(p, before[n])}
    assert moved
    assert all(name.startswith("decoder.") for name in moved)
    finished = trainer.finished()
    assert finished.config.latents_std == pytest.approx(config.latents_std)
    assert finished.config.latents_mean == pytest.approx(config.latents_mean)


def test_the_decoder_learns_from_a_models_own_errors(run, codec_folder, tmp_path):
    export(run, codec_folder, tmp_path / "model", clips=1)
    trainer = codec_trainer(tmp_path, "--decoder", "--init", str(codec_folder),
                            "--transformer", str(tmp_path / "model"), "--crop", "8")  # fmt: skip
    trainer.step = 1
    assert trainer.train_step() > 0
    latents = torch.randn(1, 4, 5, 8, 8)
    generator = torch.Generator().manual_seed(0)
    denoised = trainer._denoised(latents, ["a red circle still"], generator)
    assert denoised.shape == latents.shape
    assert not torch.equal(denoised, latents)


def test_latents_have_unit_mean_square_and_coarse_parts_are_stronger():
    codec = fitted_codec(4, 0, 4, seed=0)
    import numpy as np

    from bwcache.tinyworld_training.autoencoder import random_scene, video_of

    rng = np.random.default_rng(5)
    latents = torch.cat([codec.normalise(codec.encode(video_of([random_scene(rng)], rng)))
                         for _ in range(24)])  # fmt: skip
    spread = latents.square().mean((0, 2, 3, 4)).sqrt()
    assert 0.6 < float(spread.square().mean()) < 1.5
    assert spread[0] > spread[3]


def test_decibels_of_an_untrained_decoder_are_few(codec_folder):
    from bwcache.tinyworld.autoencoder import SmoothCodec

    assert 0 < psnr(SmoothCodec.from_pretrained(codec_folder), 0.0, clips=1) < 30
