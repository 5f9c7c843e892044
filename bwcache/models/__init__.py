"""The catalogue's door: find a model, check a prompt and a picture. No torch.

`bwcache.models.loading.load` makes the pipeline.
"""

from __future__ import annotations

import importlib
from types import ModuleType

from ..errors import ConfigError, ModelError
from .catalogue import CATALOGUE
from .spec import ModelSpec, Preset

__all__ = [
    "CATALOGUE",
    "ModelError",
    "ModelSpec",
    "Preset",
    "check_image",
    "check_prompt",
    "find",
    "function",
]


def find(name: object) -> ModelSpec:
    """The catalogue's entry of that name.

    Raises:
        ConfigError: There is none.
    """
    if not isinstance(name, str) or name not in CATALOGUE:
        raise ConfigError("model", name, ", ".join(CATALOGUE))
    return CATALOGUE[name]


def check_prompt(spec: ModelSpec, prompt: str) -> None:
    """Refuse a prompt that the model cannot understand.

    Raises:
        ConfigError: Naming what is not understood and what would be.
    """
    if spec.prompt_check is not None:
        function(spec.prompt_check)(prompt)


def prompt_menus(spec: ModelSpec) -> ModuleType | None:
    """What a form builds prompts for the model with; None where there is free text alone."""
    return importlib.import_module(spec.prompt_menus) if spec.prompt_menus else None


def earlier_weights(name: str, version: str) -> str | None:
    """That something was made with other weights of a model than today's; None where it was not.

    Args:
        name: In the catalogue.
        version: Of the weights it was made with, as `ModelSpec.version`.
    """
    spec = CATALOGUE.get(name)
    if spec is None or spec.version == version:
        return None
    return (
        f"made with version {version} of {spec.title}; today's is version {spec.version}, "
        "which other thresholds fit"
    )


def check_image(spec: ModelSpec, image: object) -> None:
    """Refuse a picture that the model cannot take, or the lack of one that it needs.

    Args:
        spec: The model's entry.
        image: The picture in any form, which is not looked at; None for none.

    Raises:
        ConfigError: Naming the field and the models that would do.
    """
    if image is not None and spec.image == "none":
        taking = [other.name for other in CATALOGUE.values() if other.image != "none"]
        instead = f", or one of {', '.join(taking)}" if taking else ""
        raise ConfigError("image", "a picture", f"none for {spec.name}{instead}")
    if image is None and spec.image == "required":
        raise ConfigError("image", None, f"a picture, which {spec.name} starts from")


def function(path: str):
    """What an entry's "module:function" names."""
    module, name = path.split(":")
    return getattr(importlib.import_module(module), name)
