"""A folder laid out as on the Hugging Face hub → a pipeline on the CPU, as the catalogue says."""

from __future__ import annotations

from pathlib import Path

import diffusers
import torch
from diffusers import DiffusionPipeline

from .spec import ModelError, ModelSpec


def assemble(spec: ModelSpec, folder: Path) -> DiffusionPipeline:
    """The model's pipeline, each component in its own type, on the CPU.

    Args:
        spec: Its entry.
        folder: Its files; nothing is downloaded. Only safetensors are read, and no code.

    Raises:
        ModelError: A file is missing or damaged.
    """
    kind = getattr(diffusers, spec.pipeline)
    dtypes = {component: getattr(torch, name) for component, name in spec.dtypes.items()}
    try:
        pipe = kind.from_pretrained(
            str(folder), torch_dtype=dtypes, use_safetensors=True, local_files_only=True
        )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise ModelError(
            f"model: {spec.title} could not be loaded from {folder} ({first_line(error)}); delete "
            "that folder so that it is fetched anew, or use tinyworld"
        ) from error
    if spec.scheduler is not None:
        scheduler = getattr(diffusers, spec.scheduler)
        pipe.scheduler = scheduler.from_config(pipe.scheduler.config, **spec.scheduler_options)
    return pipe


def first_line(error: BaseException) -> str:
    """What an error says, in one short line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
