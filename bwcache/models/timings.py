"""How long a step takes here, remembered from the comparisons of this process. No torch."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from .spec import ModelSpec, Offload

WARM_UP_STEPS = 2  # that a pipeline runs once before it is timed
GUESSED_FLOPS = 8e13  # a second, of a card on which a model was never timed; rather too few


@dataclass(frozen=True)
class Timing:
    """What the last comparison of a model took.

    Args:
        step_seconds: Of a computed step, the median; measuring is left out.
        around_seconds: Of a run beside its denoising: text and decoding.
        computed_share: Of the cached run's steps, 0 to 1.
        offload: The mode it ran in.
    """

    step_seconds: float
    around_seconds: float
    computed_share: float
    offload: Offload

    def comparison_seconds(self, steps: int) -> float:
        """An uncached and a cached run of so many steps, estimated from the last ones."""
        computed = steps * (1 + self.computed_share)
        return self.step_seconds * computed + 2 * self.around_seconds


_lock = threading.Lock()
_learnt: dict[tuple, Timing] = {}


def remember(spec: ModelSpec, device: str, timing: Timing) -> None:
    """Keep what a comparison took, in place of the one before on the same device.

    Args:
        spec: The model's entry.
        device: "cpu", "cuda", or with the hardware behind it as results name it.
        timing: What it took.
    """
    with _lock:
        _learnt[_key(spec, device)] = timing


def last_timing(spec: ModelSpec, device: str) -> Timing | None:
    """What the last comparison of a model at its own size took; None where there was none.

    Args:
        spec: Its entry.
        device: "cpu", "cuda"…
    """
    with _lock:
        return _learnt.get(_key(spec, device))


def clear() -> None:
    """Let go of all that was learnt."""
    with _lock:
        _learnt.clear()


def _key(spec: ModelSpec, device: str) -> tuple:
    """A device is known by its kind: "cuda:0: NVIDIA H200" is "cuda"."""
    return spec.name, device.partition(":")[0], spec.shape


def guessed_seconds(spec: ModelSpec) -> float:
    """A rough guess at a step that was never timed, by the size of the model and of the video.

    Every token passes every weight, twice for guidance; attention is taken to cost as much again.
    """
    shape = spec.shape
    frames = (shape.num_frames - shape.frame_offset) // shape.frame_multiple + 1
    tokens = frames * (shape.height // shape.size_multiple) * (shape.width // shape.size_multiple)
    weights = 1e9 * spec.weights.parameters.get("transformer", 0.0)
    return 2 * 2 * (2 * weights * tokens) / GUESSED_FLOPS
