"""The first TinyWorld's autoencoder, as far as its weights need it."""

import torch

from bwcache.tinyworld.codec import PatchCodec, from_patches


def test_a_patch_is_8_pixels_and_4_frames():
    patches = torch.zeros(1, 2, 2, 3, 768)
    patches[0, 1, 1, 2] = 1
    video = from_patches(patches)
    assert video.shape == (1, 3, 8, 16, 24)
    assert (video[:, :, 4:, 8:, 16:] == 1).all()
    assert video.sum() == 768


def test_a_painter_decodes_whole_clips():
    codec = PatchCodec(painter_width=8).eval()
    decoded = codec.decode(torch.randn(1, 32, 3, 2, 2)).sample
    assert decoded.shape == (1, 3, 9, 16, 16)
    assert decoded.abs().max() <= 1


def test_a_copy_made_from_the_config_keeps_the_scale():
    """Diffusers drops what it takes for a default from such copies."""
    codec = PatchCodec(latents_std=(2.0,) * 32)
    assert PatchCodec.from_config(codec.config).config.latents_std == codec.config.latents_std
