import numpy as np
import torch

from bwcache.tinyworld.codec import PatchCodec, fit, from_patches, to_patches
from bwcache.tinyworld.scenes import held_out_scenes
from bwcache.tinyworld_training.clips import video_of
from bwcache.tinyworld_training.painter import psnr


def test_patches_come_back_as_the_video():
    video = torch.rand(2, 3, 9, 16, 24)
    patches = to_patches(video)
    assert patches.shape == (2, 3, 2, 3, 768)
    back = from_patches(patches)
    assert torch.equal(back[:, :, 3:], video)
    assert torch.equal(back[:, :, :3], video[:, :, :1].expand(-1, -1, 3, -1, -1))


def test_the_linear_codec_keeps_unseen_clips(codec):
    assert psnr(codec, 0.0, clips=6) > 26


def test_latents_are_normalised(codec):
    video = video_of(held_out_scenes(16), np.random.default_rng(2))
    latents = codec.encode_normalised(video)
    assert latents.shape == (16, 32, 5, 8, 8)
    assert 0.8 < float(latents.square().mean()) < 1.2


def test_the_first_latent_holds_the_first_frame_alone(codec):
    video = video_of(held_out_scenes(1), np.random.default_rng(2))
    still = video[:, :, :1].expand_as(video)
    both = [codec.encode_normalised(v)[:, :, 0] for v in (video, still)]
    torch.testing.assert_close(*both)


def test_fit_keeps_more_with_more_components():
    torch.manual_seed(0)
    patches = torch.randn(400, 4) @ torch.randn(4, 768)
    assert fit(patches, z_dim=2)[1] < 0.95
    assert fit(patches, z_dim=4)[1] > 0.999


def test_an_untrained_painter_paints_the_nearest_colours(painting_codec):
    """Before any training it shows the linear picture in the palette's colours."""
    video = video_of(held_out_scenes(4), np.random.default_rng(2))
    latents = painting_codec.encode_normalised(video)
    painted = painting_codec.paint(latents)[:, :, 3:]
    corner = painted[:, :, :, 0, 0]
    assert torch.allclose(corner, video[:, :, :, 0, 0], atol=0.01)
    assert psnr(painting_codec, 0.0, clips=4) > 28


def test_a_copy_made_from_the_config_keeps_the_scale(codec):
    """Diffusers drops what it takes for a default from such copies."""
    copy = PatchCodec.from_config(codec.config)
    assert copy.config.latents_std == codec.config.latents_std
    assert set(codec.config.latents_std) != {1.0}
