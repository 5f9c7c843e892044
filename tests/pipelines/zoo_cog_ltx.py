"""Rows of the pipeline tests: CogVideoX, ConsisID, LTX-Video and Mochi, a few thousand weights."""

from __future__ import annotations

from collections.abc import Callable

import torch
from diffusers import (
    AutoencoderKLCogVideoX,
    AutoencoderKLLTXVideo,
    AutoencoderKLMochi,
    CogVideoXDDIMScheduler,
    CogVideoXDPMScheduler,
    CogVideoXImageToVideoPipeline,
    CogVideoXPipeline,
    CogVideoXTransformer3DModel,
    CogVideoXVideoToVideoPipeline,
    ConsisIDTransformer3DModel,
    FlowMatchEulerDiscreteScheduler,
    LTXConditionPipeline,
    LTXImageToVideoPipeline,
    LTXPipeline,
    LTXVideoTransformer3DModel,
    MochiPipeline,
    MochiTransformer3DModel,
)
from diffusers.pipelines.consisid.pipeline_consisid import ConsisIDPipeline  # as OpenCV may lack
from diffusers.pipelines.ltx.pipeline_ltx_condition import LTXVideoCondition

from tests.pipelines.parts import (
    CALL,
    CHANNELS,
    DYNAMIC_SHIFT,
    FRAMES,
    HEADS,
    LEFT_OUT,
    NO_TEXT,
    SIDE,
    TOKENS,
    WIDTH,
    clip,
    model,
    picture,
    row,
    texts,
)
from tests.pipelines.tiny import Tiny

DIFFUSION = {
    "clip_sample": False,
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
    "timestep_spacing": "trailing",
}


def cog(
    kind: Callable,
    call: dict | None = None,
    scheduler: Callable = CogVideoXDDIMScheduler,
    transformer: Callable = CogVideoXTransformer3DModel,
    **config,
) -> Tiny:
    """One of CogVideoX's pipelines, both branches in one batch."""
    narrow = {
        "num_attention_heads": 2,
        "attention_head_dim": 16,  # the least that the rotary embedding's three axes fit into
        "in_channels": CHANNELS,
        "out_channels": CHANNELS,
        "time_embed_dim": 16,
        "text_embed_dim": WIDTH,
        "max_text_seq_length": TOKENS,
        "num_layers": 4,
        "sample_height": SIDE // 8,
        "sample_width": SIDE // 8,
        "use_rotary_positional_embeddings": True,
    }
    vae = model(
        AutoencoderKLCogVideoX,
        block_out_channels=(8, 8, 8, 8),
        latent_channels=CHANNELS,
        layers_per_block=1,
        norm_num_groups=2,
    )
    parts = {
        "transformer": model(transformer, **{**narrow, **config}),
        "vae": vae,
        "scheduler": scheduler(**DIFFUSION),
    }
    words = texts(prompt_embeds=(TOKENS, WIDTH))
    return row(kind, {**NO_TEXT, **parts}, {**CALL, **words, **(call or {})})


def cogvideox() -> Tiny:
    """Text to video with the DDIM scheduler."""
    return cog(CogVideoXPipeline)


def cogvideox_dpm() -> Tiny:
    """Text to video with a scheduler that takes and gives back the last clean sample too."""
    return cog(CogVideoXPipeline, scheduler=CogVideoXDPMScheduler)


def cogvideox_i2v() -> Tiny:
    """Image to video: the image's latents beside the noisy ones."""
    call = {"image": picture()}
    return cog(CogVideoXImageToVideoPipeline, call, in_channels=2 * CHANNELS)


def cogvideox_v2v() -> Tiny:
    """Video to video: the first two of six steps are left out."""
    call = {"video": clip(), "strength": 0.8, "num_frames": LEFT_OUT}
    return cog(CogVideoXVideoToVideoPipeline, call)


def consisid() -> Tiny:
    """Image to video with a face, attended to after every other block."""
    face, layers = 4, 2
    call = {
        "image": picture(),
        "id_cond": torch.ones(2, face),  # one for each branch
        "id_vit_hidden": [torch.ones(2, 3, face)] * layers,
    }
    return cog(
        ConsisIDPipeline,
        call,
        scheduler=CogVideoXDPMScheduler,
        transformer=ConsisIDTransformer3DModel,
        in_channels=2 * CHANNELS,
        is_train_face=True,
        cross_attn_dim_head=8,
        cross_attn_num_heads=2,
        LFE_id_dim=face,
        LFE_vit_dim=face,
        LFE_depth=layers,
        LFE_num_scale=layers,
        LFE_dim_head=8,
        LFE_num_heads=2,
        LFE_num_id_token=1,
        LFE_num_querie=2,
        LFE_output_dim=21,  # two thirds of the transformer's width
    )


def ltx(kind: Callable, call: dict | None = None, flow: dict = DYNAMIC_SHIFT) -> Tiny:
    """One of LTX-Video's pipelines, both branches in one batch."""
    transformer = model(
        LTXVideoTransformer3DModel,
        **HEADS,
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        cross_attention_dim=16,
        caption_channels=WIDTH,
        num_layers=4,
    )
    vae = model(
        AutoencoderKLLTXVideo,
        latent_channels=CHANNELS,
        block_out_channels=(8, 8, 8, 8),
        decoder_block_out_channels=(8, 8, 8, 8),
        layers_per_block=(1, 1, 1, 1, 1),
        decoder_layers_per_block=(1, 1, 1, 1, 1),
        patch_size=1,
    )
    parts = {
        "transformer": transformer,
        "vae": vae,
        "scheduler": FlowMatchEulerDiscreteScheduler(**flow),
    }
    words = texts(prompt_embeds=(TOKENS, WIDTH), prompt_attention_mask=(TOKENS,))
    return row(kind, {**NO_TEXT, **parts}, {**CALL, **words, **(call or {})})


def ltx_t2v() -> Tiny:
    """Text to video."""
    return ltx(LTXPipeline)


def ltx_i2v() -> Tiny:
    """Image to video: a timestep for every token, and a first frame that the scheduler skips."""
    return ltx(LTXImageToVideoPipeline, {"image": picture()})


def ltx_condition() -> Tiny:
    """A first frame, and a last one as tokens of its own."""
    frames = [LTXVideoCondition(image=picture(i), frame_index=i) for i in (0, FRAMES - 1)]
    return ltx(LTXConditionPipeline, {"conditions": frames}, flow={})


def mochi() -> Tiny:
    """Text to video with time running upwards; the last block leaves the text as it is."""
    channels = 12  # the pipeline's own number
    transformer = model(
        MochiTransformer3DModel,
        **HEADS,
        in_channels=channels,
        pooled_projection_dim=16,
        text_embed_dim=WIDTH,
        time_embed_dim=16,
        max_sequence_length=TOKENS,
        num_layers=4,
    )
    torch.nn.init.normal_(transformer.pos_frequencies)  # zeros would leave positions out
    vae = model(
        AutoencoderKLMochi,
        encoder_block_out_channels=(32, 32, 32, 32),  # it normalises 32 groups
        decoder_block_out_channels=(32, 32, 32, 32),
        layers_per_block=(1, 1, 1, 1, 1),
    )
    parts = {
        "transformer": transformer,
        "vae": vae,
        "scheduler": FlowMatchEulerDiscreteScheduler(invert_sigmas=True),
    }
    words = texts(prompt_embeds=(TOKENS, WIDTH), prompt_attention_mask=(TOKENS,))
    return row(MochiPipeline, {**NO_TEXT, **parts}, {**CALL, **words, "num_frames": 13})


ROWS: dict[str, Callable[[], Tiny]] = {
    "cogvideox": cogvideox,
    "cogvideox-dpm": cogvideox_dpm,
    "cogvideox-i2v": cogvideox_i2v,
    "cogvideox-v2v": cogvideox_v2v,
    "consisid": consisid,
    "ltx": ltx_t2v,
    "ltx-i2v": ltx_i2v,
    "ltx-condition": ltx_condition,
    "mochi": mochi,
}
