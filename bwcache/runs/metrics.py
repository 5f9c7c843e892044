"""How far two videos differ, as a whole and frame by frame.

These say how far one video moved from the other, not which of them is better.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torchmetrics.functional.image import (
    peak_signal_noise_ratio,
    structural_similarity_index_measure,
)

from . import perceptual

PSNR_CONVENTION = "one mean squared error over all pixels of all frames, peak value 1"
NOT_ASKED = "not asked for"
AS_SEEN = ("vmaf", "lpips")  # take a second or more; the others come for nothing
AsSeen = bool | Collection[str]
MOST_GAIN = 32  # beyond this, rounding of the video file would be what one sees


@dataclass(frozen=True)
class Difference:
    """How far a video is from another.

    Args:
        psnr_db: In dB; None where identical, since it is infinite there.
        ssim: The mean over frames.
        identical: Whether each pixel is the same.
        vmaf: 0 to 100, the higher the more alike; None for the reason in `vmaf_reason`.
        lpips: 0 where identical; None for the reason in `lpips_reason`.
        frames_psnr_db, frames_ssim: A number a frame.
    """

    psnr_db: float | None
    ssim: float
    identical: bool
    vmaf: float | None
    vmaf_reason: str | None
    lpips: float | None
    lpips_reason: str | None
    frames_psnr_db: list[float | None]
    frames_ssim: list[float]


def sound_difference_db(sound: np.ndarray, reference: np.ndarray) -> float | None:
    """How far a sound is from another: signal-to-noise ratio in dB, of the reference's energy.

    Args:
        sound: Samples, floats of any shape.
        reference: Another of the same shape.

    Returns:
        Higher is more alike; None where identical, since it is infinite there.

    Raises:
        ValueError: The shapes differ.
    """
    if sound.shape != reference.shape:
        raise ValueError(f"sound: shapes {sound.shape} and {reference.shape} differ")
    noise = float(np.square(sound.astype(float) - reference).sum())
    if not noise:
        return None
    energy = float(np.square(reference.astype(float)).sum())
    return 10 * math.log10(energy / noise) if energy else -math.inf


def difference(frames: np.ndarray, reference: np.ndarray, as_seen: AsSeen = False) -> Difference:
    """How far a video is from another, as a whole and frame by frame.

    Args:
        frames: Float RGB `[frames, height, width, 3]` in 0-1.
        reference: Another of the same shape.
        as_seen: Whether VMAF and LPIPS are asked for, which take a second or more; or which of
            them, "vmaf" and "lpips".

    Raises:
        ValueError: The shapes differ.
    """
    _check(frames, reference)
    one, other = _pictures(frames), _pictures(reference)
    frames_psnr = peak_signal_noise_ratio(
        one, other, data_range=1.0, reduction="none", dim=(1, 2, 3)
    )
    frames_ssim = cast(
        torch.Tensor,
        structural_similarity_index_measure(one, other, data_range=1.0, reduction="none"),
    )
    # where a picture is even and its variance rounds to less than nothing, SSIM would not be one
    alike = (one == other).flatten(1).all(dim=1)
    frames_ssim = torch.where(alike, torch.ones_like(frames_ssim), frames_ssim)
    vmaf = lpips = perceptual.Score(reason=NOT_ASKED)
    asked = AS_SEEN if as_seen is True else as_seen or ()
    if "vmaf" in asked:
        vmaf = perceptual.vmaf(frames, reference)
    if "lpips" in asked:
        lpips = perceptual.lpips(frames, reference)
    return Difference(
        psnr_db=psnr(frames, reference),
        ssim=float(frames_ssim.mean()),
        identical=bool(np.array_equal(frames, reference)),
        vmaf=vmaf.value,
        vmaf_reason=vmaf.reason,
        lpips=lpips.value,
        lpips_reason=lpips.reason,
        frames_psnr_db=[_finite(value) for value in frames_psnr.tolist()],
        frames_ssim=frames_ssim.tolist(),
    )


def psnr(frames: np.ndarray, reference: np.ndarray) -> float | None:
    """PSNR as `difference` tells it, without what takes longer.

    Args:
        frames, reference: See `difference`.

    Returns:
        dB; None where identical, since it is infinite there.

    Raises:
        ValueError: The shapes differ.
    """
    _check(frames, reference)
    found = peak_signal_noise_ratio(_pictures(frames), _pictures(reference), data_range=1.0)
    return _finite(float(found))


def pixel_distance(frames: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Distance of each pixel, mean over its colours: `[frames, height, width]` in 0-1."""
    _check(frames, reference)
    return np.abs(frames - reference).mean(axis=-1)


def difference_gain(distances: np.ndarray) -> int:
    """How often a picture of `distances` may be amplified, so that small ones can be seen.

    The largest whole number, 32 at most, that leaves the 99.9th percentile within 0-1.
    """
    top = float(np.percentile(distances, 99.9))
    return MOST_GAIN if top * MOST_GAIN <= 1 else max(1, int(round(1 / top, 3)))


def _pictures(frames: np.ndarray) -> torch.Tensor:
    """As torchmetrics wants them: `[frames, 3, height, width]`, float32."""
    return torch.from_numpy(frames).float().permute(0, 3, 1, 2)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _check(frames: np.ndarray, reference: np.ndarray) -> None:
    if frames.shape != reference.shape:
        raise ValueError(f"frames: {frames.shape} given, the reference has {reference.shape}")
