"""The catalogue's door: find a model, check a prompt, load a pipeline; no torch until then."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

from ..errors import ConfigError, ModelError
from ..files import ASSETS
from .catalogue import CATALOGUE
from .spec import ModelSpec, Preset

__all__ = [
    "ASSETS",
    "CATALOGUE",
    "ModelError",
    "ModelSpec",
    "Preset",
    "available",
    "check_image",
    "check_prompt",
    "find",
    "function",
    "load",
]


def find(name: object) -> ModelSpec:
    """The catalogue's entry of that name.

    Raises:
        ConfigError: There is none.
    """
    if not isinstance(name, str) or name not in CATALOGUE:
        raise ConfigError("model", name, ", ".join(CATALOGUE))
    return CATALOGUE[name]


def available(has_cuda: bool) -> list[ModelSpec]:
    """The models that can run on this machine, best known to run first."""
    return [spec for spec in CATALOGUE.values() if has_cuda or not spec.needs_cuda]


def check_prompt(spec: ModelSpec, prompt: str) -> None:
    """Refuse a prompt that the model cannot understand.

    Raises:
        ConfigError: Naming what is not understood and what would be.
    """
    if spec.prompt_check is not None:
        function(spec.prompt_check)(prompt)


def check_image(spec: ModelSpec, image: bytes | None) -> None:
    """Refuse a picture that the model cannot take, or the lack of one that it needs.

    Raises:
        ConfigError: Naming the field and the models that would do.
    """
    if image is not None and spec.image == "none":
        taking = [other.name for other in CATALOGUE.values() if other.image != "none"]
        instead = f", or one of {', '.join(taking)}" if taking else ""
        raise ConfigError("image", f"{len(image)} bytes", f"none for {spec.name}{instead}")
    if image is None and spec.image == "required":
        raise ConfigError("image", None, f"a picture, which {spec.name} starts from")


def function(path: str):
    """What an entry's "module:function" names."""
    module, name = path.split(":")
    return getattr(importlib.import_module(module), name)


def load(
    name: str,
    device: str,
    random_weights: bool = False,
    tell: Callable[[object], None] = lambda event: None,
):
    """The model's pipeline on a device, ready to be called; loaded once, then kept.

    Args:
        name: Catalogue name.
        device: "cpu", "cuda"…
        random_weights: Build it with seeded random weights instead: nothing is downloaded, every
            shape and every cost is the real one, and the videos show nothing. Runs on any machine
            with the memory for it.
        tell: Called with each `stream.Loading` of what is being done.

    Raises:
        ConfigError: The name is not in the catalogue.
        ModelError: It cannot be loaded or does not run here.
    """
    from .loading import loading, result_of  # torch takes seconds to load; looking up does without

    return result_of(loading(find(name), device, random_weights, warm=False), tell).pipe
