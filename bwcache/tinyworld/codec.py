"""The first TinyWorld's autoencoder, as far as its weights need it: decoding.

It stands where `AutoencoderKLWan` stands in `WanPipeline`: same config names, same `decode` call.
A linear decoder draws roughly; where trained, a small convolutional network paints with a palette,
without block edges and with sharp outlines. Goes when better weights ship (`autoencoder`).
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


class SpaceTimeBlock(nn.Module):
    """A convolution over height and width, one over time, added to their input."""

    def __init__(self, channels: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.SiLU(),
            nn.Conv3d(channels, channels, (1, 3, 3), padding=(0, 1, 1)),
            nn.SiLU(),
            nn.Conv3d(channels, channels, (3, 1, 1), padding=(1, 0, 0)),
        )

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        return hidden_states + self.layers(hidden_states)


class PictureBlock(nn.Module):
    """Two convolutions over height and width, added to their input."""

    def __init__(self, channels: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        return hidden_states + self.layers(hidden_states)


class Painter(nn.Module):
    """The learned decoder: says for every pixel how much of each palette colour it shows.

    It starts from the colours nearest to the linear decoder's rough picture. Latents are mixed
    with their neighbours in space and time, spread to a quarter of the pixel grid and worked out
    there; the last layer corrects each pixel's logits. A softmax over few colours makes plain
    areas exactly plain, and a logit that is linear in the distance to an outline is an
    antialiased edge.
    """

    NEARNESS = 8.0  # logit lost for each unit of squared distance in colour

    def __init__(self, z_dim: int, width: int, colours: int):
        super().__init__()
        self.palette = nn.Parameter(torch.zeros(colours, 3), requires_grad=False)
        self.mix = nn.Sequential(
            nn.Conv3d(z_dim, 2 * width, 3, padding=1),
            SpaceTimeBlock(2 * width),
            SpaceTimeBlock(2 * width),
            nn.SiLU(),
            nn.Conv3d(2 * width, 4 * width, 1),
        )
        self.sharpen = nn.Sequential(
            PictureBlock(width),
            PictureBlock(width),
            PictureBlock(width),
            nn.SiLU(),
            nn.Conv2d(width, colours * TEMPORAL * 16, 1),
        )
        nn.init.zeros_(self.sharpen[-1].weight)
        nn.init.zeros_(self.sharpen[-1].bias)

    def forward(self, latents: torch.Tensor, rough: torch.Tensor) -> torch.Tensor:
        """Video `[B, 3, 4T, 8h, 8w]` in −1…1.

        Args:
            latents: Normalised, `[B, z_dim, T, h, w]`.
            rough: The linear decoder's frames, `[B, 3, 4T, 8h, 8w]`.
        """
        hidden_states = self.mix(latents).transpose(1, 2).flatten(0, 1)
        hidden_states = nn.functional.pixel_shuffle(hidden_states, 2)
        logits = nn.functional.pixel_shuffle(self.sharpen(hidden_states), 4)
        logits = logits.unflatten(1, (len(self.palette), TEMPORAL))
        logits = logits.unflatten(0, (len(latents), -1)).transpose(1, 2).flatten(2, 3)
        # minus the squared distance to each colour, less the term that all colours share
        near = 2 * torch.einsum("bcfhw,kc->bkfhw", rough, self.palette)
        near = near - self.palette.square().sum(1).view(1, -1, 1, 1, 1)
        shares = (logits + self.NEARNESS * near).softmax(1)
        return torch.einsum("bkfhw,kc->bcfhw", shares, self.palette)


class PatchCodec(ModelMixin, ConfigMixin):
    """Latents to frames.

    Video is `[B, 3, 4(T-1)+1, 8h, 8w]` in −1…1, latents are `[B, z_dim, T, h, w]`: the first
    latent holds the first frame alone, as in Wan. `decode` takes latents as `WanPipeline` hands
    them over, that is multiplied by `latents_std`.

    Args:
        z_dim: Principal components kept for each patch.
        latents_mean: Mean of each component (0 here: the patch mean is subtracted first).
        latents_std: What one unit of a normalised latent is worth, for each component.
        painter_width: Channels of the learned decoder; 0 leaves it out.
        painter_colours: Colours on its palette.
    """

    @register_to_config
    def __init__(
        self,
        z_dim: int = 32,
        latents_mean: tuple[float, ...] = (0.0,) * 32,
        latents_std: tuple[float, ...] = (1.0,) * 32,
        scale_factor_temporal: int = TEMPORAL,
        scale_factor_spatial: int = SPATIAL,
        painter_width: int = 0,
        painter_colours: int = 9,
    ):
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(PATCH), requires_grad=False)
        self.basis = nn.Parameter(torch.zeros(PATCH, z_dim), requires_grad=False)
        self.painter = Painter(z_dim, painter_width, painter_colours) if painter_width else None

    def paint(self, latents: torch.Tensor) -> torch.Tensor:
        """The painter's frames `[B, 3, 4T, 8h, 8w]` of normalised latents."""
        return self.painter(latents, self.decode_linear(latents * self._std(latents)))

    def decode_linear(self, latents: torch.Tensor) -> torch.Tensor:
        """The rough frames `[B, 3, 4T, 8h, 8w]`; the first four all show the first frame."""
        return from_patches(latents.movedim(1, -1) @ self.basis.T + self.mean)

    def decode(self, latents: torch.Tensor, return_dict: bool = True):
        """Video `[B, 3, 4(T-1)+1, 8h, 8w]` in −1…1 of latents `[B, z_dim, T, h, w]`."""
        if self.painter is None:
            video = self.decode_linear(latents)
        else:
            video = self.paint(latents / self._std(latents))
        video = video[:, :, TEMPORAL - 1 :].clamp(-1, 1)
        return DecoderOutput(sample=video) if return_dict else (video,)

    def _std(self, like: torch.Tensor) -> torch.Tensor:
        return like.new_tensor(self.config.latents_std).view(1, -1, 1, 1, 1)


def from_patches(patches: torch.Tensor) -> torch.Tensor:
    """Frames `[B, 3, 4T, 8h, 8w]` of patches `[B, T, h, w, 768]`."""
    cells = patches.unflatten(4, (3, TEMPORAL, SPATIAL, SPATIAL))
    cells = cells.permute(0, 4, 1, 5, 2, 6, 3, 7)
    return cells.flatten(6, 7).flatten(4, 5).flatten(2, 3)
