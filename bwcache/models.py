"""The catalogue: which models there are, how each is loaded and called, and what it needs."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from .config import BWCacheConfig, ConfigError

ASSETS = Path(__file__).parent.parent / "assets"
TINYWORLD_SWEEP = "benchmarks/results/tinyworld-presets.json"


class ModelError(RuntimeError):
    """A model that cannot be used here: says why, and what to do."""


@dataclass(frozen=True)
class Preset:
    """A named setting. `source`: the results file it was picked from; None where unmeasured."""

    threshold: float
    reuse_interval: int | float = 0.1
    source: str | None = None

    def config(self, **changes: object) -> BWCacheConfig:
        return BWCacheConfig(self.threshold, self.reuse_interval, **changes)


@dataclass(frozen=True)
class ModelSpec:
    """One model of the catalogue.

    Args:
        name: What the command line and the page call it.
        title: For people.
        about: One sentence for people.
        licence: Of the weights.
        loader: "module:function" inside this package; called with (spec, device), gives a pipeline.
        source: Hub repository, or a folder under `assets/`.
        revision: Pinned commit or tag of a hub repository.
        needs_cuda: Whether it is offered only where a CUDA GPU is present.
        height, width, num_frames, fps: Of the video, in pixels, frames and frames a second.
        steps: Denoising steps by default.
        flow_shift: Of the scheduler.
        call: Further arguments of the pipeline's call.
        presets: Named settings, gentlest first.
        indicator_range: Smallest and largest indicator measured over a set of prompts, or None.
        examples: Prompts to start from.
        prompt_check: "module:function" that raises `ConfigError` for a prompt that the model
            cannot understand; None where any text will do.
        random_builder: "module:function" called as the loader is; gives the same pipeline with
            seeded random weights and downloads nothing. None where there is none.
        indicator_blocks, indicator_tokens: How much of the features is measured on this model by
            default, as in `BWCacheConfig`; None for all.
        pays_from: Per `reuse`, (computed, steps): with a smaller share of computed steps, taking
            fewer steps is about as good in the same time. Measured by `bench methods`; a method is
            absent where it always pays, as far as measured, or nobody has measured it.
    """

    name: str
    title: str
    about: str
    licence: str
    loader: str
    source: str
    revision: str | None = None
    needs_cuda: bool = False
    height: int = 480
    width: int = 832
    num_frames: int = 81
    fps: int = 16
    steps: int = 50
    flow_shift: float = 3.0
    call: Mapping[str, object] = field(default_factory=dict)
    presets: Mapping[str, Preset] = field(default_factory=dict)
    indicator_range: tuple[float, float] | None = None
    examples: tuple[str, ...] = ()
    prompt_check: str | None = None
    random_builder: str | None = None
    indicator_blocks: int | None = BWCacheConfig.indicator_blocks
    indicator_tokens: int | None = BWCacheConfig.indicator_tokens
    pays_from: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def indicator(self) -> dict[str, int | None]:
        """How much is measured, as arguments of `BWCacheConfig`."""
        return {
            "indicator_blocks": self.indicator_blocks,
            "indicator_tokens": self.indicator_tokens,
        }

    @property
    def default_preset(self) -> Preset:
        """Balanced, or the first where there is no such."""
        return self.presets.get("Balanced") or next(iter(self.presets.values()))


CATALOGUE: Mapping[str, ModelSpec] = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            ModelSpec(
                name="tinyworld",
                title="TinyWorld (embedded)",
                about="Trained for this demo: flat shapes that move. Runs on any computer.",
                licence="Apache-2.0",
                loader="bwcache.tinyworld.load:load",
                source="tinyworld",
                height=64,
                width=64,
                num_frames=17,
                fps=8,
                steps=30,
                flow_shift=2.0,
                call=MappingProxyType(
                    {"guidance_scale": 3.0, "negative_prompt": "", "max_sequence_length": 24}
                ),
                presets=MappingProxyType(
                    {
                        "Safe": Preset(0.045, 1, TINYWORLD_SWEEP),
                        "Balanced": Preset(0.045, 2, TINYWORLD_SWEEP),
                        "Fast": Preset(0.045, 4, TINYWORLD_SWEEP),
                    }
                ),
                indicator_range=(0.028, 0.247),
                examples=(
                    "a red circle moving right on a white background",
                    "a blue square bouncing on a gray background",
                    "a yellow triangle growing on a black background",
                    "a green circle moving up and a purple square moving down "
                    "on a white background",
                ),
                prompt_check="bwcache.tinyworld.text:check_prompt",
                pays_from=MappingProxyType({"residual": (8, 30), "output": (11, 30)}),
                random_builder="bwcache.tinyworld.random_weights:build",
            ),
            ModelSpec(
                name="wan2.1-t2v-1.3b",
                title="Wan 2.1 T2V 1.3B",
                about="The smallest Wan text-to-video model: 480p, 81 frames. Needs a CUDA GPU.",
                licence="Apache-2.0",
                loader="bwcache.wan:load",
                source="Wan-AI/Wan2.1-T2V-1.3B-Diffusers",
                revision="main",
                needs_cuda=True,
                call=MappingProxyType({"guidance_scale": 5.0}),
                presets=MappingProxyType({"Paper": Preset(0.15)}),
                indicator_blocks=15,
                indicator_tokens=256,
                examples=("A cat walks on the grass, realistic style",),
                random_builder="bwcache.wan:build_random",
            ),
        )
    }
)


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
        _function(spec.prompt_check)(prompt)


def _function(path: str):
    module, name = path.split(":")
    return getattr(importlib.import_module(module), name)


def load(name: str, device: str, random_weights: bool = False):
    """The model's pipeline on a device; loaded once, the last one kept.

    Args:
        name: Catalogue name.
        device: "cpu", "cuda"…
        random_weights: Build it with seeded random weights instead: nothing is downloaded, every
            shape and every cost is the real one, and the videos show nothing. Runs on any machine
            with the memory for it.

    Raises:
        ConfigError: The name is not in the catalogue.
        ModelError: It cannot be loaded or does not run here.
    """
    return _load(name, device, bool(random_weights))


@lru_cache(maxsize=1)
def _load(name: str, device: str, random_weights: bool):
    spec = find(name)
    if random_weights and spec.random_builder is None:
        raise ModelError(f"model: {spec.title} has no random-weight version; use tinyworld")
    if spec.needs_cuda and not random_weights and not device.startswith("cuda"):
        raise ModelError(f"model: {spec.title} needs a CUDA GPU; use tinyworld on this machine")
    pipe = _function(spec.random_builder if random_weights else spec.loader)(spec, device)
    pipe.set_progress_bar_config(disable=True)
    return pipe
