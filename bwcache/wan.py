"""Load a Wan 2.1 text-to-video model from the Hugging Face hub, or from a folder laid out alike."""

from __future__ import annotations

import torch
from diffusers import AutoencoderKLWan, UniPCMultistepScheduler, WanPipeline

from .models import ModelError, ModelSpec


def load(spec: ModelSpec, device: str) -> WanPipeline:
    """The model's pipeline, on a device.

    Args:
        spec: `source` is a hub repository or a local folder; `flow_shift` goes to the scheduler.
        device: Where it shall run.

    Returns:
        Transformer and text encoder in bfloat16, autoencoder in float32, as published.

    Raises:
        ModelError: The repository cannot be reached or read, or a file in it is damaged.
    """
    common = {"revision": spec.revision, "use_safetensors": True}
    try:
        vae = AutoencoderKLWan.from_pretrained(
            spec.source, subfolder="vae", torch_dtype=torch.float32, **common
        )
        pipe = WanPipeline.from_pretrained(
            spec.source, vae=vae, torch_dtype=torch.bfloat16, **common
        )
    except (OSError, ValueError, RuntimeError) as error:
        first_line = str(error).strip().splitlines()[0]
        raise ModelError(
            f"model: {spec.title} could not be loaded from {spec.source} ({first_line}); "
            "check the network and the disk, or use tinyworld"
        ) from error
    pipe.scheduler = UniPCMultistepScheduler.from_config(
        pipe.scheduler.config, flow_shift=spec.flow_shift
    )
    return pipe.to(device)
