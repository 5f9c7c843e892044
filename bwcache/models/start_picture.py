"""A picture to start a video from: encoded bytes, checked before anything runs, and cut to size."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

from PIL import Image, ImageOps

from ..errors import ConfigError

FORMATS = ("PNG", "JPEG", "WEBP")
MAX_BYTES = 8_000_000
SMALLEST, LARGEST = 32, 8192  # pixels of a side
ALLOWED = (
    f"a PNG, JPEG or WebP picture of at most {MAX_BYTES // 10**6} MB "
    f"with sides of {SMALLEST} to {LARGEST} pixels"
)
GREY = (128, 128, 128)


def check(image: object) -> None:
    """Refuse what is no such picture.

    Args:
        image: Encoded bytes.

    Raises:
        ConfigError: It cannot be decoded, is of another format, or is too small or too large.
    """
    if not isinstance(image, bytes):
        raise ConfigError("image", image, ALLOWED)
    if not 0 < len(image) <= MAX_BYTES:
        raise ConfigError("image", f"{len(image)} bytes", ALLOWED)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(image), formats=FORMATS)
            if not all(SMALLEST <= side <= LARGEST for side in picture.size):
                width, height = picture.size
                raise ConfigError("image", f"{width} × {height} pixels", ALLOWED)
            picture.load()
    except ConfigError:
        raise
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombWarning) as error:
        raise ConfigError("image", "bytes that cannot be decoded", ALLOWED) from error


def read(path: Path) -> bytes:
    """The bytes of a picture file.

    Raises:
        ConfigError: There is none, or it is too large.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError("image", str(path), ALLOWED)
        return path.read_bytes()
    except OSError as error:
        raise ConfigError("image", str(path), "a file that can be read") from error


def fitted(image: bytes | None, width: int, height: int) -> Image.Image:
    """The picture at the video's size, in RGB: scaled, and cut evenly where its shape differs.

    Args:
        image: Checked bytes; a plain grey picture where None.
        width, height: In pixels.
    """
    if image is None:
        return Image.new("RGB", (width, height), GREY)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(image), formats=FORMATS))
    return ImageOps.fit(upright.convert("RGB"), (width, height), Image.Resampling.LANCZOS)
