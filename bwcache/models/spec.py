"""What the catalogue says of a model: frozen records. Pure data, standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Generic, Literal, TypeGuard

from ..cache.method import M, Method
from ..cache.methods.bwcache import BWCacheConfig
from ..errors import ConfigError

Branches = Literal["calls", "batch", "none"]
ImageUse = Literal["none", "optional", "required"]
Offload = Literal["none", "model", "sequential"]
# Guidance branches of their own, a timestep for each frame, long skips.
Lacking = Literal["branches", "timesteps", "skips"]
OFFLOADS: tuple[Offload, ...] = ("none", "model", "sequential")  # from fastest to lightest
BYTES = {"bfloat16": 2, "float16": 2, "float32": 4}
SMALLEST_SIDE, LARGEST_SIDE, MOST_FRAMES = 16, 4096, 1025


@dataclass(frozen=True)
class Shape:
    """The size of a model's videos, and which other sizes it can make.

    Args:
        height, width, num_frames, fps: In pixels, frames, and frames a second.
        size_multiple: Height and width are multiples of it.
        frame_multiple, frame_offset: The number of frames is `frame_offset` more than a multiple
            of `frame_multiple`; 1 for any number.
        fixed: Which of "height", "width" and "num_frames" can take no other value.
    """

    height: int = 480
    width: int = 832
    num_frames: int = 81
    fps: int = 16
    size_multiple: int = 16
    frame_multiple: int = 4
    frame_offset: int = 1
    fixed: tuple[str, ...] = ()

    def check(self, height: object, width: object, num_frames: object) -> None:
        """Refuse a video that the model cannot make.

        Args:
            height, width: In pixels.
            num_frames: How many.

        Raises:
            ConfigError: Naming "height", "width" or "frames", and what is allowed.
        """
        given = {"height": height, "width": width, "num_frames": num_frames}
        named = {"num_frames": "frames"}
        for name in self.fixed:
            own = getattr(self, name)
            if given[name] != own:
                only = f"{own}, since this model makes no other"
                raise ConfigError(named.get(name, name), given[name], only)
        step = self.size_multiple
        for name in ("height", "width"):
            value, low = given[name], max(step, SMALLEST_SIDE)
            if not _whole(value, low, LARGEST_SIDE) or value % step:
                allowed = f"a multiple of {step} from {low} to {LARGEST_SIDE} pixels"
                raise ConfigError(name, value, allowed)
        step, first = self.frame_multiple, self.frame_offset or self.frame_multiple
        if not _whole(num_frames, first, MOST_FRAMES) or (num_frames - first) % step:
            row = ", ".join(str(first + n * step) for n in range(3))
            raise ConfigError("frames", num_frames, f"{row} and so on up to {MOST_FRAMES} frames")


@dataclass(frozen=True)
class Weights:
    """A model's weights: where they are from, and how much they are.

    Args:
        source: Hub repository ("owner/name"), a folder under `assets/`, or an absolute path.
        licence: In a few words.
        licence_url: Where it stands; "" where it comes with the code.
        revision: Commit of a hub repository; None for its newest.
        dtypes: Component → "bfloat16", "float16" or "float32"; "default" for the others.
        parameters: Component → billions of parameters.
    """

    source: str
    licence: str
    licence_url: str = ""
    revision: str | None = None
    dtypes: Mapping[str, str] = field(default_factory=lambda: {"default": "bfloat16"})
    parameters: Mapping[str, float] = field(default_factory=dict)

    @property
    def on_hub(self) -> bool:
        """Whether they come from the Hugging Face hub."""
        return self.source.count("/") == 1 and not self.source.startswith("/")

    def dtype(self, component: str) -> str:
        """Name of the number type that a component is loaded in."""
        return self.dtypes.get(component, self.dtypes["default"])

    def gb(self, component: str) -> float:
        """Size of one component in its own type, in GB (10^9 bytes)."""
        return self.parameters.get(component, 0.0) * BYTES[self.dtype(component)]

    @property
    def total_gb(self) -> float:
        """Size of all components, each in its own type, in GB (10^9 bytes)."""
        return sum(map(self.gb, self.parameters))


@dataclass(frozen=True)
class Preset(Generic[M]):
    """A named setting of a caching method.

    Args:
        config: The method with its settings.
        source: The results file that it was picked from; None where unmeasured.
    """

    config: M
    source: str | None = None


MEASURE_ONLY = Preset(BWCacheConfig(0.0))


@dataclass(frozen=True)
class MethodFacts:
    """What has been measured of one caching method on one model; empty where nothing has been.

    Args:
        presets: Named settings, gentlest first.
        indicator_range: Smallest and largest indicator measured over a set of prompts, or None.
        pays_from: Per way to replay (BWCache's `reuse`), (computed, steps): with a smaller share
            of computed steps, taking fewer steps is about as good in the same time. Measured by
            `bench replays`; absent where it always pays, as far as measured, or nobody has
            measured it.
    """

    presets: Mapping[str, Preset[Any]] = field(default_factory=dict)
    indicator_range: tuple[float, float] | None = None
    pays_from: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def default_preset(self) -> Preset[Any] | None:
        """Balanced, or the first where there is no such; None where there are no presets."""
        return self.presets.get("Balanced") or next(iter(self.presets.values()), None)


@dataclass(frozen=True)
class Part:
    """A component as it is built without its weights.

    Args:
        kind: Class in diffusers or transformers.
        config: What differs from the class's own settings.
    """

    kind: str
    config: Mapping[str, Any] = field(default_factory=dict)


WITHOUT_BRANCHES: Mapping[Branches, str] = MappingProxyType(
    {
        "batch": "a method that needs no guidance branch of its own: here one call makes both",
        "none": "a method that needs no second guidance branch: this model has none",
        "calls": "a method that needs no second guidance branch: none is made at this scale",
    }
)

WITHOUT_LONG_SKIPS = (
    "a method that needs no long skips from early to late blocks: this model has none, "
    "tinyworld-skip has"
)

ONE_TIMESTEP = (
    "a method of whole videos: this model's frames have no timesteps of their own, those of "
    "skyreels-v2-df-1.3b have"
)


@dataclass(frozen=True)
class ModelSpec:
    """One model of the catalogue.

    Args:
        name: What the command line and the page call it.
        title: For people.
        about: One sentence for people.
        weights: Its weights.
        pipeline: Class in diffusers.
        shape: Of its videos.
        pipeline_options: What it is built with beside its components, as its repository says too.
        version: Of the weights: another one where others had the name before. Traces and links name
            it; those that name none are of version "1".
        image: Whether a picture to start from is taken.
        image_pipeline: Class in diffusers that takes it, where that is another.
        needs_cuda: Whether it is offered only where a CUDA GPU is present.
        frames_argument: What the pipeline's call names the number of frames.
        latent_frames_axis: Of the latents in the denoising loop; 2 where channels come first.
        vae_tiling: Whether the autoencoder works tile by tile, which bounds its memory.
        steps: Denoising steps by default.
        scheduler: Class in diffusers that takes the published one's place; None keeps that.
        scheduler_options: Its settings, as published unless a comment says otherwise.
        call: Further arguments of the pipeline's call, guidance among them.
        activations_gb: Estimated peak memory beside the weights, at the size above, in GB
            (10^9 bytes). Nobody has measured it here.
        branches: How guidance is computed: "calls" of the transformer, one for each branch, a
            "batch" of both in one call, or "none" where there is no second branch.
        timestep_per_frame: Whether each latent frame has a timestep of its own (diffusion forcing).
        caching: Name of a caching method → what has been measured of it; absent where nothing has.
        long_skips: How many of its transformer's late blocks are given an early one's output.
        indicator_blocks, indicator_tokens: How much of the features is measured on this model by
            default, as in `BWCacheConfig`; None for all.
        examples: Prompts to start from.
        loader: "module:function" called with (spec, folder), gives a pipeline on the CPU.
        prompt_check: "module:function" that raises `ConfigError` for a prompt that the model
            cannot understand; None where any text will do.
        prompt_menus: Module of which a form builds prompts: `MENUS` (menu → choices), `allowed`,
            `caption`, `choices_of` and `roll`, as `bwcache.tinyworld.menus`; None where there is
            free text alone.
        random_builder: "module:function" called with (spec, device); gives the same pipeline with
            seeded random weights and downloads nothing. None where there is none.
        parts: Component → what it is built of then. Transformers and autoencoders are the
            published ones; text encoders are narrow, with the published output width.
    """

    name: str
    title: str
    about: str
    weights: Weights
    pipeline: str
    version: str = "1"
    shape: Shape = field(default_factory=Shape)
    pipeline_options: Mapping[str, Any] = field(default_factory=dict)
    image: ImageUse = "none"
    image_pipeline: str | None = None
    needs_cuda: bool = True
    frames_argument: str = "num_frames"
    latent_frames_axis: int = 2
    vae_tiling: bool = False
    steps: int = 50
    scheduler: str | None = None
    scheduler_options: Mapping[str, Any] = field(default_factory=dict)
    call: Mapping[str, Any] = field(default_factory=dict)
    activations_gb: float = 0.0
    branches: Branches = "calls"
    timestep_per_frame: bool = False
    caching: Mapping[str, MethodFacts] = field(default_factory=dict)
    long_skips: int = 0
    indicator_blocks: int | None = BWCacheConfig.indicator_blocks
    indicator_tokens: int | None = BWCacheConfig.indicator_tokens
    examples: tuple[str, ...] = ()
    loader: str = "bwcache.models.from_folder:assemble"
    prompt_check: str | None = None
    prompt_menus: str | None = None
    random_builder: str | None = "bwcache.models.random_weights:build"
    parts: Mapping[str, Part] = field(default_factory=dict)

    @property
    def indicator(self) -> dict[str, int | None]:
        """How much is measured, as arguments of `BWCacheConfig`."""
        return {
            "indicator_blocks": self.indicator_blocks,
            "indicator_tokens": self.indicator_tokens,
        }

    def facts(self, method: str = BWCacheConfig.name) -> MethodFacts:
        """What has been measured of a caching method on this model."""
        return self.caching.get(method, MethodFacts())

    @property
    def default_preset(self) -> Preset[BWCacheConfig]:
        """BWCache's; where nothing has been measured, one that only measures."""
        return self.facts().default_preset or MEASURE_ONLY

    def check_method(self, config: Method) -> None:
        """Refuse a caching method that cannot work on this model.

        Raises:
            ConfigError: Saying why, or what is missing.
        """
        config.check_model(self.name)
        if lacking := self.lacks(config):
            allowed = {
                "branches": WITHOUT_BRANCHES[self.branches],
                "timesteps": ONE_TIMESTEP,
                "skips": WITHOUT_LONG_SKIPS,
            }
            raise ConfigError("method", config.name, allowed[lacking])
        if config.long_skips > self.long_skips:
            allowed_here = f"at most {self.long_skips} on {self.name}, which has so many long skips"
            raise ConfigError("computed_blocks", config.long_skips, allowed_here)

    def lacks(self, config: Method) -> Lacking | None:
        """What this model has not and a caching method cannot do without; None where it has all."""
        guided = self.branches == "calls" and self.call.get("guidance_scale", 2.0) > 1
        if config.guidance == "needed" and not guided:
            return "branches"
        if config.site == "chunks" and not self.timestep_per_frame:
            return "timesteps"
        return "skips" if config.long_skips and not self.long_skips else None

    def memory_gb(self, offload: Offload) -> float:
        """Device memory that a run takes, by offload mode, in GB (10^9 bytes): an estimate.

        Everything at once; one component at a time ("model"), of which text encoders are done
        before the video takes its memory; or hardly more than the activations ("sequential", a few
        layers at a time). The weights are counted exactly, the activations are estimated.
        """
        sizes = {component: self.weights.gb(component) for component in self.weights.parameters}
        if offload == "none":
            return sum(sizes.values()) + self.activations_gb
        if offload == "sequential":
            return 0.05 * max(sizes.values(), default=0.0) + self.activations_gb
        beside = {name: self.activations_gb for name in sizes if not name.startswith("text_")}
        alone = [size + beside.get(name, 0.0) for name, size in sizes.items()]
        return max(alone, default=self.activations_gb)


def _whole(value: object, low: int, high: int) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
