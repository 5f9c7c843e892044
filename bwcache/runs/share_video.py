"""A comparison as one video to hand on: both side by side, with the verdict burnt in."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ..cache.methods import find_method
from .video import enlarge, write_frames

WIDEST = 1920  # pixels
LEAST_HEIGHT = 256  # of a video in it
GAP = 8
GROUND, INK, FAINT, ACCENT = "#0b1220", "#e8eef7", "#a3b3c9", "#2dd4bf"
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
SOURCE = "BWCache (arXiv 2509.13789)"


def write_share_video(
    baseline: np.ndarray,
    cached: np.ndarray,
    summary: Mapping[str, Any],
    path: Path,
    fps: int,
) -> None:
    """Write both videos side by side as H.264, with names, seconds, prompt and verdict in them.

    Args:
        baseline, cached: Float RGB `[frames, height, width, 3]` in 0-1, of the same shape.
        summary: The content of `summary.json`.
        path: Of the mp4 file.
        fps: Frames a second.
    """
    left, right = (_pictures(frames) for frames in (baseline, cached))
    width, height = left[0].size
    sheet = _sheet(2 * width + GAP, height, summary)
    pictures = []
    for one, other in zip(left, right, strict=True):
        page = sheet.copy()
        top = _head_height(2 * width + GAP)
        page.paste(one, (0, top))
        page.paste(other, (width + GAP, top))
        pictures.append(np.asarray(page) / 255.0)
    write_frames(pictures, path, fps)


def _pictures(frames: np.ndarray) -> list[Image.Image]:
    """Frames at a size that two of them fit beside each other, even in width and height."""
    found = []
    for frame in enlarge(frames.clip(0, 1)):
        picture = Image.fromarray((frame * 255).round().astype(np.uint8))
        scale = min(1.0, (WIDEST - GAP) / 2 / picture.width)
        scale = max(scale, LEAST_HEIGHT / picture.height) if scale == 1.0 else scale
        size = [max(2, 2 * round(edge * scale / 2)) for edge in picture.size]
        found.append(picture.resize((size[0], size[1]), Image.Resampling.LANCZOS))
    return found


def _font(size: float) -> Font:
    return ImageFont.load_default(max(11, round(size)))


def _unit(width: int) -> float:
    """The letters' height: some 44 to a line."""
    return width / 44


def _head_height(width: int) -> int:
    return 2 * round(_unit(width) * 2.2 / 2)


def _sheet(width: int, height: int, summary: Mapping[str, Any]) -> Image.Image:
    """The picture around the two videos, the same in each frame."""
    unit = _unit(width)
    verdict, small = _font(unit), _font(0.75 * unit)
    verdict_lines = _wrapped(_plain(str(summary["verdict"])), verdict, width - 2 * unit)
    prompt_lines = _wrapped(f"“{summary['prompt']}”", small, width - 2 * unit)[:2]
    head, step = _head_height(width), round(1.35 * unit)
    foot = round(step * (len(verdict_lines) + 0.75 * len(prompt_lines) + 1.5))
    sheet = Image.new("RGB", (width + width % 2, head + height + foot + (head + height + foot) % 2))
    draw = ImageDraw.Draw(sheet)
    method = find_method(summary["method"]).title
    draw.rectangle((0, 0, *sheet.size), fill=GROUND)
    for at, name, seconds, colour in (
        (0, "Uncached", summary["baseline_seconds"], INK),
        ((width + GAP) // 2, method, summary["cached_seconds"], ACCENT),
    ):
        text = f"{name}: {seconds:.2f} s"
        draw.text((at + 0.6 * unit, head / 2), text, fill=colour, font=verdict, anchor="lm")
    y = head + height + 0.5 * step
    for line in verdict_lines:
        draw.text((unit, y), line, fill=INK, font=verdict)
        y += step
    for line in prompt_lines:
        draw.text((unit, y), line, fill=FAINT, font=small)
        y += 0.75 * step
    where = f"{summary['model']} · {str(summary['device']).partition(': ')[2] or summary['device']}"
    draw.text((unit, y), f"{where} · {SOURCE}", fill=FAINT, font=small)
    return sheet


def _wrapped(
    text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, room: float
) -> Sequence[str]:
    """Lines that are no wider than so many pixels."""
    letter = font.getlength("n")
    return textwrap.wrap(text, max(10, int(room / letter))) or [""]


def _plain(text: str) -> str:
    """The text without the sign that Pillow's own font lacks."""
    return text.replace("×", "x")
