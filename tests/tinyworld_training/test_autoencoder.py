import numpy as np
import pytest
import torch

from bwcache.tinyworld.autoencoder import SmoothCodec
from bwcache.tinyworld.world import plan
from bwcache.tinyworld_training.autoencoder import cut, learning_rate, psnr
from bwcache.tinyworld_training.clips import random_scene, video_of
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


def test_encoder_and_decoder_learn_and_later_the_decoder_alone(straight, codec_folder, tmp_path):
    fresh = codec_trainer(tmp_path / "fresh").codec.state_dict()
    assert not any(torch.equal(v, fresh[n]) for n, v in straight.codec.state_dict().items())
    later = codec_trainer(tmp_path / "later", "--init", str(codec_folder))
    given = {n: value.clone() for n, value in later.codec.state_dict().items()}
    later.train_step()
    same = {n for n, value in later.codec.state_dict().items() if torch.equal(value, given[n])}
    assert same == {n for n in given if n.startswith("encoder.")}


def test_training_starts_from_a_finished_autoencoder(codec_folder, tmp_path):
    trainer = codec_trainer(tmp_path, "--init", str(codec_folder))
    given = SmoothCodec.from_pretrained(codec_folder)
    for one, other in zip(trainer.codec.parameters(), given.parameters(), strict=True):
        assert torch.equal(one, other)
    assert trainer.finished().config.latents_std == given.config.latents_std


def test_the_decoder_learns_from_a_models_own_errors(run, codec_folder, tmp_path):
    export(run, codec_folder, tmp_path / "model", clips=1)
    trainer = codec_trainer(
        tmp_path, "--init", str(codec_folder), "--transformer", str(tmp_path / "model")
    )
    trainer.step = 1
    assert trainer.train_step() > 0
    latents = torch.randn(1, 4, 5, 8, 8)
    generator = torch.Generator().manual_seed(0)
    denoised = trainer.denoised(latents, ["a red circle still"], generator)
    assert denoised.shape == latents.shape
    assert not torch.equal(denoised, latents)


def test_bfloat16_trains_the_same_shapes(codec_folder, tmp_path):
    """What a GPU does, on the processor."""
    exact = codec_trainer(tmp_path / "exact", "--init", str(codec_folder)).train_step().item()
    trainer = codec_trainer(tmp_path, "--init", str(codec_folder), "--bfloat16")
    assert trainer.train_step().item() == pytest.approx(exact, rel=0.1)
    assert all(p.dtype == torch.float32 for p in trainer.codec.parameters())


def test_what_is_cut_from_latents_and_video_is_the_same_place():
    place = torch.arange(64.0).view(1, 1, 1, 8, 8)
    video = place.repeat_interleave(16, 3).repeat_interleave(16, 4)
    rng = np.random.default_rng(0)
    corners = set()
    for _ in range(60):
        part, picture = cut(place, video, 3, rng)
        assert part.shape == (1, 1, 1, 3, 3)
        assert torch.equal(picture[..., ::16, ::16], part)
        corners.add(float(part[0, 0, 0, 0, 0]))
    assert len(corners) > 8


def test_most_cuts_show_an_outline():
    latents = torch.zeros(100, 2, 1, 8, 8)
    latents[:, :, :, 6, 6] = 1
    video = torch.zeros(100, 1, 1, 128, 128)
    parts, _ = cut(latents, video, 2, np.random.default_rng(0))
    assert (parts.amax((1, 2, 3, 4)) > 0).float().mean() > 0.6


def test_the_latents_that_are_kept_have_mean_0_and_variance_1(tmp_path):
    trainer = codec_trainer(tmp_path)
    trainer.scale.momentum = None  # the mean over all that comes
    rng = np.random.default_rng(5)
    video = video_of(plan([random_scene(rng) for _ in range(4)], rng))
    trainer.latents(video)
    codec = trainer.finished()
    latents = codec.normalise(codec.encode(video))
    torch.testing.assert_close(latents.mean((0, 2, 3, 4)), torch.zeros(4), atol=1e-3, rtol=0)
    torch.testing.assert_close(latents.std((0, 2, 3, 4)), torch.ones(4), atol=1e-2, rtol=0)


def test_the_rate_warms_up_stays_and_falls():
    assert learning_rate(0, 0.0) < 0.1
    assert learning_rate(200, 0.4) == 1
    assert learning_rate(200, 0.75) == pytest.approx(0.5)
    assert learning_rate(200, 1.0) == pytest.approx(0.02)


def test_decibels_of_an_untrained_decoder_are_few(codec_folder):
    assert 0 < psnr(SmoothCodec.from_pretrained(codec_folder), 0.0, clips=1) < 30
