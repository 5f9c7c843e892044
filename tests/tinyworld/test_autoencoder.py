import torch

from bwcache.tinyworld.autoencoder import SmoothCodec, fold, unfold
from bwcache.tinyworld.world import FRAMES, SIZE


def test_unfolding_gives_back_what_was_folded():
    video = torch.rand(2, 3, 8, 16, 12)
    folded = fold(video, 4, 2)
    assert folded.shape == (2, 3 * 4 * 2 * 2, 2, 8, 6)
    assert torch.equal(unfold(folded, 4, 2), video)


def test_a_cell_is_16_pixels_and_8_frames(codec):
    video = torch.rand(1, 3, FRAMES, SIZE, SIZE) * 2 - 1
    latents = codec.encode(video)
    assert latents.shape == (1, 4, 5, 8, 8)
    decoded = codec.decode(latents).sample
    assert decoded.shape == video.shape
    assert decoded.abs().max() <= 1
    assert torch.equal(codec.decode(latents, return_dict=False)[0], decoded)


def test_latents_are_normalised_as_the_pipeline_undoes_it(codec):
    latents = torch.randn(1, 4, 2, 2, 2)
    mean = torch.tensor(codec.config.latents_mean).view(1, -1, 1, 1, 1)
    std = torch.tensor(codec.config.latents_std).view(1, -1, 1, 1, 1)
    torch.testing.assert_close(codec.normalise(latents * std + mean), latents)


def test_a_plain_latent_decodes_to_a_plain_area_far_from_the_border(codec):
    """Nothing that the decoder does depends on the place."""
    video = codec.decoder(torch.ones(1, 4, 9, 12, 12))
    middle = video[:, :, 32:40, 88:104, 88:104]
    shifted = video[:, :, 32:40, 104:120, 88:104]
    torch.testing.assert_close(middle, shifted, atol=1e-5, rtol=1e-4)


def test_an_error_of_a_latent_is_seen(codec):
    latents = torch.zeros(1, 4, 3, 4, 4)
    moved = latents.clone()
    moved[0, 0, 1, 2, 2] = 3
    change = (codec.decoder(moved) - codec.decoder(latents)).abs()
    assert change[:, :, 8:16, 32:48, 32:48].max() > 0


def test_a_copy_made_from_the_config_keeps_the_scale(codec):
    """Diffusers drops what it takes for a default from such copies."""
    copy = SmoothCodec.from_config(codec.config)
    assert copy.config.latents_std == codec.config.latents_std
    assert copy.config.z_dim == 4
