"""What a client names lies where uploads lie; pictures cost a line, not a decode."""

import base64
import io
import json
import struct
import zlib
from pathlib import Path

import gradio as gr
import httpx
import pytest
from gradio.utils import get_upload_folder
from PIL import Image

from bwcache import models
from bwcache.cli import main
from bwcache.errors import ConfigError
from bwcache.models import start_picture
from bwcache.testing import FakeBackend
from bwcache.ui import api, fields, form
from tests.ui.serving import serving

pytestmark = pytest.mark.faults
PROMPT = "a red circle moving right on a white background"
TAKING = next(spec.name for spec in models.CATALOGUE.values() if spec.image != "none")


def png(width: int, height: int, data: bytes = b"") -> bytes:
    """A PNG file that declares this size, whatever it holds."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        whole = kind + content
        return struct.pack(">I", len(content)) + whole + struct.pack(">I", zlib.crc32(whole))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(data)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def encoded(width: int, height: int, kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (width, height)).save(buffer, kind)
    return buffer.getvalue()


HUGE = {
    "a png of four thousand megapixels": png(65535, 65535),
    "a png of 400 megapixels": png(20000, 20000),
    "a long thin png": png(2**31 - 1, 1),
    "a png of no size": png(0, 0),
    "a png of 8192 by 8192": png(8192, 8192),
    "a real jpeg of 36 megapixels": encoded(6000, 6000, "JPEG"),
    "a real webp of 36 megapixels": encoded(6000, 6000, "WEBP"),
    "a png that ends early": png(640, 480),
    "a png with too much in it": png(64, 64, bytes(10**7)) + bytes(1000),
}


@pytest.mark.parametrize("what", HUGE)
def test_a_picture_bomb_costs_a_line(what, monkeypatch):
    decoded = []
    load = Image.Image.load
    monkeypatch.setattr(Image.Image, "load", lambda self: decoded.append(self.size) or load(self))
    if what == "a png with too much in it":
        start_picture.read(HUGE[what])
    else:
        with pytest.raises(ConfigError, match="^image: got [^\n]*$"):
            start_picture.read(HUGE[what])
    assert all(width * height <= start_picture.MOST_PIXELS for width, height in decoded)


@pytest.mark.parametrize(
    "wrong", [b"RIFF\xff\xff\xff\xffWEBPVP8X", b"\xff\xd8\xff\xe0", b"\x89PNG"]
)
def test_broken_pictures_are_refused_in_a_line(wrong):
    for cut in range(len(wrong), len(wrong) + 40, 8):
        with pytest.raises(ConfigError, match="^image: got "):
            start_picture.read(wrong + bytes(cut))


def test_a_models_that_takes_no_picture_refuses_it_before_it_is_decoded(monkeypatch, tmp_path):
    monkeypatch.setattr(start_picture, "read", lambda _: 1 / 0)
    monkeypatch.setattr(base64, "b64decode", lambda *_, **__: 1 / 0)
    given = {"prompt": PROMPT, "image": "x" * 100}
    with pytest.raises(ConfigError, match="image: got 'a picture'; allowed is none for tinyworld"):
        form.read(given)
    with pytest.raises(ConfigError, match="allowed is none for tinyworld"):
        api.completed(given)
    missing = str(tmp_path / "missing.png")
    assert main(["compare", "--prompt", PROMPT, "--image", missing, "--out", str(tmp_path)]) == 2


def test_a_long_text_is_not_decoded_to_see_that_it_is_too_long(monkeypatch):
    monkeypatch.setattr(base64, "b64decode", lambda *_, **__: 1 / 0)
    given = {"prompt": "a cat", "model": TAKING, "image": "A" * (start_picture.MAX_BYTES * 2)}
    with pytest.raises(ConfigError, match="^image: got '16000000 characters'"):
        api.completed(given)


@pytest.mark.parametrize("endless", ["/dev/zero", "/dev/urandom"])
def test_a_file_without_an_end_is_not_read_to_it(endless):
    with pytest.raises(ConfigError, match="^image: got "):
        start_picture.read(endless)


# -- what a request may name -----------------------------------------------------------------------


class Payload:
    """What Gradio makes of a request's picture."""

    def __init__(self, path=None, url=None):
        self.path, self.url = path, url


def test_only_what_lies_among_the_uploads_is_read(tmp_path):
    folder = Path(get_upload_folder())
    folder.mkdir(parents=True, exist_ok=True)
    inside, outside = folder / "bwcache-test.png", tmp_path / "picture.png"
    link = folder / "bwcache-link.png"
    try:
        inside.write_bytes(b"x")
        outside.write_bytes(b"x")
        link.symlink_to(outside)
        assert fields.uploaded(Payload(str(inside))) == str(inside.resolve())
        assert fields.uploaded(None) is None
        for wrong in (
            str(outside),
            str(link),
            f"{folder}/../../etc/passwd",
            str(folder),
            "/etc/passwd",
            "picture.png",
            "",
            "\0",
            "a" * 10_000,
            "http://127.0.0.1:1/x.png",
            "file:///etc/passwd",
        ):
            with pytest.raises(gr.Error, match="^'image: it was not uploaded"):
                fields.uploaded(Payload(wrong))
        with pytest.raises(gr.Error, match="not an address"):
            fields.uploaded(Payload(url="data:image/png;base64,AAAA"))
    finally:
        inside.unlink(missing_ok=True)
        link.unlink(missing_ok=True)


PATHS = ["/etc/passwd", "assets/figures", "app.py", "/dev/zero", "../../etc/shadow"]


def test_a_raw_post_with_a_bare_path_opens_nothing(monkeypatch, tmp_path):
    """Each event of the page that takes the picture, as the queue and as a browser has it."""
    picture = tmp_path / "secret.png"
    Image.new("RGB", (64, 64)).save(picture)
    opened, read = [], start_picture.read

    def noting(image):
        opened.append(image)
        return read(image)

    monkeypatch.setattr(start_picture, "read", noting)
    with serving(FakeBackend()) as served:
        config = httpx.get(f"{served.address}config").json()
        pictures = [c["id"] for c in config["components"] if c["type"] == "image"]
        taking = [
            each for each in config["dependencies"] if set(pictures) & set(each.get("inputs", []))
        ]
        assert len(taking) >= 2
        for number, dependency in enumerate(taking):
            for path in [*PATHS, str(picture)]:
                for extra in ({}, {"meta": {"_type": "gradio.FileData"}}, {"url": "data:,x"}):
                    data = [
                        {"path": path, **extra} if each in pictures else None
                        for each in dependency["inputs"]
                    ]
                    answers = _post(served.address, dependency["id"], data, f"s{number}")
                    assert answers[-1]["msg"] == "process_completed"
                    said = json.dumps(answers)
                    assert not answers[-1]["success"], (dependency["id"], path, extra)
                    assert "Traceback" not in said
    assert opened == []


def _post(address: str, fn_index: int, data: list, session: str) -> list[dict]:
    """What the queue says to one raw post, heard to its end."""
    body = {"fn_index": fn_index, "data": data, "session_hash": session}
    joined = httpx.post(f"{address}gradio_api/queue/join", json=body, timeout=60)
    if joined.status_code != 200:
        return [{"msg": "process_completed", "success": False, "refused": joined.text}]
    heard = []
    stream = f"{address}gradio_api/queue/data?session_hash={session}"
    with httpx.stream("GET", stream, timeout=60) as response:
        for line in response.iter_lines():
            if line.startswith("data:"):
                heard.append(json.loads(line[5:]))
                if heard[-1]["msg"] in ("process_completed", "close_stream"):
                    break
    return [each for each in heard if each["msg"] == "process_completed"]
