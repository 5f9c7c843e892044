"""Frames to an mp4 file that every browser plays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from diffusers.utils import export_to_video
from PIL import Image

SMALL, ENLARGED = 256, 384  # pixels of height


def enlarge(frames: np.ndarray) -> list[np.ndarray]:
    """Frames `[frames, height, width, 3]` in 0-1, small ones by a whole factor to about 384 lines.

    Chroma is stored at half resolution in most players' H.264, which smears a 64-pixel picture.
    """
    height, width = frames.shape[1:3]
    factor = max(1, ENLARGED // height) if height < SMALL else 1
    if factor == 1:
        return list(frames)
    size = (width * factor, height * factor)
    pictures = (Image.fromarray((frame * 255).round().astype(np.uint8)) for frame in frames)
    return [np.asarray(p.resize(size, Image.Resampling.BICUBIC)) / 255.0 for p in pictures]


def write_mp4(frames: np.ndarray, path: Path, fps: int) -> None:
    """Write frames `[frames, height, width, 3]` in 0-1 as H.264."""
    export_to_video(enlarge(frames.clip(0, 1)), str(path), fps=fps, quality=9)
