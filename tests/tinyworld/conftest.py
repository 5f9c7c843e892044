"""A tiny untrained model, written as a folder."""

from pathlib import Path

import pytest
import torch

from bwcache.tinyworld.autoencoder import SmoothCodec
from bwcache.tinyworld.text import build_text_encoder
from bwcache.tinyworld.transformer import build_transformer
from bwcache.tinyworld_training.export import write_model

Z_DIM = 4


@pytest.fixture(scope="session")
def codec() -> SmoothCodec:
    torch.manual_seed(0)
    return SmoothCodec(
        z_dim=Z_DIM,
        latents_mean=(0.5, 0.0, 0.0, 0.0),
        latents_std=(2.0, 1.0, 1.0, 1.0),
        decoder_width=4,
        encoder_width=4,
    ).eval()


@pytest.fixture(scope="session")
def model(codec, tmp_path_factory) -> Path:
    """The model as `export` writes it."""
    out = tmp_path_factory.mktemp("assets") / "tinyworld"
    out.mkdir()
    torch.manual_seed(0)
    write_model(out, build_transformer(2, 2, Z_DIM), build_text_encoder(), codec)
    return out
