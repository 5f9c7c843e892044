"""Clips and captions to train on, drawn as training goes."""

from __future__ import annotations

import numpy as np
import torch

from ..tinyworld.scenes import caption, random_scene, render

CAPTION_DROP = 0.1


def sample_batch(rng: np.random.Generator, size: int) -> tuple[torch.Tensor, list[str]]:
    """Videos `[size, 3, frames, height, width]` in −1…1 and their captions, some left empty."""
    scenes = [random_scene(rng) for _ in range(size)]
    video = np.stack([render(scene, rng) for scene in scenes])
    captions = ["" if rng.random() < CAPTION_DROP else caption(scene, rng) for scene in scenes]
    return torch.from_numpy(video).permute(0, 4, 1, 2, 3) * 2 - 1, captions


NOISE = 0.25  # strongest, in normalised latents; most clips get far less


def video_of(scenes: list, rng: np.random.Generator) -> torch.Tensor:
    """Videos `[B, 3, frames, height, width]` in −1…1."""
    frames = np.stack([render(scene, rng) for scene in scenes])
    return torch.from_numpy(frames).permute(0, 4, 1, 2, 3) * 2 - 1
