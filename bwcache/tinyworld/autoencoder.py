"""TinyWorld's autoencoder: 16×16 pixels and 8 frames become one cell of a few smooth numbers.

It stands where `AutoencoderKLWan` stands in `WanPipeline`: same config names, same `decode` call.
Encoder and decoder are networks that see neighbours in space and time, trained together with noise
on the latents. The decoder mixes, pixel by pixel, a few colours which it chose for the place. No
colour is fixed, so an error of a latent is an error one can see.
Knows pixels and latents; knows nothing of prompts, diffusion or caching.
"""

from __future__ import annotations

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.autoencoders.vae import DecoderOutput
from torch import nn
from torch.nn import functional

SPATIAL, TEMPORAL = 16, 8  # pixels and frames of a cell
LAYERS = 3  # colours that may meet in one place: the background and two shapes
FINE = 4  # pixels of the finest grid that convolutions work on
FINE_FRAMES = 2


class Block(nn.Module):
    """A convolution over height and width, one over time, added to their input."""

    def __init__(self, channels: int):
        super().__init__()
        self.space = nn.Conv3d(channels, channels, (1, 3, 3), padding=(0, 1, 1))
        self.time = nn.Conv3d(channels, channels, (3, 1, 1), padding=(1, 0, 0))

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        update = self.space(functional.silu(hidden_states))
        return hidden_states + self.time(functional.silu(update))


def fold(video: torch.Tensor, frames: int, pixels: int) -> torch.Tensor:
    """`[B, C, F, H, W]` with blocks of frames and pixels moved into channels, C outermost."""
    video = video.unflatten(4, (-1, pixels)).unflatten(3, (-1, pixels)).unflatten(2, (-1, frames))
    return video.permute(0, 1, 3, 5, 7, 2, 4, 6).flatten(1, 4)


def unfold(folded: torch.Tensor, frames: int, pixels: int) -> torch.Tensor:
    """The inverse of `fold`."""
    cells = folded.unflatten(1, (-1, frames, pixels, pixels))
    return cells.permute(0, 1, 5, 2, 6, 3, 7, 4).flatten(6, 7).flatten(4, 5).flatten(2, 3)


class Decoder(nn.Module):
    """Frames from latents.

    Cells talk to their neighbours in space and time, are spread twice to a grid of 4 × 4 pixels
    and 2 frames, and say there which `LAYERS` colours meet and how much of each every pixel shows.
    Shares are a softmax, so a logit that is linear in the distance to an outline is an antialiased
    edge, and plain areas are plain.
    """

    def __init__(self, z_dim: int, width: int):
        super().__init__()
        self.cells = nn.Sequential(
            nn.Conv3d(z_dim, 4 * width, 3, padding=1), Block(4 * width), Block(4 * width)
        )
        self.widen = nn.Conv3d(4 * width, 8 * 2 * width, 1)
        self.middle = nn.Sequential(Block(2 * width), Block(2 * width))
        self.widen_again = nn.Conv3d(2 * width, 8 * width, 1)
        self.fine = nn.Sequential(Block(width), Block(width), nn.SiLU())
        self.shares = nn.Conv3d(width, LAYERS * FINE_FRAMES * FINE**2, 1)
        self.colours = nn.Conv3d(width, LAYERS * 3, 1)

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """Video `[B, 3, 8T, 16h, 16w]` of normalised latents `[B, z, T, h, w]`."""
        hidden_states = unfold(self.widen(self.cells(latents)), 2, 2)
        hidden_states = unfold(self.widen_again(self.middle(hidden_states)), 2, 2)
        hidden_states = self.fine(hidden_states)
        shares = unfold(self.shares(hidden_states), FINE_FRAMES, FINE)
        size = shares.shape[2:]
        shares = shares.softmax(1)
        colours = self.colours(hidden_states).unflatten(1, (LAYERS, 3))
        video = 0
        for i in range(LAYERS):
            colour = colours[:, i].repeat_interleave(FINE_FRAMES, 2).transpose(1, 2).flatten(0, 1)
            colour = functional.interpolate(colour, size[1:], mode="bilinear")
            colour = colour.unflatten(0, (len(latents), -1)).transpose(1, 2)
            video = video + shares[:, i : i + 1] * colour
        return video


class Encoder(nn.Module):
    """Latents from frames, over the decoder's grids from the finest to the cells."""

    def __init__(self, z_dim: int, width: int):
        super().__init__()
        patch = 3 * FINE_FRAMES * FINE**2
        self.fine = nn.Sequential(nn.Conv3d(patch, width, 1), Block(width), Block(width))
        self.middle = nn.Sequential(
            nn.Conv3d(8 * width, 2 * width, 1), Block(2 * width), Block(2 * width)
        )
        self.cells = nn.Sequential(
            nn.Conv3d(8 * 2 * width, 4 * width, 1), Block(4 * width), Block(4 * width), nn.SiLU()
        )
        self.latents = nn.Conv3d(4 * width, z_dim, 1)

    def forward(self, video: torch.Tensor) -> torch.Tensor:
        """Latents `[B, z, T, h, w]` of a video `[B, 3, 8T, 16h, 16w]`."""
        hidden_states = self.fine(fold(video, FINE_FRAMES, FINE))
        hidden_states = self.middle(fold(hidden_states, 2, 2))
        return self.latents(self.cells(fold(hidden_states, 2, 2)))


class SmoothCodec(ModelMixin, ConfigMixin):
    """Frames to latents and back.

    Video is `[B, 3, 8(T-1)+1, 16h, 16w]` in −1…1, latents are `[B, z_dim, T, h, w]`: the first
    latent's eight frames are the first frame, as in Wan. `decode` takes latents as `WanPipeline`
    hands them over, that is `latent · latents_std + latents_mean`.

    Args:
        z_dim: Numbers a cell.
        latents_mean, latents_std: Of each of them; what is trained on is normalised by them.
        decoder_width, encoder_width: Channels of each network on its finest grid.
    """

    @register_to_config
    def __init__(
        self,
        z_dim: int = 12,
        latents_mean: tuple[float, ...] = (0.0,) * 12,
        latents_std: tuple[float, ...] = (1.0,) * 12,
        scale_factor_temporal: int = TEMPORAL,
        scale_factor_spatial: int = SPATIAL,
        decoder_width: int = 48,
        encoder_width: int = 32,
    ):
        super().__init__()
        self.encoder = Encoder(z_dim, encoder_width)
        self.decoder = Decoder(z_dim, decoder_width)

    def encode(self, video: torch.Tensor) -> torch.Tensor:
        """Latents `[B, z_dim, T, h, w]` of a video, before they are normalised."""
        first = video[:, :, :1].expand(-1, -1, TEMPORAL - 1, -1, -1)
        return self.encoder(torch.cat([first, video], dim=2))

    def normalise(self, latents: torch.Tensor) -> torch.Tensor:
        mean, std = self._statistics(latents)
        return (latents - mean) / std

    def decode(self, latents: torch.Tensor, return_dict: bool = True):
        """Video `[B, 3, 8(T-1)+1, 16h, 16w]` in −1…1 of latents `[B, z_dim, T, h, w]`."""
        video = self.decoder(self.normalise(latents))[:, :, TEMPORAL - 1 :].clamp(-1, 1)
        return DecoderOutput(sample=video) if return_dict else (video,)

    def _statistics(self, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        config = self.config
        return tuple(
            like.new_tensor(values).view(1, -1, 1, 1, 1)
            for values in (config.latents_mean, config.latents_std)
        )
