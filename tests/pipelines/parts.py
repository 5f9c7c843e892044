"""What the builders of small pipelines share; the `zoo_*.py` take helpers from here alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from diffusers import AutoencoderKLWan, UniPCMultistepScheduler, WanTransformer3DModel
from PIL import Image
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModel

from bwcache.tinyworld.text import build_text_encoder, build_tokenizer
from tests.conftest import SCHEDULERS
from tests.pipelines.tiny import Tiny

SIDE, FRAMES = 32, 9
TOKENS, WIDTH = 8, 16  # of a prompt, in place of a text encoder
# Of the text encoder where there is one. Not TinyWorld's: recorded latents outlive its versions.
TEXT = {"dim": 64, "layers": 2}
CHANNELS = 4  # of the latents, where a pipeline leaves the number open
HEADS = {"num_attention_heads": 2, "attention_head_dim": 8}
NO_TEXT = {"tokenizer": None, "text_encoder": None}  # the arguments hold embeddings instead
LEFT_OUT = object()  # in place of an argument that a call does without
CALL = {"height": SIDE, "width": SIDE, "num_frames": FRAMES, "guidance_scale": 3.0}
DYNAMIC_SHIFT = {
    "use_dynamic_shifting": True,
    "base_shift": 0.95,
    "max_shift": 2.05,
    "shift_terminal": 0.1,
}


def model(kind: Callable, seed: int = 0, **config) -> torch.nn.Module:
    """A model of seeded random weights, ready to be called."""
    torch.manual_seed(seed)
    return kind(**config).eval()


def row(kind: Callable, parts: dict, call: dict, **others) -> Tiny:
    """The pipeline of these parts, its progress bar off, and the arguments of its call."""
    pipe = kind(**parts)
    pipe.set_progress_bar_config(disable=True)
    call = {"output_type": "latent", **call}
    given = {name: value for name, value in call.items() if value is not LEFT_OUT}
    return Tiny(pipe, given, **others)


def unipc() -> UniPCMultistepScheduler:
    """The scheduler of Wan and Cosmos."""
    return SCHEDULERS["unipc"]()


# -- inputs -------------------------------------------------------------------------------------


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    """Numbers that are the same in every process, whatever was drawn before."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def pixels() -> torch.Tensor:
    """A picture as numbers from 0 to 1: `[1, 3, SIDE, SIDE]`."""
    return noise(1, 3, SIDE, SIDE, seed=3).sigmoid()


def picture(seed: int = 0, side: int = SIDE) -> Image.Image:
    """Seeded noise."""
    numbers = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    return Image.fromarray(numbers)


def clip(frames: int = FRAMES, seed: int = 0, side: int = SIDE) -> list[Image.Image]:
    """Seeded noise that moves."""
    return [picture(seed + frame, side) for frame in range(frames)]


def texts(**shapes: tuple[int, ...]) -> dict[str, torch.Tensor]:
    """Embeddings of a prompt and a negative one, by name; masks leave out the latter's end."""
    generator = torch.Generator().manual_seed(0)
    found = {}
    for name, shape in shapes.items():
        for branch in ("", "negative_"):
            found[branch + name] = torch.randn(1, *shape, generator=generator)
            if "mask" in name:
                length = TOKENS - 2 if branch else TOKENS
                found[branch + name] = (torch.arange(TOKENS) < length)[None]
    return found


def unequal_texts(negative_length: int = 6) -> dict[str, object]:
    """Embeddings of a prompt of six tokens and of a negative one that may be shorter."""
    return {
        "prompt_embeds": noise(1, 6, WIDTH, seed=1),
        "negative_prompt_embeds": noise(1, negative_length, WIDTH, seed=2),
    }


def masks() -> dict[str, object]:
    """Of `unequal_texts`: the last words are padding, more of them in the negative one."""
    return {
        "prompt_attention_mask": torch.tensor([[1, 1, 1, 1, 1, 0]]),
        "negative_prompt_attention_mask": torch.tensor([[1, 1, 1, 0, 0, 0]]),
    }


# -- Wan's parts --------------------------------------------------------------------------------

WAN_CHANNELS = 16
WAN_TRANSFORMER = {
    "num_attention_heads": 2,
    "attention_head_dim": 12,  # two rotary frequencies for each of the three axes
    "in_channels": WAN_CHANNELS,
    "out_channels": WAN_CHANNELS,
    "text_dim": TEXT["dim"],
    "freq_dim": 32,
    "ffn_dim": 32,
    "num_layers": 4,
}
CONDITIONED = 2 * WAN_CHANNELS + 4  # noisy latents, the image's latents and their mask
BY_IMAGE = {"in_channels": CONDITIONED, "image_dim": 8, "added_kv_proj_dim": 24}
LONG_TEXT = 512  # attention takes whatever precedes the last 512 tokens for an image's


def wan_model(kind: Callable = WanTransformer3DModel, seed: int = 0, **config) -> torch.nn.Module:
    """A transformer of four narrow blocks."""
    return model(kind, seed, **{**WAN_TRANSFORMER, **config})


def wan_vae(base_dim: int = 3, **config) -> AutoencoderKLWan:
    """Wan's autoencoder with few channels: 8 times smaller in space, 4 times in time."""
    narrow = {"base_dim": base_dim, "dim_mult": [1, 1, 1, 1], "num_res_blocks": 1}
    return model(AutoencoderKLWan, **narrow, **config)


def wan_row(kind: Callable, parts: dict, call: dict, steps: int = 6) -> Tiny:
    """A pipeline of the given parts and of those that all of Wan's share."""
    shared = {
        "tokenizer": build_tokenizer(),
        "text_encoder": model(build_text_encoder, **TEXT),
        "vae": wan_vae(base_dim=4),
        "scheduler": unipc(),
    }
    words = {"prompt": "a red circle moving right", "max_sequence_length": 24}
    return row(kind, {**shared, **parts}, {**CALL, **words, **call}, steps=steps)


def clip_vision() -> dict[str, object]:
    """What turns an image into tokens."""
    config = CLIPVisionConfig(
        hidden_size=8,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=SIDE,
        patch_size=16,
    )
    return {
        "image_encoder": model(CLIPVisionModel, config=config),
        "image_processor": CLIPImageProcessor(crop_size=SIDE, size=SIDE),
    }


def image_call(**more) -> dict[str, object]:
    """The arguments of a call with an image that becomes tokens."""
    return {"image": picture(), "max_sequence_length": LONG_TEXT, **more}
