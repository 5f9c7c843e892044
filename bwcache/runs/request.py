"""What is asked of a comparison, checked once and then immutable."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..cache.method import Method
from ..cache.methods.bwcache import BWCacheConfig
from ..errors import ConfigError
from .controls import Control, check_control

MAX_STEPS, MAX_PROMPT, MAX_SEED = 200, 1000, 2**32 - 1


@dataclass(frozen=True)
class Request:
    """One comparison to make.

    Args:
        prompt: What the video shows, 1 to 1000 characters.
        model: Catalogue name.
        steps: Denoising steps, 2 to 200.
        seed: Of the initial noise, 0 to 2^32 - 1.
        config: The caching method and its settings.
        control: Also make an uncached run of as much work as the cached one: see `controls.py`
            for the kinds; True is "fewer".
        random_weights: Use the model with seeded random weights.
        image: The picture to start from, as a PNG, JPEG or WebP file holds it; None for none.
            Checked where it comes in, by `start_picture.read`.
        sequential: Make one run after the other instead of in turns: each run's peak memory is
            known then, and its time is its own to be disturbed.

    Raises:
        ConfigError: A field is of the wrong kind or out of its bounds.
    """

    prompt: str
    model: str = "tinyworld"
    steps: int = 30
    seed: int = 0
    config: Method = field(default_factory=BWCacheConfig)
    control: bool | Control = False
    random_weights: bool = False
    image: bytes | None = None
    sequential: bool = False

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
        check_control(self.control)
        if not isinstance(self.image, bytes | None):
            raise ConfigError("image", self.image, "a picture file's bytes, or none")

    @property
    def control_kind(self) -> Control | None:
        """Which control run is asked for, if one is."""
        return check_control(self.control)

    @property
    def baseline_key(self) -> tuple[object, ...]:
        """What the uncached run depends on; the method and its settings are no part of it."""
        made_of = (self.model, self.prompt, self.image, self.steps, self.seed)
        return (*made_of, self.random_weights)
