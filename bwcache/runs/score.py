"""How far video files differ: one pair, or all pairs of the same name in two folders."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from ..errors import ConfigError, first_line
from .metrics import PSNR_CONVENTION, difference
from .perceptual import VMAF_CONVENTION
from .summary import METRICS
from .video import read_frames

SUFFIXES = (".mp4", ".webm", ".mov", ".mkv", ".avi", ".gif")
NUMBERS = {"psnr": "psnr_db", "ssim": "ssim", "vmaf": "vmaf", "lpips": "lpips"}
WITH_REASON = ("vmaf", "lpips")


def score(video: Path, reference: Path, metrics: Collection[str] = METRICS) -> dict[str, Any]:
    """How far a video file is from another.

    Returns:
        `frames`, `height`, `width`, `identical`, and of the metrics asked for `psnr_db` (None
        where identical), `ssim`, `vmaf` and `vmaf_reason`, `lpips` and `lpips_reason`: a score or
        why there is none.

    Raises:
        ConfigError: One cannot be read, or they are not of the same size and length.
    """
    one, other = read_frames(video), read_frames(reference)
    if one.shape != other.shape:
        raise ConfigError("video", str(video), f"one of {_size(other)}, not {_size(one)}")
    found = vars(difference(one, other, metrics))
    names = ["identical"]
    for metric in METRICS:
        if metric in metrics:
            names += [NUMBERS[metric], *([f"{metric}_reason"] if metric in WITH_REASON else [])]
    frames, height, width = one.shape[:3]
    size = {"frames": frames, "height": height, "width": width}
    return size | {name: found[name] for name in names}


def pairs(video: Path, reference: Path) -> tuple[list[tuple[str, Path, Path]], list[str]]:
    """What is to be compared: two files, or the files of the same name in two folders.

    Returns:
        Name and both paths of each pair, and the names of files without a counterpart.

    Raises:
        ConfigError: One is missing, one is a folder and the other is not, or no name is in both.
    """
    for path in (video, reference):
        if not path.exists():
            raise ConfigError("video", str(path), "a video file or a folder of them that is there")
    if video.is_dir() != reference.is_dir():
        raise ConfigError("video", str(reference), "two files or two folders")
    if not video.is_dir():
        return [(video.name, video, reference)], []
    ours, theirs = _videos(video), _videos(reference)
    both = [(name, ours[name], theirs[name]) for name in sorted(ours.keys() & theirs.keys())]
    if not both:
        allowed = f"a folder that shares the name of a video with {reference}"
        raise ConfigError("video", str(video), allowed)
    return both, sorted(ours.keys() ^ theirs.keys())


def scores(
    found: Sequence[tuple[str, Path, Path]], metrics: Collection[str] = METRICS
) -> Iterator[dict[str, Any]]:
    """The score of each pair, with its `name`; of one that cannot be compared the `error`."""
    for name, video, reference in found:
        try:
            yield {"name": name, **score(video, reference, metrics)}
        except ConfigError as error:
            yield {"name": name, "error": first_line(error)}


def means(rows: Sequence[Mapping[str, Any]], metrics: Collection[str] = METRICS) -> dict[str, Any]:
    """The mean of each number over the pairs that have it, and over how many.

    PSNR is infinite for identical videos: they are left out there, and counted as `identical`.
    """
    found: dict[str, Any] = {"identical": sum(bool(row.get("identical")) for row in rows)}
    for metric in METRICS:
        if metric in metrics:
            name = NUMBERS[metric]
            values = [row[name] for row in rows if row.get(name) is not None]
            found[name] = fmean(values) if values else None
            found[f"{name}_videos"] = len(values)
    return found


def conventions(metrics: Collection[str]) -> dict[str, str]:
    """How the numbers are taken, where that differs between programs."""
    known = {"psnr": PSNR_CONVENTION, "vmaf": VMAF_CONVENTION}
    return {name: text for name, text in known.items() if name in metrics}


def _videos(folder: Path) -> dict[str, Path]:
    return {
        path.relative_to(folder).as_posix(): path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and path.is_file()
    }


def _size(frames: Any) -> str:
    return f"{len(frames)} frames of {frames.shape[2]}x{frames.shape[1]}"
