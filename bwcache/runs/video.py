"""Frames, or a false-colour picture of numbers, as an mp4 file that every browser plays; and a
video in one small picture.

A file counts as written when the encoder said so and it has been read back.
"""

from __future__ import annotations

import io
import os
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
from PIL import Image

from ..errors import ConfigError, MachineError

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
CRF = "5"  # of H.264: 0 to 51, 51 being worst
ENCODER_SECONDS = 600  # that ffmpeg gets for one video
LEAST_ROOM = 2**16  # bytes that a disk which is not full takes
NO_FFMPEG = "ffmpeg, which writes the videos, is missing or does not start"
NOT_WRITTEN = "a video could not be written"


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


def write_frames(pictures: Sequence[np.ndarray], path: Path, fps: int) -> None:
    """Write frames `[height, width, 3]` in 0-1, even in width and height, as H.264.

    Raises:
        MachineError: ffmpeg is missing or failed, or what it wrote is not these frames. The file
            is gone then.
        OSError: The disk is full, or the folder cannot be written to.
    """
    height, width = pictures[0].shape[:2]
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(fps)]
    coded = ["-an", "-vcodec", "libx264", "-pix_fmt", "yuv420p", "-crf", CRF]
    try:
        _ffmpeg(
            ["-y", *raw, "-i", "-", *coded, "-f", "mp4", f"file:{path}"],
            [(picture * 255).round().astype(np.uint8) for picture in pictures],
        )
        found = _frames_in(path)
        if found != (len(pictures), f"{width}x{height}"):
            needed = f"{len(pictures)} frames of {width}x{height}"
            raise MachineError(
                NOT_WRITTEN, f"read back, it holds {found[0]} of {found[1]}, not {needed}"
            )
        with path.open("rb+") as file:
            os.fsync(file.fileno())  # a disk that is full may say so only here
    except BaseException as error:
        with suppress(OSError):
            path.unlink(missing_ok=True)
        if isinstance(error, MachineError):
            _check_room(path.parent)  # says so where that is why
        raise


def read_frames(path: Path) -> np.ndarray:
    """The frames of a video file, float32 RGB `[frames, height, width, 3]` in 0-1.

    Raises:
        ConfigError: It cannot be read as a video.
        MachineError: ffmpeg is missing.
    """
    raw = ["-map", "0:v:0", "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    try:
        if not path.is_file():
            raise ConfigError("video", str(path), "a video file that is there")
        _, size = _frames_in(path)
        content = _ffmpeg(["-xerror", "-i", f"file:{path}", *raw])
    except MachineError as error:
        if error.said == NO_FFMPEG:
            raise
        allowed = f"a file that ffmpeg can read ({error.more})"
        raise ConfigError("video", str(path), allowed) from None
    width, height = map(int, size.split("x"))
    return np.frombuffer(content, np.uint8).reshape(-1, height, width, 3) / np.float32(255)


def check_encoder() -> None:
    """Refuse work whose videos could not be written: two small frames are, and read back.

    Raises:
        MachineError: ffmpeg is missing or does not work.
        OSError: There is no room for temporary files.
    """
    with tempfile.TemporaryDirectory(prefix="bwcache-") as folder:
        write_frames([np.zeros((16, 16, 3))] * 2, Path(folder) / "two.mp4", 8)


def _frames_in(path: Path) -> tuple[int, str]:
    """How many frames a video holds, and of what size, as decoding it whole says."""
    listed = _ffmpeg(["-xerror", "-i", f"file:{path}", "-map", "0:v:0", "-f", "framecrc", "-"])
    lines = listed.decode(errors="replace").splitlines()
    size = next((line.rpartition(" ")[2] for line in lines if "#dimensions 0:" in line), "no size")
    return sum(1 for line in lines if line and not line.startswith("#")), size


def _ffmpeg(arguments: list[str], frames: Sequence[np.ndarray] = ()) -> bytes:
    """What ffmpeg prints, given frames on its standard input.

    Raises:
        MachineError: It is missing, fails, is killed, or takes longer than `ENCODER_SECONDS`.
    """
    try:
        executable = imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError:
        raise MachineError(NO_FFMPEG, "none was found; imageio-ffmpeg brings one") from None
    command = [executable, "-hide_banner", "-v", "error", *arguments]
    # Ctrl+C is for this program to act on: what it has begun to write is thrown away.
    apart: dict[str, Any] = {"process_group": 0} if os.name == "posix" else {}
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as printed:
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": printed, "stderr": said}
        try:
            process = subprocess.Popen(command, **pipes, **apart)
        except OSError as error:
            raise MachineError(NO_FFMPEG, f"{executable}: {error.strerror}") from None
        limit = threading.Timer(ENCODER_SECONDS, process.kill)
        limit.daemon = True
        limit.start()
        try:
            with suppress(BrokenPipeError):  # its status says more
                for frame in frames:
                    process.stdin.write(frame.tobytes())  # type: ignore[union-attr]
                process.stdin.close()  # type: ignore[union-attr]
            status = process.wait()
        except BaseException:
            process.kill()
            process.wait()
            raise
        finally:
            limit.cancel()
            with suppress(OSError):
                process.stdin.close()  # type: ignore[union-attr]
        if status:
            said.seek(0)
            lines = said.read(4096).decode(errors="replace").strip().splitlines()
            why = f": {lines[-1]}" if lines else ""
            raise MachineError(NOT_WRITTEN, f"ffmpeg ended with status {status}{why}")
        printed.seek(0)
        return printed.read()


def _check_room(folder: Path) -> None:
    """Raise the disk's own error where it is full."""
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(LEAST_ROOM))
        file.flush()
        os.fsync(file.fileno())


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
