"""Cosmos 1 to 3, with random weights."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import torch
from diffusers import (
    AutoencoderKLCosmos,
    Cosmos2_5_PredictBasePipeline,
    Cosmos2_5_TransferPipeline,
    Cosmos2VideoToWorldPipeline,
    Cosmos3OmniPipeline,
    Cosmos3OmniTransformer,
    CosmosControlNetModel,
    CosmosTextToWorldPipeline,
    CosmosTransformer3DModel,
    CosmosVideoToWorldPipeline,
    EDMEulerScheduler,
    FlowMatchEulerDiscreteScheduler,
)
from diffusers.models.controlnets import controlnet_cosmos
from diffusers.utils import is_torchvision_available

from bwcache.tinyworld.text import build_tokenizer
from tests.pipelines.parts import (
    CALL,
    NO_TEXT,
    WIDTH,
    model,
    noise,
    pixels,
    row,
    unequal_texts,
    unipc,
    wan_vae,
)
from tests.pipelines.tiny import Tiny

HEADS = {"num_attention_heads": 2, "attention_head_dim": 16}
BLOCK = {"text_embed_dim": WIDTH, "adaln_lora_dim": 8, "max_size": (16, 8, 8)}


class Unchecked:
    """A safety checker that checks nothing: cosmos_guardrail would load models."""

    def to(self, device: torch.device) -> Unchecked:
        return self


def cosmos1() -> Tiny:
    """Cosmos 1, text to world: two steps of the scheduler in every iteration."""
    return _cosmos1(CosmosTextToWorldPipeline, {}, in_channels=4)


def cosmos1_v2w() -> Tiny:
    """Cosmos 1, video to world: fresh noise on the picture in every iteration."""
    return _cosmos1(CosmosVideoToWorldPipeline, {"image": pixels()}, in_channels=4 + 1)


def cosmos2_v2w() -> Tiny:
    """Cosmos 2, video to world: every frame has a time of its own."""
    return _cosmos(
        Cosmos2VideoToWorldPipeline,
        {"image": pixels()},
        vae=wan_vae(),
        transformer=_transformer(in_channels=16 + 1),
        scheduler=FlowMatchEulerDiscreteScheduler(use_karras_sigmas=True),
    )


def cosmos25() -> Tiny:
    """Cosmos 2.5, text to world."""
    return _cosmos25(Cosmos2_5_PredictBasePipeline, {}, _transformer(in_channels=16 + 1))


def cosmos25_v2w() -> Tiny:
    """Cosmos 2.5, video to world: it goes on from five frames."""
    call = {"video": noise(1, 3, 5, 32, 32).tanh()}
    return _cosmos25(Cosmos2_5_PredictBasePipeline, call, _transformer(in_channels=16 + 1))


def cosmos25_transfer(frames: int = 9) -> Tiny:
    """Cosmos 2.5 with a control net, whose residuals are added within the first and third block."""
    controlnet = model(
        CosmosControlNetModel,
        **HEADS,
        **BLOCK,
        n_controlnet_blocks=2,
        in_channels=16 + 1 + 1,
        latent_channels=16 + 1 + 1,
        model_channels=32,
    )
    if not is_torchvision_available():  # the control net calls one function of it
        controlnet_cosmos.transforms = SimpleNamespace(
            functional=SimpleNamespace(resize=_resize),
            InterpolationMode=SimpleNamespace(NEAREST="nearest"),
        )
    call = {
        "controls": noise(1, frames, 3, 32, 32).sigmoid(),
        "num_frames": frames,
        "num_frames_per_chunk": 9,
    }
    transformer = _transformer(in_channels=16 + 1, controlnet_block_every_n=2)
    return _cosmos25(Cosmos2_5_TransferPipeline, call, transformer, controlnet=controlnet)


def cosmos25_transfer_chunks() -> Tiny:
    """The same on twice the frames: two denoising loops, one after the other."""
    return cosmos25_transfer(frames=17)


def cosmos3() -> Tiny:
    """Cosmos 3: blocks on text and picture tokens without a batch, words in place of embeddings."""
    tokenizer = build_tokenizer()
    tokenizer.chat_template = "{% for turn in messages %}{{ turn['content'] }} {% endfor %}"
    components = {
        "transformer": model(
            Cosmos3OmniTransformer,
            head_dim=12,
            hidden_size=24,
            intermediate_size=24,
            num_attention_heads=2,
            num_key_value_heads=1,
            num_hidden_layers=3,
            latent_channel=16,
            patch_latent_dim=16 * 2 * 2,
            rope_axes_dim=(2, 2, 2),
            vocab_size=64,
        ),
        "text_tokenizer": tokenizer,
        "vae": wan_vae(),
        "scheduler": unipc(),
        "enable_safety_checker": False,
    }
    arguments = {**CALL, "prompt": "a red circle moving right"}
    return row(Cosmos3OmniPipeline, components, arguments, read=lambda output: output.video)


def _cosmos1(pipeline: type, call: dict[str, object], in_channels: int) -> Tiny:
    transformer = _transformer(
        in_channels=in_channels, out_channels=4, extra_pos_embed_type="learnable"
    )
    for table in transformer.learnable_pos_embed.parameters():
        torch.nn.init.normal_(table)  # zero to begin with, yet every block adds it
    vae = model(
        AutoencoderKLCosmos,
        latent_channels=4,
        encoder_block_out_channels=(4, 4, 4, 4),
        decode_block_out_channels=(4, 4, 4, 4),
        attention_resolutions=(8,),
        resolution=64,
        num_layers=1,
        temporal_compression_ratio=4,
    )
    # as released: the last sigma stands twice, so the last step changes nothing
    scheduler = EDMEulerScheduler(final_sigmas_type="sigma_min")
    return _cosmos(pipeline, call, vae=vae, transformer=transformer, scheduler=scheduler)


def _cosmos25(pipeline: type, call: dict[str, object], transformer: object, **components) -> Tiny:
    components |= {"vae": wan_vae(), "transformer": transformer, "scheduler": unipc()}
    return _cosmos(pipeline, call, **components)


def _cosmos(pipeline: type, call: dict[str, object], **components) -> Tiny:
    components |= {**NO_TEXT, "safety_checker": Unchecked()}
    # the branches are two calls: their texts may differ in length
    arguments = {**CALL, **unequal_texts(negative_length=4), **call}
    return row(pipeline, components, arguments)


def _transformer(**config) -> CosmosTransformer3DModel:
    defaults = {
        **HEADS,
        **BLOCK,
        "num_layers": 3,
        "concat_padding_mask": False,  # would take torchvision
        "extra_pos_embed_type": None,
    }
    return model(CosmosTransformer3DModel, **{**defaults, **config})


def _resize(image: torch.Tensor, size: list[int], interpolation: str) -> torch.Tensor:
    return torch.nn.functional.interpolate(image, size, mode=interpolation)


ROWS: dict[str, Callable[[], Tiny]] = {
    "cosmos1": cosmos1,
    "cosmos1-v2w": cosmos1_v2w,
    "cosmos2-v2w": cosmos2_v2w,
    "cosmos2.5": cosmos25,
    "cosmos2.5-v2w": cosmos25_v2w,
    "cosmos2.5-transfer": cosmos25_transfer,
    "cosmos2.5-transfer-chunks": cosmos25_transfer_chunks,
    "cosmos3": cosmos3,
}
