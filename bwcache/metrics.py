"""How far two videos differ: PSNR and SSIM on raw decoded frames, and why LPIPS is absent.

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


def difference(frames: np.ndarray, reference: np.ndarray) -> dict[str, object]:
    """PSNR, SSIM and LPIPS between two videos.

    Args:
        frames: Float RGB `[frames, height, width, 3]` in 0-1.
        reference: Another of the same shape.

    Returns:
        `psnr_db` (dB; None where identical, since it is infinite there), `ssim`, `identical`,
        `lpips` (None) and `lpips_reason`.

    Raises:
        ValueError: The shapes differ.
    """
    if frames.shape != reference.shape:
        raise ValueError(f"frames: {frames.shape} given, the reference has {reference.shape}")
    one, other = (torch.from_numpy(x).float().permute(0, 3, 1, 2) for x in (frames, reference))
    psnr = float(peak_signal_noise_ratio(one, other, data_range=1.0))
    ssim = float(structural_similarity_index_measure(one, other, data_range=1.0))
    return {
        "psnr_db": psnr if math.isfinite(psnr) else None,
        "ssim": ssim,
        "identical": bool(np.array_equal(frames, reference)),
        "lpips": None,
        "lpips_reason": LPIPS_REASON,
    }
