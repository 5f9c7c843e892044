"""A video in one small picture: a few frames side by side. Knows nothing of runs."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

COUNT, HEIGHT, GAP, MAX_BYTES = 6, 48, 2, 3072


def filmstrip(frames: np.ndarray) -> bytes | None:
    """A WebP picture of up to six evenly spaced frames, or None where it will not fit.

    Args:
        frames: Float RGB `[frames, height, width, 3]` in 0-1.

    Returns:
        At most 3 KiB, 48 pixels high.
    """
    places = np.linspace(0, len(frames) - 1, min(COUNT, len(frames))).round().astype(int)
    pixels = (frames[places].clip(0, 1) * 255).round().astype(np.uint8)
    width = max(1, round(HEIGHT * pixels.shape[2] / pixels.shape[1]))
    strip = Image.new("RGB", (len(pixels) * (width + GAP) - GAP, HEIGHT))
    for place, picture in enumerate(pixels):
        small = Image.fromarray(picture).resize((width, HEIGHT), Image.Resampling.LANCZOS)
        strip.paste(small, (place * (width + GAP), 0))
    for quality in (75, 50, 25, 10, 0):
        buffer = io.BytesIO()
        strip.save(buffer, "WEBP", quality=quality, method=4)
        if buffer.tell() <= MAX_BYTES:
            return buffer.getvalue()
    return None
