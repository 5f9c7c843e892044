"""A few hundred bytes that show what the latents hold so far. Knows nothing of runs."""

from __future__ import annotations

import io
from typing import Any

import torch
from PIL import Image

EDGE, MAX_BYTES = 32, 400


@torch.no_grad()
def latent_preview(pipe, latents: torch.Tensor | None, frames_axis: int = 2) -> bytes | None:
    """A WebP picture of the middle frame, or None where the latents have no picture's shape.

    Args:
        pipe: Its `vae` may offer `decode_linear`, as TinyWorld's does; other latents are shown in
            false colours, each a third of the channels.
        latents: `[B, C, T, h, w]`, or `[B, T, C, h, w]`, any device and floating dtype; or
            `[B, C, h, w]`, one frame, as pipelines step that give each its own timestep. Packed
            ones `[B, S, C]` have no picture's shape.
        frames_axis: Which of them T is, 2 or 1.

    Returns:
        At most 400 bytes, 32 pixels on the longer edge.
    """
    if latents is None or latents.ndim not in (4, 5):
        return None
    latents = latents.movedim(frames_axis, 2) if latents.ndim == 5 else latents.unsqueeze(2)
    middle = latents.shape[2] // 2
    frame = latents[:1, :, middle : middle + 1].float()
    vae: Any = getattr(pipe, "vae", None)
    if hasattr(vae, "decode_linear"):
        std = frame.new_tensor(vae.config.latents_std).view(1, -1, 1, 1, 1)
        picture = vae.decode_linear(frame * std)[0, :, -1] / 2 + 0.5
    else:
        thirds = frame[0, :, 0].tensor_split(3)
        picture = torch.stack([third.mean(0) for third in thirds])
        spread = picture.std().clamp_min(1e-6)
        picture = (picture - picture.mean()) / (4 * spread) + 0.5
    pixels = picture.nan_to_num(0.5).clamp(0, 1).mul(255).byte().permute(1, 2, 0).cpu().numpy()
    image = Image.fromarray(pixels)
    image.thumbnail((EDGE, EDGE), Image.Resampling.BOX)
    for quality in (60, 30, 10, 0):
        buffer = io.BytesIO()
        image.save(buffer, "WEBP", quality=quality, method=4)
        if buffer.tell() <= MAX_BYTES:
            return buffer.getvalue()
    return None
