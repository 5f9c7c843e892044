"""A picture to start from: what is refused, and how it is cut to the video's size."""

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from bwcache import ConfigError
from bwcache.models import start_picture as picture
from bwcache.runs.request import Request


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


PLAIN = Image.new("RGB", (64, 48), "red")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_each_format_is_taken(kind):
    image = encoded(PLAIN, kind)
    assert picture.read(image) == image
    request = Request("a cat", image=image)
    assert request.image == image
    assert request.baseline_key != Request("a cat").baseline_key
    other = Request("a cat", image=encoded(PLAIN.resize((48, 48)), kind))
    assert request.baseline_key != other.baseline_key
    assert request.baseline_key == Request("a cat", image=encoded(PLAIN, kind)).baseline_key


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"not a picture",
        1,
        encoded(PLAIN, "GIF"),
        encoded(PLAIN)[:80],
        encoded(PLAIN.resize((31, 100))),
        encoded(Image.new("1", (8193, 32))),
        b"\x89PNG\r\n\x1a\n" + bytes(picture.MAX_BYTES),
    ],
    ids=["empty", "text", "number", "gif", "cut short", "small", "wide", "heavy"],
)
def test_anything_else_is_refused_in_one_line(wrong):
    with pytest.raises(ConfigError, match="^image: got ") as caught:
        picture.read(wrong)
    assert "PNG, JPEG or WebP" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_request_passes_the_bytes_on_and_the_call_refuses_what_never_came_through_the_door():
    request = replace(Request("a cat", image=b"not a picture"), steps=4)
    assert request.image == b"not a picture"
    with pytest.raises(ConfigError, match="^image: got 'bytes that cannot be decoded'"):
        picture.resized(request.image, 64, 32)
    with pytest.raises(ConfigError, match="^image: got 'picture.png'"):
        Request("a cat", image="picture.png")


def test_files(tmp_path):
    assert picture.read(None) is None
    file = tmp_path / "start.png"
    file.write_bytes(encoded(PLAIN))
    assert picture.read(file) == encoded(PLAIN)
    with pytest.raises(ConfigError, match="a file that can be read"):
        picture.read(tmp_path / "nowhere.png")
    with pytest.raises(ConfigError, match="a file that can be read"):
        picture.read(tmp_path)


def test_it_is_scaled_and_cut_evenly_where_its_shape_differs():
    """Green, red, green from left to right: twice as wide as the video, which shows the red."""
    wide = Image.new("RGB", (256, 64), "green")
    wide.paste("red", (64, 0, 192, 64))
    fitted = picture.resized(encoded(wide), 64, 32)
    assert (fitted.size, fitted.mode) == ((64, 32), "RGB")
    assert (np.asarray(fitted)[:, 4:-4] == (255, 0, 0)).all()


def test_it_stands_upright_and_transparency_goes():
    exif = Image.Exif()
    exif[0x0112] = 6  # held on its side
    sideways = Image.new("RGB", (64, 32), "blue")
    sideways.paste("red", (0, 0, 32, 32))
    upright = np.asarray(picture.resized(encoded(sideways, exif=exif), 32, 64))
    assert (upright[:24] == (255, 0, 0)).all()
    assert (upright[40:] == (0, 0, 255)).all()
    assert picture.resized(encoded(PLAIN.convert("RGBA")), 32, 32).mode == "RGB"


def test_a_plain_one_where_none_is_given():
    grey = np.asarray(picture.resized(None, 32, 48))
    assert grey.shape == (48, 32, 3)
    assert len(np.unique(grey)) == 1
