"""The first TinyWorld's autoencoder, as far as its weights need it."""

import torch

from bwcache.tinyworld.codec import PatchCodec, fit, from_patches, to_patches


def test_patches_come_back_as_the_video():
    video = torch.rand(2, 3, 9, 16, 24)
    patches = to_patches(video)
    assert patches.shape == (2, 3, 2, 3, 768)
    back = from_patches(patches)
    assert torch.equal(back[:, :, 3:], video)
    assert torch.equal(back[:, :, :3], video[:, :, :1].expand(-1, -1, 3, -1, -1))


def test_fit_keeps_more_with_more_components():
    torch.manual_seed(0)
    patches = torch.randn(400, 4) @ torch.randn(4, 768)
    assert fit(patches, z_dim=2)[1] < 0.95
    assert fit(patches, z_dim=4)[1] > 0.999


def test_a_painter_decodes_whole_clips():
    codec = PatchCodec(painter_width=8).eval()
    decoded = codec.decode(torch.randn(1, 32, 3, 2, 2)).sample
    assert decoded.shape == (1, 3, 9, 16, 16)
    assert decoded.abs().max() <= 1


def test_a_copy_made_from_the_config_keeps_the_scale():
    """Diffusers drops what it takes for a default from such copies."""
    torch.manual_seed(0)
    codec = fit(torch.randn(900, 768))[0]
    copy = PatchCodec.from_config(codec.config)
    assert copy.config.latents_std == codec.config.latents_std
    assert set(codec.config.latents_std) != {1.0}
