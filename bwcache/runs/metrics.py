"""How far two videos differ, as a whole and frame by frame: PSNR, SSIM, and why LPIPS is absent.

These say how far one video moved from the other, not which of them is better.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torchmetrics.functional.image import (
    peak_signal_noise_ratio,
    structural_similarity_index_measure,
)

PSNR_CONVENTION = "one mean squared error over all pixels of all frames, peak value 1"
LPIPS_REASON = "needs torchvision and its AlexNet weights, which are not part of this installation"
MOST_GAIN = 32  # beyond this, rounding of the video file would be what one sees


def difference(frames: np.ndarray, reference: np.ndarray) -> dict[str, object]:
    """PSNR, SSIM and LPIPS between two videos.

    Args:
        frames: Float RGB `[frames, height, width, 3]` in 0-1.
        reference: Another of the same shape.

    Returns:
        `psnr_db` (dB; None where identical, since it is infinite there), `ssim`, `identical`,
        `lpips` (None) and `lpips_reason`; `frames_psnr_db` and `frames_ssim`, a number a frame.

    Raises:
        ValueError: The shapes differ.
    """
    _check(frames, reference)
    one, other = (torch.from_numpy(x).float().permute(0, 3, 1, 2) for x in (frames, reference))
    each = {"data_range": 1.0, "reduction": "none"}
    psnr = float(peak_signal_noise_ratio(one, other, data_range=1.0))
    frames_psnr = peak_signal_noise_ratio(one, other, dim=(1, 2, 3), **each).tolist()
    frames_ssim = structural_similarity_index_measure(one, other, **each)
    return {
        "psnr_db": _finite(psnr),
        "ssim": float(frames_ssim.mean()),
        "identical": bool(np.array_equal(frames, reference)),
        "lpips": None,
        "lpips_reason": LPIPS_REASON,
        "frames_psnr_db": [_finite(value) for value in frames_psnr],
        "frames_ssim": frames_ssim.tolist(),
    }


def apart(frames: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Distance of each pixel, mean over its colours: `[frames, height, width]` in 0-1."""
    _check(frames, reference)
    return np.abs(frames - reference).mean(axis=-1)


def difference_gain(distances: np.ndarray) -> int:
    """How often a picture of `distances` may be amplified, so that small ones can be seen.

    The largest whole number, 32 at most, that leaves the 99.9th percentile within 0-1.
    """
    top = float(np.percentile(distances, 99.9))
    return MOST_GAIN if top * MOST_GAIN <= 1 else max(1, int(round(1 / top, 3)))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _check(frames: np.ndarray, reference: np.ndarray) -> None:
    if frames.shape != reference.shape:
        raise ValueError(f"frames: {frames.shape} given, the reference has {reference.shape}")
