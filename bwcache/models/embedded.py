"""TinyWorld as a model of the catalogue: what its entry names to load and to build it."""

from __future__ import annotations

from pathlib import Path

from diffusers import WanPipeline

from ..files import ASSETS
from ..tinyworld import load as tinyworld
from ..tinyworld import random_weights
from .spec import ModelSpec


def load(spec: ModelSpec, folder: Path) -> WanPipeline:
    """The model's pipeline from its folder, on the CPU; see `bwcache.tinyworld.load`.

    What the folder of one with long skips lacks is TinyWorld's.
    """
    return tinyworld.load(folder, ASSETS / "tinyworld" if spec.long_skips else None)


def build(spec: ModelSpec, device: str) -> WanPipeline:
    """The same with seeded random weights, on a device."""
    return random_weights.build(device, spec.long_skips, **spec.scheduler_options)
