"""A picture to start a video from: encoded bytes, checked at the door, cut to size at the call.

What is too large, by its bytes or by the size that it declares, is refused before it is decoded.

`read` is the door: what somebody sent is decoded there, once, to see whether it can be used. The
bytes are passed on as they are, and decoded again only where the pipeline is called.
"""

from __future__ import annotations

import errno
import io
import warnings
from pathlib import Path

from PIL import Image, ImageOps

from ..errors import ConfigError
from ..files import read_bytes

FORMATS = ("PNG", "JPEG", "WEBP")
MAX_BYTES = 8_000_000
SMALLEST, LARGEST = 32, 8192  # pixels of a side
MOST_PIXELS = 25_000_000  # that are decoded; a phone's pictures have 12 million
ALLOWED = (
    f"a PNG, JPEG or WebP picture of at most {MAX_BYTES // 10**6} MB and "
    f"{MOST_PIXELS // 10**6} megapixels, with sides of {SMALLEST} to {LARGEST} pixels"
)
GREY = (128, 128, 128)


def read(image: str | Path | bytes | None) -> bytes | None:
    """The bytes of a picture that somebody sent, checked.

    Args:
        image: A file's path, or what such a file holds; None for no picture.

    Raises:
        ConfigError: It cannot be read or decoded, is of another format, or too small or too large.
    """
    if isinstance(image, str | Path):
        image = _contents(Path(image))
    if image is not None:
        _decoded(image)
    return image


def _contents(path: Path) -> bytes:
    try:
        return read_bytes(path, MAX_BYTES)
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise ConfigError("image", path.name, ALLOWED) from None
        raise ConfigError("image", path.name, "a file that can be read") from error


def _decoded(image: object) -> Image.Image:
    if not isinstance(image, bytes):
        raise ConfigError("image", image, ALLOWED)
    if not 0 < len(image) <= MAX_BYTES:
        raise ConfigError("image", f"{len(image)} bytes", ALLOWED)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # looked at below
            picture = Image.open(io.BytesIO(image), formats=FORMATS)
            width, height = picture.size
            fits = min(width, height) >= SMALLEST and max(width, height) <= LARGEST
            if not fits or width * height > MOST_PIXELS:
                raise ConfigError("image", f"{width} × {height} pixels", ALLOWED)
            picture.load()
            return picture
    except Image.DecompressionBombError:
        raise ConfigError("image", "a picture of huge size", ALLOWED) from None
    except ConfigError:
        raise
    except Exception as error:  # each format's reader has errors of its own
        raise ConfigError("image", "bytes that cannot be decoded", ALLOWED) from error


def resized(image: bytes | None, width: int, height: int) -> Image.Image:
    """The picture at the video's size, in RGB: scaled, and cut evenly where its shape differs.

    Args:
        image: Its bytes, as `read` gives them; a plain grey picture where None.
        width, height: In pixels.

    Raises:
        ConfigError: They are no picture that `read` would have let in.
    """
    if image is None:
        return Image.new("RGB", (width, height), GREY)
    upright = ImageOps.exif_transpose(_decoded(image))
    return ImageOps.fit(upright.convert("RGB"), (width, height), Image.Resampling.LANCZOS)
