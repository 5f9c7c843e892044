"""What a benchmark runs on: model, device, prompts, steps and size, checked once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property

import torch

from .. import models
from ..cache.methods.bwcache import BWCacheConfig
from ..errors import ConfigError
from ..files import ASSETS
from ..models import ModelSpec
from ..models.call import call_arguments
from ..models.loading import load
from ..models.machine import default_device, describe_device, versions
from ..runs.baselines import measuring
from ..runs.request import Request

PROMPTS = ASSETS / "prompts" / "prompts.txt"
ALWAYS_MET = 1e6  # a threshold above any indicator of random weights
MAX_ROUNDS = 1000


@dataclass(frozen=True)
class Workload:
    """A model at some size, on a device.

    Args:
        model: Catalogue name.
        device: "cpu" or "cuda"; the best there is where None.
        random_weights: Build it with seeded random weights, downloading nothing.
        steps: Denoising steps; the model's default where None.
        seed: Of the initial noise.
        prompts: What the videos show; each benchmark has its own default.
        height, width: In pixels, as the model's entry allows; its own where None.
        frames: Likewise.
        tell: Called with each `Loading` while the model is made ready.

    Raises:
        ConfigError: A field is of the wrong kind or out of its bounds.
    """

    model: str = "tinyworld"
    device: str | None = None
    random_weights: bool = False
    steps: int | None = None
    seed: int = 0
    prompts: tuple[str, ...] = ()
    height: int | None = None
    width: int | None = None
    frames: int | None = None
    tell: Callable[[object], None] = field(default=lambda event: None, compare=False, repr=False)

    def __post_init__(self) -> None:
        spec = self.spec
        for prompt in self.prompts or spec.examples[:1]:
            Request(prompt, self.model, spec.steps, self.seed)
            models.check_prompt(spec, prompt)
        models.find(self.model).shape.check(
            spec.shape.height, spec.shape.width, spec.shape.num_frames
        )
        if self.device not in (None, "cpu", "cuda"):
            raise ConfigError("device", self.device, "cpu or cuda")
        if self.device == "cuda" and not torch.cuda.is_available():
            raise ConfigError("device", self.device, "cpu, since this machine has no CUDA GPU")

    def __reduce__(self) -> tuple:
        """As another process gets it: what it is, but nobody to tell."""
        return type(self), tuple(getattr(self, each.name) for each in fields(self)[:-1])

    @cached_property
    def spec(self) -> ModelSpec:
        """The catalogue's entry, with the steps and the size asked for."""
        spec = models.find(self.model)
        asked = {"height": self.height, "width": self.width, "num_frames": self.frames}
        shape = replace(spec.shape, **{k: size for k, size in asked.items() if size is not None})
        steps = spec.steps if self.steps is None else self.steps
        return replace(spec, steps=steps, shape=shape)

    @property
    def place(self) -> str:
        """The device's name."""
        return self.device or default_device()

    def pipe(self):
        """The model's pipeline, see `bwcache.models.loading.load`."""
        return load(self.model, self.place, self.random_weights, self.tell)

    @property
    def prompt(self) -> str:
        """The one prompt of a benchmark that needs no more.

        Raises:
            ConfigError: Several are given.
        """
        if len(self.prompts) > 1:
            raise ConfigError("prompt", f"{len(self.prompts)} prompts", "one for this benchmark")
        return (self.prompts or self.spec.examples)[0]

    @property
    def many_prompts(self) -> tuple[str, ...]:
        """The prompts of a benchmark that takes a mean over some."""
        if self.prompts:
            return self.prompts
        if PROMPTS.exists():
            return tuple(filter(None, PROMPTS.read_text(encoding="utf-8").splitlines()))
        return self.spec.examples

    def caching(
        self, threshold: float | None = None, reuse_interval: int | float | None = None
    ) -> BWCacheConfig:
        """The model's default preset, or what is given of it.

        With random weights a preset's threshold means nothing: one that every indicator is below
        stands in for it, so that reuse does happen.
        """
        preset = self.spec.default_preset.config
        usual = ALWAYS_MET if self.random_weights else preset.threshold
        return BWCacheConfig(
            usual if threshold is None else threshold,
            preset.reuse_interval if reuse_interval is None else reuse_interval,
            **self.spec.indicator,
        )

    def measuring(self) -> BWCacheConfig:
        """The settings of an uncached run."""
        return measuring(self.spec)

    def denoise(self, pipe, steps: int | None = None) -> None:
        """Call the pipeline up to its last latents; nothing is decoded."""
        spec = self.spec
        arguments = call_arguments(spec, self.prompt, self.seed, steps or spec.steps)
        pipe(**{**arguments, "output_type": "latent"})

    def header(self) -> Mapping[str, object]:
        """What every result says about where it comes from."""
        spec = self.spec
        return {
            "model": self.model,
            "random_weights": self.random_weights,
            "device": describe_device(self.place),
            "versions": versions(),
            "seed": self.seed,
            "steps": spec.steps,
            "shape": {
                "height": spec.shape.height,
                "width": spec.shape.width,
                "frames": spec.shape.num_frames,
            },
        }


def check_rounds(rounds: object) -> None:
    """Refuse a number of rounds that is none.

    Raises:
        ConfigError: It is not a whole number from 1 to 1000.
    """
    if not _whole(rounds, 1, MAX_ROUNDS):
        raise ConfigError("rounds", rounds, f"a whole number from 1 to {MAX_ROUNDS}")


def _whole(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
