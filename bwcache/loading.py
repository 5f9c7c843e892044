"""A model made ready, as a stream of what is being done; the pipelines of the last models kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Generator
from pathlib import Path
from typing import TypeVar

from .models import ASSETS, function
from .spec import ModelError, ModelSpec
from .stream import Loading

KEPT = 1
_kept: OrderedDict[tuple, object] = OrderedDict()
Result = TypeVar("Result")


def loading(
    spec: ModelSpec, device: str, random_weights: bool = False
) -> Generator[Loading, None, object]:
    """Make a model ready.

    Args:
        spec: Its entry.
        device: "cpu", "cuda"…
        random_weights: See `models.load`.

    Yields:
        What is being done, as it goes on; nothing where the model is ready already.

    Returns:
        The pipeline.

    Raises:
        ModelError: It cannot be loaded or does not run here.
    """
    key = (spec.name, spec.source, device, random_weights)
    if key not in _kept:
        while len(_kept) >= KEPT:
            _kept.popitem(last=False)
        yield Loading("load")
        _kept[key] = build(spec, device, random_weights)
    _kept.move_to_end(key)
    return _kept[key]


def forget() -> None:
    """Let go of every pipeline that is kept."""
    _kept.clear()


def build(spec: ModelSpec, device: str, random_weights: bool):
    """The pipeline, made anew on a device."""
    if random_weights:
        if spec.random_builder is None:
            raise ModelError(f"model: {spec.title} has no random-weight version; use tinyworld")
        pipe = function(spec.random_builder)(spec, device)
    else:
        if spec.needs_cuda and not device.startswith("cuda"):
            raise ModelError(f"model: {spec.title} needs a CUDA GPU; use tinyworld on this machine")
        pipe = function(spec.loader)(spec, _folder(spec)).to(device)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _folder(spec: ModelSpec) -> Path:
    return Path(spec.source) if spec.on_hub else ASSETS / spec.source


def result_of(steps: Generator[object, None, Result]) -> Result:
    """Run a generator to its end, and give what it returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value
