"""TinyWorld's autoencoder: principal components of 8×8×4 pixel patches, and a learned decoder.

It stands where `AutoencoderKLWan` stands in `WanPipeline`: same config names, same `decode` call.
Encoding is linear and fixed; decoding is the linear inverse plus, where trained, a small
convolutional correction that removes block edges and sharpens outlines.
Knows pixels and latents; knows nothing of prompts, diffusion or caching.
"""

from __future__ import annotations

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.autoencoders.vae import DecoderOutput
from torch import nn

SPATIAL, TEMPORAL = 8, 4
PATCH = 3 * TEMPORAL * SPATIAL * SPATIAL


class ResidualConv(nn.Module):
    """Two convolutions over time, height and width, added to their input."""

    def __init__(self, channels: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv3d(channels, channels, 3, padding=1),
            nn.SiLU(),
            nn.Conv3d(channels, channels, 3, padding=1),
        )

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        return hidden_states + self.layers(hidden_states)


class Refiner(nn.Module):
    """What the linear decoder misses, from latents and its own rough picture.

    Latents `[B, z, T, h, w]` are mixed at latent resolution with their neighbours in space and
    time, spread to a quarter of the pixel grid, and joined there with the rough frames.
    """

    def __init__(self, z_dim: int, width: int):
        super().__init__()
        self.mix = nn.Sequential(
            nn.Conv3d(z_dim, 2 * width, 3, padding=1),
            nn.SiLU(),
            ResidualConv(2 * width),
            nn.SiLU(),
            nn.Conv3d(2 * width, 4 * width, 1),
        )
        rough = 3 * TEMPORAL * 16
        self.join = nn.Conv2d(width + rough, 2 * width, 3, padding=1)
        self.sharpen = nn.Sequential(
            nn.SiLU(),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(2 * width, rough, 3, padding=1),
        )
        nn.init.zeros_(self.sharpen[-1].weight)
        nn.init.zeros_(self.sharpen[-1].bias)

    def forward(self, latents: torch.Tensor, rough: torch.Tensor) -> torch.Tensor:
        """Correction `[B, 3, 4T, 8h, 8w]` for rough frames of that shape."""
        batch, _, steps, height, width = latents.shape
        mixed = self.mix(latents).transpose(1, 2).flatten(0, 1)
        mixed = nn.functional.pixel_shuffle(mixed, 2)
        frames = rough.unflatten(2, (steps, TEMPORAL)).transpose(1, 2).flatten(0, 1).flatten(1, 2)
        frames = nn.functional.pixel_unshuffle(frames, 4)
        change = self.sharpen(self.join(torch.cat([mixed, frames], dim=1)))
        change = nn.functional.pixel_shuffle(change, 4)
        change = change.unflatten(1, (3, TEMPORAL)).unflatten(0, (batch, steps))
        return change.transpose(1, 2).flatten(2, 3)


class PatchCodec(ModelMixin, ConfigMixin):
    """Frames to latents and back.

    Video is `[B, 3, 4(T-1)+1, 8h, 8w]` in −1…1, latents are `[B, z_dim, T, h, w]`: the first
    latent holds the first frame alone, as in Wan. `decode` takes latents as `WanPipeline` hands
    them over, that is multiplied by `latents_std`.

    Args:
        z_dim: Principal components kept for each patch.
        latents_mean: Mean of each component (0 here: the patch mean is subtracted first).
        latents_std: What one unit of a normalised latent is worth, for each component.
        refiner_width: Channels of the learned decoder; 0 leaves it out.
    """

    @register_to_config
    def __init__(
        self,
        z_dim: int = 32,
        latents_mean: tuple[float, ...] = (0.0,) * 32,
        latents_std: tuple[float, ...] = (1.0,) * 32,
        scale_factor_temporal: int = TEMPORAL,
        scale_factor_spatial: int = SPATIAL,
        refiner_width: int = 0,
    ):
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(PATCH), requires_grad=False)
        self.basis = nn.Parameter(torch.zeros(PATCH, z_dim), requires_grad=False)
        self.refiner = Refiner(z_dim, refiner_width) if refiner_width else None

    def encode_normalised(self, video: torch.Tensor) -> torch.Tensor:
        """Latents `[B, z_dim, T, h, w]` of a video, divided by `latents_std`, as trained on."""
        coefficients = (to_patches(video) - self.mean) @ self.basis
        return coefficients.movedim(-1, 1) / self._std(coefficients)

    def decode_linear(self, latents: torch.Tensor) -> torch.Tensor:
        """The rough frames `[B, 3, 4T, 8h, 8w]`; the first four all show the first frame."""
        return from_patches(latents.movedim(1, -1) @ self.basis.T + self.mean)

    def decode(self, latents: torch.Tensor, return_dict: bool = True):
        """Video `[B, 3, 4(T-1)+1, 8h, 8w]` in −1…1 of latents `[B, z_dim, T, h, w]`."""
        video = self.decode_linear(latents)
        if self.refiner is not None:
            video = video + self.refiner(latents / self._std(latents), video)
        video = video[:, :, TEMPORAL - 1 :].clamp(-1, 1)
        return DecoderOutput(sample=video) if return_dict else (video,)

    def _std(self, like: torch.Tensor) -> torch.Tensor:
        return like.new_tensor(self.config.latents_std).view(1, -1, 1, 1, 1)


def to_patches(video: torch.Tensor) -> torch.Tensor:
    """Patches `[B, T, h, w, 768]` of a video `[B, 3, 4(T-1)+1, 8h, 8w]`, first frame repeated."""
    first = video[:, :, :1].expand(-1, -1, TEMPORAL - 1, -1, -1)
    video = torch.cat([first, video], dim=2)
    video = video.unflatten(4, (-1, SPATIAL)).unflatten(3, (-1, SPATIAL))
    video = video.unflatten(2, (-1, TEMPORAL))
    return video.permute(0, 2, 4, 6, 1, 3, 5, 7).flatten(4)


def from_patches(patches: torch.Tensor) -> torch.Tensor:
    """The inverse of `to_patches`, all four copies of the first frame kept."""
    cells = patches.unflatten(4, (3, TEMPORAL, SPATIAL, SPATIAL))
    cells = cells.permute(0, 4, 1, 5, 2, 6, 3, 7)
    return cells.flatten(6, 7).flatten(4, 5).flatten(2, 3)


def fit(patches: torch.Tensor, z_dim: int = 32) -> tuple[PatchCodec, float]:
    """A codec from sample patches `[n, 768]`.

    Returns:
        The codec without refiner, and the share of the patches' variance that it keeps.

    Each component is scaled by the root of its standard deviation, halfway between raw and
    whitened: coarse parts stay stronger than fine ones, as in a picture, and all together have
    unit mean square.
    """
    mean = patches.mean(0)
    centred = (patches - mean).double()
    variance, vectors = torch.linalg.eigh(centred.T @ centred / len(centred))
    variance, vectors = variance.flip(0), vectors.flip(1)
    std = variance[:z_dim].clamp_min(1e-12).sqrt()
    scale = std.sqrt() * std.mean().sqrt()
    codec = PatchCodec(z_dim, (0.0,) * z_dim, tuple(scale.tolist()))
    codec.mean.data.copy_(mean)
    codec.basis.data.copy_(vectors[:, :z_dim])
    return codec, float(variance[:z_dim].sum() / variance.sum())
