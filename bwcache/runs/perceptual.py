"""Scores that were fitted to what people see, where this machine has what they need.

VMAF by the ffmpeg that imageio-ffmpeg brings, its model built in; LPIPS by torchmetrics where
torchvision and its AlexNet weights are already here. Nothing is downloaded.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import torch

VMAF_CONVENTION = (
    "vmaf_v0.6.1, mean over frames; RGB to 4:4:4 without loss; videos of fewer than 1080 lines are "
    "enlarged to 1080 (bicubic), the size that the model was made for"
)
VMAF_LINES = 1080  # what vmaf_v0.6.1 was trained on, seen from three screen heights
PATIENCE = 600.0  # seconds
MOST_THREADS = 8
ALEXNET = "alexnet-owt-7be5be79.pth"  # as torchvision names it in torch's hub folder
LPIPS_EDGE = 64  # pixels: AlexNet's layers leave nothing of less
LPIPS_FRAMES = 8  # at a time, which bounds memory


@dataclass(frozen=True)
class Score:
    """A score, or why there is none: one of the two is None."""

    value: float | None = None
    reason: str | None = None


def vmaf(frames: np.ndarray, reference: np.ndarray) -> Score:
    """VMAF of a video against another: 0 to 100, the higher the more alike.

    Args:
        frames: Float RGB `[frames, height, width, 3]` in 0-1.
        reference: Another of the same shape.

    Returns:
        Two identical videos score a little below 100 where little moves in them: so the model
        has it. None where no ffmpeg here has libvmaf, or it fails.
    """
    try:
        executable = imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError:
        return Score(reason="needs ffmpeg, which imageio-ffmpeg has not brought here")
    if not _has_libvmaf(executable):
        return Score(reason="the ffmpeg that imageio-ffmpeg brings here has no libvmaf")
    with tempfile.TemporaryDirectory(prefix="bwcache-vmaf-") as name:
        folder = Path(name)
        try:
            for part, pictures in (("main", frames), ("reference", reference)):
                raw = (pictures.clip(0, 1) * 255).round().astype(np.uint8)
                (folder / part).write_bytes(raw.tobytes())
            return _run_libvmaf(executable, folder, *frames.shape[1:3])
        except (OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
            return Score(reason=f"ffmpeg's libvmaf failed: {type(error).__name__}")


def _run_libvmaf(executable: str, folder: Path, height: int, width: int) -> Score:
    size = f"scale=-2:{VMAF_LINES}:flags=bicubic+accurate_rnd+full_chroma_int,"
    prepared = f"{size if height < VMAF_LINES else ''}format=yuv444p"
    threads = min(MOST_THREADS, os.cpu_count() or 1)
    graph = (
        f"[0:v]{prepared}[main];[1:v]{prepared}[reference];"
        f"[main][reference]libvmaf=log_fmt=json:log_path=log.json:n_threads={threads}"
    )
    raw = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", "25", "-i")
    command = [executable, "-nostdin", "-hide_banner", "-loglevel", "error"]
    command += [*raw, "main", *raw, "reference", "-lavfi", graph, "-f", "null", "-"]
    done = subprocess.run(command, cwd=folder, capture_output=True, timeout=PATIENCE, check=False)
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        return Score(reason=f"ffmpeg's libvmaf failed: {lines[-1][:60]}")
    log = json.loads((folder / "log.json").read_text(encoding="utf-8"))
    return Score(float(log["pooled_metrics"]["vmaf"]["mean"]))


@cache
def _has_libvmaf(executable: str) -> bool:
    command = [executable, "-hide_banner", "-filters"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
    except (OSError, subprocess.SubprocessError):
        return False
    return b" libvmaf " in done.stdout


def lpips(frames: np.ndarray, reference: np.ndarray) -> Score:
    """LPIPS (AlexNet) of a video against another, mean over frames: 0 for identical ones.

    Args:
        frames, reference: As of `vmaf`.

    Returns:
        None where torchvision or its weights are not here, or the pictures are too small.
    """
    if importlib.util.find_spec("torchvision") is None:
        return Score(reason="needs torchvision, which is not part of this installation")
    weights = Path(torch.hub.get_dir()) / "checkpoints" / ALEXNET
    if not weights.is_file():
        return Score(reason=f"needs AlexNet's weights, {ALEXNET}, in torch's hub folder")
    if min(frames.shape[1:3]) < LPIPS_EDGE:
        return Score(reason=f"needs pictures of {LPIPS_EDGE} pixels at least")
    from torchmetrics.functional.image import learned_perceptual_image_patch_similarity as measure

    one, other = (torch.from_numpy(x).float().permute(0, 3, 1, 2) for x in (frames, reference))
    pairs = zip(*(x.clamp(0, 1).split(LPIPS_FRAMES) for x in (one, other)), strict=True)
    with torch.inference_mode():
        sums = [float(measure(a, b, reduction="sum", normalize=True)) for a, b in pairs]
    return Score(sum(sums) / len(frames))
