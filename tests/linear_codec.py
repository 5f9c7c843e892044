"""An autoencoder for tests that costs nothing: 16×16 pixels and 8 frames from a cell, linearly."""

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.autoencoders.vae import DecoderOutput

from bwcache.tinyworld.autoencoder import unfold

SPATIAL, TEMPORAL = 16, 8


class LinearCodec(ModelMixin, ConfigMixin):
    """It stands where `AutoencoderKLWan` stands; decodes only."""

    @register_to_config
    def __init__(
        self,
        z_dim: int = 32,
        latents_mean: tuple[float, ...] = (0.0,) * 32,
        latents_std: tuple[float, ...] = (1.0,) * 32,
        scale_factor_temporal: int = TEMPORAL,
        scale_factor_spatial: int = SPATIAL,
    ):
        super().__init__()
        basis = 0.05 * torch.randn(3 * TEMPORAL * SPATIAL**2, z_dim)
        self.basis = torch.nn.Parameter(basis, requires_grad=False)

    def decode(self, latents: torch.Tensor, return_dict: bool = True):
        cells = (latents.movedim(1, -1) @ self.basis.T).movedim(-1, 1)
        video = unfold(cells, TEMPORAL, SPATIAL)[:, :, TEMPORAL - 1 :].clamp(-1, 1)
        return DecoderOutput(sample=video) if return_dict else (video,)
