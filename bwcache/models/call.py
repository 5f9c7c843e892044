"""How a model's pipeline is called: its arguments, its picture, and two steps to warm up."""

from __future__ import annotations

import inspect
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import diffusers
import torch

from .replicas import at, pipeline_lock, place_of
from .spec import ModelSpec
from .start_picture import resized
from .timings import WARM_UP_STEPS

_warm: WeakSet = WeakSet()
_with_image: WeakKeyDictionary = WeakKeyDictionary()


def is_warm(pipe) -> bool:
    """Whether a pipeline has been warmed up."""
    return pipe in _warm


def warm_up(pipe, spec: ModelSpec, image: bytes | None = None) -> None:
    """Run a pipeline for two steps once, so that no measured run pays for first-time work."""
    with pipeline_lock(pipe):
        if pipe not in _warm:
            with at(place_of(pipe), seed=0):
                pipe(**call_arguments(spec, "", 0, WARM_UP_STEPS, image))
            _warm.add(pipe)


def warm_as(pipe, other) -> None:
    """A pipeline over the same modules as another is warm where that one is."""
    if other in _warm:
        _warm.add(pipe)


def call_arguments(
    spec: ModelSpec, prompt: str, seed: int, steps: int, image: bytes | None = None
) -> dict[str, object]:
    """What a pipeline of this model is called with; the noise is drawn on the CPU.

    A model that needs a picture gets a plain grey one where none is given: that is for warming up
    and for benchmarks.
    """
    pictured = image is not None or spec.image == "required"
    shape = spec.shape
    start = {"image": resized(image, shape.width, shape.height)} if pictured else {}
    return {
        **spec.call,
        **start,
        "prompt": prompt,
        "height": shape.height,
        "width": shape.width,
        spec.frames_argument: shape.num_frames,
        "num_inference_steps": steps,
        "generator": torch.Generator("cpu").manual_seed(seed),
        "output_type": "np",
    }


def with_image(pipe: Any, spec: ModelSpec) -> Any:
    """The pipeline that starts from a picture, made of the same components.

    Args:
        pipe: The entry's `DiffusionPipeline`, where it shall run.
        spec: Its `image_pipeline` is the class; where there is none, the pipeline itself.

    Returns:
        The same one every time. (`from_pipe` would do it too, but it casts all weights.)
    """
    if spec.image_pipeline is None:
        return pipe
    if pipe not in _with_image:
        kind = getattr(diffusers, spec.image_pipeline)
        taken = inspect.signature(kind.__init__).parameters
        given = {**pipe.config, **pipe.components}
        made = kind(**{name: value for name, value in given.items() if name in taken})
        made.set_progress_bar_config(**getattr(pipe, "_progress_bar_config", {}))
        if getattr(pipe, "_all_hooks", None):  # offloaded component by component
            made.enable_model_cpu_offload(device=pipe._offload_device)
        _with_image[pipe] = made
    return _with_image[pipe]
