"""What is asked of a comparison, and what it reports while it runs.

Frozen records that may cross a process boundary: no tensors, pictures as bytes or NumPy arrays.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ..cache.methods.bwcache import BWCacheConfig
from ..cache.trace import StepRecord, Trace, TraceFile
from ..errors import ConfigError
from ..models import start_picture as picture
from ..models.progress import Loading
from ..models.spec import Offload

RunName = Literal["baseline", "cached", "control"]
MAX_STEPS, MAX_PROMPT, MAX_SEED = 200, 1000, 2**32 - 1


@dataclass(frozen=True)
class Request:
    """One comparison to make.

    Args:
        prompt: What the video shows, 1 to 1000 characters.
        model: Catalogue name.
        steps: Denoising steps, 2 to 200.
        seed: Of the initial noise, 0 to 2^32 - 1.
        config: The caching settings.
        control: Also run uncached with as many steps as the cached run computed.
        random_weights: Use the model with seeded random weights.
        image: The picture to start from, as a PNG, JPEG or WebP file holds it; None for none.

    Raises:
        ConfigError: A field is of the wrong kind or out of its bounds.
    """

    prompt: str
    model: str = "tinyworld"
    steps: int = 30
    seed: int = 0
    config: BWCacheConfig = field(default_factory=BWCacheConfig)
    control: bool = False
    random_weights: bool = False
    image: bytes | None = None

    def __post_init__(self) -> None:
        allowed = f"1 to {MAX_PROMPT} characters of text"
        if not isinstance(self.prompt, str) or not self.prompt.strip():
            raise ConfigError("prompt", self.prompt, allowed)
        if len(self.prompt) > MAX_PROMPT:
            raise ConfigError("prompt", f"{len(self.prompt)} characters", allowed)
        for name, low, high in (("steps", 2, MAX_STEPS), ("seed", 0, MAX_SEED)):
            value = getattr(self, name)
            whole = isinstance(value, int) and not isinstance(value, bool)
            if not whole or not low <= value <= high:
                raise ConfigError(name, value, f"a whole number from {low} to {high}")
        if self.image is not None:
            picture.check(self.image)

    @property
    def baseline_key(self) -> tuple[object, ...]:
        """What the uncached run and its measurement depend on; the threshold is no part of it."""
        made_of = (self.model, self.prompt, self.image, self.steps, self.seed)
        return (*made_of, self.random_weights, self.config.measuring())


@dataclass(frozen=True)
class RunStarted:
    """A run begins. `remembered`: it was made earlier, and its record follows at once."""

    run: RunName
    num_steps: int
    remembered: bool = False


@dataclass(frozen=True)
class StepDone:
    """A step has finished. `preview`: a small WebP picture of the latents so far, or None."""

    run: RunName
    record: StepRecord
    preview: bytes | None = None


@dataclass(frozen=True)
class RunFinished:
    """A run is complete.

    Args:
        run: Which.
        trace: Its steps.
        frames: The raw decoded video, float32 RGB `[frames, height, width, 3]` in 0-1.
        total_seconds: From the call of the pipeline to its frames: text, denoising, decoding.
        peak_memory_bytes: Of the device during the run; of the whole process on a CPU.
        remembered: Whether it was made earlier.
        offload: How the model was put on the device; runs of different modes do not compare.
    """

    run: RunName
    trace: Trace
    frames: np.ndarray
    total_seconds: float
    peak_memory_bytes: int
    remembered: bool = False
    offload: Offload = "none"


@dataclass(frozen=True)
class ComparisonFinished:
    """All runs are complete: the summary as in `summary.json`, and the trace of both."""

    summary: dict[str, object]
    trace_file: TraceFile
    runs: tuple[RunFinished, ...]


Event = Loading | RunStarted | StepDone | RunFinished | ComparisonFinished
