"""Rows of the pipeline tests: HunyuanVideo's pipelines and Motif-Video, a few thousand weights."""

from __future__ import annotations

from collections.abc import Callable

from diffusers import (
    AutoencoderKLHunyuanVideo,
    AutoencoderKLHunyuanVideo15,
    ClassifierFreeGuidance,
    FlowMatchEulerDiscreteScheduler,
    HunyuanSkyreelsImageToVideoPipeline,
    HunyuanVideo15ImageToVideoPipeline,
    HunyuanVideo15Pipeline,
    HunyuanVideo15Transformer3DModel,
    HunyuanVideoFramepackPipeline,
    HunyuanVideoFramepackTransformer3DModel,
    HunyuanVideoImageToVideoPipeline,
    HunyuanVideoPipeline,
    HunyuanVideoTransformer3DModel,
    MotifVideoPipeline,
    MotifVideoTransformer3DModel,
)
from transformers import SiglipImageProcessorPil, SiglipVisionConfig, SiglipVisionModel

from tests.pipelines.parts import (
    CALL,
    CHANNELS,
    HEADS,
    LEFT_OUT,
    NO_TEXT,
    SIDE,
    TOKENS,
    WIDTH,
    model,
    picture,
    row,
    texts,
    wan_vae,
)
from tests.pipelines.tiny import Tiny

IMAGE_WIDTH = 8
NO_SECOND_TEXT = {"tokenizer_2": None, "text_encoder_2": None}
CONDITIONED = 2 * CHANNELS + 1  # noisy latents, the image's latents and their mask
TRANSFORMER = {
    **HEADS,
    "rope_axes_dim": (4, 2, 2),
    "in_channels": CHANNELS,
    "out_channels": CHANNELS,
    "num_layers": 2,
    "text_embed_dim": WIDTH,
}
TWO_KINDS = {**TRANSFORMER, "num_single_layers": 2}
HUNYUAN = {**TWO_KINDS, "num_refiner_layers": 1, "pooled_projection_dim": WIDTH}


def siglip_vision() -> dict[str, object]:
    """What turns an image into tokens."""
    config = SiglipVisionConfig(
        hidden_size=IMAGE_WIDTH,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=SIDE,
        patch_size=16,
    )
    return {
        "image_encoder": model(SiglipVisionModel, config=config),
        "feature_extractor": SiglipImageProcessorPil(size={"height": SIDE, "width": SIDE}),
    }


def hunyuan(
    kind: Callable,
    parts: dict | None = None,
    call: dict | None = None,
    transformer: Callable = HunyuanVideoTransformer3DModel,
    read: Callable = lambda output: output.frames,
    **config,
) -> Tiny:
    """One of HunyuanVideo's pipelines: a call for the prompt, then one for the negative prompt."""
    vae = model(
        AutoencoderKLHunyuanVideo,
        block_out_channels=(8, 8, 8, 8),
        latent_channels=CHANNELS,
        layers_per_block=1,
        norm_num_groups=2,
    )
    shared = {
        **NO_TEXT,
        **NO_SECOND_TEXT,
        "transformer": model(transformer, **{**HUNYUAN, **config}),
        "vae": vae,
        "scheduler": FlowMatchEulerDiscreteScheduler(shift=7.0),
    }
    words = texts(
        prompt_embeds=(TOKENS, WIDTH),
        prompt_attention_mask=(TOKENS,),
        pooled_prompt_embeds=(WIDTH,),
    )
    call = {**CALL, **words, "true_cfg_scale": 3.0, "guidance_scale": 1.0, **(call or {})}
    return row(kind, {**shared, **(parts or {})}, call, read=read)


def hunyuan_t2v() -> Tiny:
    """Text to video."""
    return hunyuan(HunyuanVideoPipeline)


def hunyuan_i2v() -> Tiny:
    """Image to video: clean tokens in the place of the first frame, which the scheduler skips."""
    return hunyuan(
        HunyuanVideoImageToVideoPipeline,
        {"image_processor": None},
        {"image": picture()},
        image_condition_type="token_replace",
    )


def hunyuan_i2v_concat() -> Tiny:
    """Image to video: the image's latents beside the noisy ones."""
    return hunyuan(
        HunyuanVideoImageToVideoPipeline,
        {"image_processor": None},
        {"image": picture()},
        image_condition_type="latent_concat",
        in_channels=CONDITIONED,
        guidance_embeds=False,
    )


def skyreels_i2v() -> Tiny:
    """Image to video by SkyReels-V1."""
    kind = HunyuanSkyreelsImageToVideoPipeline
    return hunyuan(kind, call={"image": picture()}, in_channels=2 * CHANNELS)


def framepack(call: dict) -> Tiny:
    """Image to video in two sections, each a loop of its own."""
    return hunyuan(
        HunyuanVideoFramepackPipeline,
        siglip_vision(),
        {"image": picture(), "latent_window_size": 2, **call},
        transformer=HunyuanVideoFramepackTransformer3DModel,
        read=lambda output: output.frames[-1],  # of as many as sections, each with those before
        has_image_proj=True,
        image_proj_dim=IMAGE_WIDTH,
        has_clean_x_embedder=True,
    )


def framepack_last_first() -> Tiny:
    """The last section first."""
    return framepack({"sampling_type": "inverted_anti_drifting"})


def framepack_in_order() -> Tiny:
    """The sections one after the other."""
    return framepack({"sampling_type": "vanilla"})


def guided(kind: Callable, parts: dict, call: dict) -> Tiny:
    """A pipeline that guides by a component, a call for each branch."""
    shared = {
        **NO_TEXT,
        "guider": ClassifierFreeGuidance(guidance_scale=3.0),
        "scheduler": FlowMatchEulerDiscreteScheduler(shift=5.0),
    }
    return row(kind, {**shared, **parts}, {**CALL, **call, "guidance_scale": LEFT_OUT})


def hunyuan15(kind: Callable, parts: dict | None = None, call: dict | None = None) -> Tiny:
    """One of HunyuanVideo-1.5's pipelines."""
    transformer = model(
        HunyuanVideo15Transformer3DModel,
        **{**TRANSFORMER, "num_layers": 4, "in_channels": CONDITIONED},
        num_refiner_layers=1,
        text_embed_2_dim=WIDTH,
        image_embed_dim=IMAGE_WIDTH,
        target_size=SIDE,
    )
    vae = model(
        AutoencoderKLHunyuanVideo15,
        block_out_channels=(8, 8, 8, 8, 8),
        latent_channels=CHANNELS,
        layers_per_block=1,
    )
    words = texts(
        prompt_embeds=(TOKENS, WIDTH),
        prompt_embeds_mask=(TOKENS,),
        prompt_embeds_2=(TOKENS, WIDTH),
        prompt_embeds_mask_2=(TOKENS,),
    )
    shared = {"transformer": transformer, "vae": vae, **NO_SECOND_TEXT}
    return guided(kind, {**shared, **(parts or {})}, {**words, **(call or {})})


def hunyuan15_t2v() -> Tiny:
    """Text to video."""
    tiny = hunyuan15(HunyuanVideo15Pipeline)
    tiny.pipe.vision_num_semantic_tokens = 4  # empty image tokens, 729 otherwise
    return tiny


def hunyuan15_i2v() -> Tiny:
    """Image to video: the image's latents beside the noisy ones, its tokens beside the text's."""
    call = {"image": picture(), "height": LEFT_OUT, "width": LEFT_OUT}
    return hunyuan15(HunyuanVideo15ImageToVideoPipeline, siglip_vision(), call)


def motif(decoders: int) -> Tiny:
    """Motif-Video with the given number of single-stream blocks that start again from the input."""
    transformer = model(
        MotifVideoTransformer3DModel,
        **{**TWO_KINDS, "in_channels": CONDITIONED, "num_single_layers": 4},
        num_decoder_layers=decoders,
        enable_text_cross_attention_dual=True,
        enable_text_cross_attention_single=True,
    )
    flat = {"latents_mean": [0.0] * CHANNELS, "latents_std": [1.0] * CHANNELS}
    vae = wan_vae(base_dim=4, z_dim=CHANNELS, **flat)
    words = texts(prompt_embeds=(TOKENS, WIDTH), prompt_attention_mask=(TOKENS,))
    return guided(MotifVideoPipeline, {"transformer": transformer, "vae": vae}, words)


def motif_plain() -> Tiny:
    """Text to video with one chain of blocks."""
    return motif(0)


def motif_decoder() -> Tiny:
    """Text to video whose last two blocks attend to the outcome of the others."""
    return motif(2)


ROWS: dict[str, Callable[[], Tiny]] = {
    "hunyuanvideo": hunyuan_t2v,
    "hunyuanvideo-i2v": hunyuan_i2v,
    "hunyuanvideo-i2v-concat": hunyuan_i2v_concat,
    "hunyuan-skyreels-i2v": skyreels_i2v,
    "framepack": framepack_last_first,
    "framepack-vanilla": framepack_in_order,
    "hunyuanvideo1.5": hunyuan15_t2v,
    "hunyuanvideo1.5-i2v": hunyuan15_i2v,
    "motif": motif_plain,
    "motif-decoder": motif_decoder,
}
