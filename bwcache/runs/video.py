"""Frames, or a false-colour picture of numbers, as an mp4 file that every browser plays; and a
video in one small picture.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from diffusers.utils import export_to_video
from PIL import Image

SMALL, ENLARGED = 256, 384  # pixels of height
# Inferno at ten even places: black for nothing, and every step up is brighter than the last.
INFERNO = (
    "#000004",
    "#1b0c41",
    "#4a0c6b",
    "#781c6d",
    "#a52c60",
    "#cf4446",
    "#ed6925",
    "#fb9b06",
    "#f7d13d",
    "#fcffa4",
)
# of a filmstrip: frames at most, pixels of height and between frames, bytes at most
STRIP_FRAMES, STRIP_HEIGHT, STRIP_GAP, STRIP_BYTES = 6, 48, 2, 3072


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


def heat(values: np.ndarray) -> np.ndarray:
    """Numbers in 0-1, clipped to that, as Inferno's colours: RGB in 0-1 along a new last axis."""
    colours = np.array([list(bytes.fromhex(colour[1:])) for colour in INFERNO]) / 255
    places = np.linspace(0, 1, len(colours))
    return np.stack([np.interp(values, places, channel) for channel in colours.T], axis=-1)


def write_mp4(frames: np.ndarray, path: Path, fps: int) -> None:
    """Write frames `[frames, height, width, 3]` in 0-1 as H.264, at their own size or a multiple.

    Players want an even height and width: where one is odd, its last line or column is shown twice
    (`padding` says where), and no pixel is stretched.
    """
    pictures = enlarge(frames.clip(0, 1))
    right, bottom = padding(frames)
    if right or bottom:
        edges = ((0, bottom), (0, right), (0, 0))
        pictures = [np.pad(picture, edges, mode="edge") for picture in pictures]
    write_frames(pictures, path, fps)


def write_frames(pictures: list[np.ndarray], path: Path, fps: int) -> None:
    """Write frames `[height, width, 3]` in 0-1, even in width and height, as H.264."""
    export_to_video(pictures, str(path), fps=fps, quality=9, macro_block_size=1)


def padding(frames: np.ndarray) -> tuple[int, int]:
    """How many columns and lines an mp4 file of frames has more, at the right and below."""
    height, width = enlarge(frames[:1].clip(0, 1))[0].shape[:2]
    return width % 2, height % 2


def filmstrip(frames: np.ndarray) -> bytes | None:
    """A WebP picture of up to six evenly spaced frames, or None where it will not fit.

    Args:
        frames: Float RGB `[frames, height, width, 3]` in 0-1.

    Returns:
        At most 3 KiB, 48 pixels high.
    """
    places = np.linspace(0, len(frames) - 1, min(STRIP_FRAMES, len(frames))).round().astype(int)
    pixels = (frames[places].clip(0, 1) * 255).round().astype(np.uint8)
    width = max(1, round(STRIP_HEIGHT * pixels.shape[2] / pixels.shape[1]))
    strip = Image.new("RGB", (len(pixels) * (width + STRIP_GAP) - STRIP_GAP, STRIP_HEIGHT))
    for place, picture in enumerate(pixels):
        small = Image.fromarray(picture).resize((width, STRIP_HEIGHT), Image.Resampling.LANCZOS)
        strip.paste(small, (place * (width + STRIP_GAP), 0))
    for quality in (75, 50, 25, 10, 0):
        buffer = io.BytesIO()
        strip.save(buffer, "WEBP", quality=quality, method=4)
        if buffer.tell() <= STRIP_BYTES:
            return buffer.getvalue()
    return None
