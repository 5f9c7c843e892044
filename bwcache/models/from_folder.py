"""A folder laid out as on the Hugging Face hub → a pipeline on the CPU, as the catalogue says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import DiffusionPipeline

from ..errors import ModelError, first_line
from ..files import parse_json, read_bytes
from .hub.local_files import INDEX
from .spec import ModelSpec

LIBRARIES = ("diffusers", "transformers")


def assemble(spec: ModelSpec, folder: Path) -> DiffusionPipeline:
    """The model's pipeline, each component in its own type, on the CPU.

    Args:
        spec: Its entry.
        folder: Its files; nothing is downloaded. Only safetensors are read, and no code.

    Raises:
        ModelError: A file is missing or damaged, or the folder asks for code of its own.
    """
    kind = getattr(diffusers, spec.pipeline)
    dtypes = {component: getattr(torch, name) for component, name in spec.weights.dtypes.items()}
    try:
        foreign = _foreign_code(spec, parse_json(read_bytes(folder / INDEX)))
        if foreign:
            raise ModelError(
                f"model: {spec.title} asks for code that is not run here ({foreign}); in place of "
                f"{folder} use a repository made of diffusers' and transformers' own classes, or "
                "tinyworld"
            )
        pipe = kind.from_pretrained(
            str(folder), dtype=dtypes, use_safetensors=True, local_files_only=True
        )
    except ModelError:
        raise
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"model: {spec.title} could not be loaded ({first_line(error)}); delete {folder} so "
            "that it is fetched anew, or use tinyworld"
        ) from error
    return settle(pipe, spec)


def _foreign_code(spec: ModelSpec, index: dict[str, object]) -> str | None:
    """What an index names that is not the entry's pipeline or a class of the two libraries."""
    if (pipeline := index.get("_class_name")) != spec.pipeline:
        return f"the pipeline is {pipeline}, not {spec.pipeline}"
    for name, kind in index.items():
        if isinstance(kind, list) and any(kind) and kind[0] not in LIBRARIES:
            return f"component {name} is {'.'.join(map(str, kind))}"
    return None


def settle(pipe: Any, spec: ModelSpec) -> Any:
    """Give a pipeline the entry's scheduler and way of decoding."""
    if spec.scheduler is not None:
        scheduler = getattr(diffusers, spec.scheduler)
        pipe.scheduler = scheduler.from_config(pipe.scheduler.config, **spec.scheduler_options)
    if spec.vae_tiling:
        pipe.vae.enable_tiling()
    return pipe
