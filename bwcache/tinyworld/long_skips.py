"""TinyWorld's transformer with long skips: late blocks are given what early blocks gave, too.

The last blocks take a second input, each the output of its mirror image among the first (the last
block that of the first), as in Skip-DiT (arXiv 2411.17616): `x + W [norm(x), norm(skip)]`. The
projection is inside the block, so that the blocks are one list still, and a cache that passes the
whole list by has passed the skips by as well. It begins with `W = 0`: as Wan's transformer.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import torch
from diffusers import WanTransformer3DModel
from diffusers.configuration_utils import register_to_config
from diffusers.models.modeling_outputs import Transformer2DModelOutput
from diffusers.models.transformers.transformer_wan import WanTransformerBlock
from torch import nn
from torch.nn import functional


class LongSkipBlock(WanTransformerBlock):
    """A Wan block that an early block's output enters, beside its input.

    Differs from the paper: the identity is added instead of learned, so that it survives rounding
    to bfloat16, and both halves are normalised on their own, being of unlike size.
    """

    def __init__(self, dim: int, *args, **kwargs):
        super().__init__(dim, *args, **kwargs)
        self.skip_projection = nn.Linear(2 * dim, dim)
        nn.init.zeros_(self.skip_projection.weight)
        nn.init.zeros_(self.skip_projection.bias)

    def forward(
        self,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        temb: torch.Tensor,
        rotary_emb: torch.Tensor,
        skip_hidden_states: torch.Tensor,
    ) -> torch.Tensor:
        both = [_normalised(each) for each in (hidden_states, skip_hidden_states)]
        hidden_states = hidden_states + self.skip_projection(torch.cat(both, dim=-1))
        return super().forward(hidden_states, encoder_hidden_states, temb, rotary_emb)


def _normalised(hidden_states: torch.Tensor) -> torch.Tensor:
    normalised = functional.layer_norm(hidden_states.float(), hidden_states.shape[-1:])
    return normalised.type_as(hidden_states)


class Conditions(NamedTuple):
    """What every block of a call is given.

    Args:
        encoder_hidden_states: Text `[B, words, C]`.
        timestep_proj: `[B, 6, C]`, for the blocks.
        rotary_emb: Places of the tokens.
        temb: `[B, C]`, for the output's norm.
    """

    encoder_hidden_states: torch.Tensor
    timestep_proj: torch.Tensor
    rotary_emb: torch.Tensor
    temb: torch.Tensor


class LongSkipWanTransformer3DModel(WanTransformer3DModel):
    """A Wan transformer over single latent cells whose last blocks have long skips.

    Args:
        long_skips: How many of the last blocks are given what one of the first gave; at most half.
        wan: As of `WanTransformer3DModel`; its patches are single cells.

    Raises:
        ValueError: There are not twice as many blocks as long skips, or a patch is not one cell.
    """

    ignore_for_config: ClassVar = ["wan"]  # told by the class that takes them
    _supports_gradient_checkpointing = False
    _no_split_modules: ClassVar = ["WanTransformerBlock", "LongSkipBlock"]
    _repeated_blocks: ClassVar = ["WanTransformerBlock", "LongSkipBlock"]

    @register_to_config
    def __init__(self, long_skips: int = 0, **wan):
        super().__init__(**wan)
        layers = len(self.blocks)
        if not 0 <= 2 * long_skips <= layers or set(self.config.patch_size) != {1}:
            raise ValueError(
                f"long_skips: {long_skips} of {layers} blocks and patches of "
                f"{tuple(self.config.patch_size)}; at most half of the blocks, patches (1, 1, 1)"
            )
        config = self.config
        for place in range(layers - long_skips, layers):
            self.blocks[place] = LongSkipBlock(
                config.num_attention_heads * config.attention_head_dim,
                *(config.ffn_dim, config.num_attention_heads, config.qk_norm),
                *(config.cross_attn_norm, config.eps, config.added_kv_proj_dim),
            )

    @staticmethod
    def _get_init_keys(input_class) -> set[str]:
        """Names that a saved configuration may have: `**wan` does not tell them."""
        return {"long_skips", *WanTransformer3DModel._get_init_keys(WanTransformer3DModel)}

    def embed(
        self,
        hidden_states: torch.Tensor,
        timestep: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
    ) -> tuple[torch.Tensor, Conditions]:
        """Tokens `[B, N, C]` of latents `[B, z, T, h, w]`, and what goes with them."""
        rotary_emb = self.rope(hidden_states)
        tokens = self.patch_embedding(hidden_states).flatten(2).transpose(1, 2).contiguous()
        temb, timestep_proj, text, _ = self.condition_embedder(timestep, encoder_hidden_states)
        return tokens, Conditions(text, timestep_proj.unflatten(1, (6, -1)), rotary_emb, temb)

    def run_blocks(
        self,
        hidden_states: torch.Tensor,
        conditions: Conditions,
        places: range,
        skips: list[torch.Tensor],
    ) -> torch.Tensor:
        """Some blocks, one after another.

        Args:
            hidden_states: Tokens `[B, N, C]`.
            conditions: Of the call.
            places: Of the blocks, from 0.
            skips: Outputs of early blocks; these are put on its end, late blocks take theirs off.
        """
        given = conditions.encoder_hidden_states, conditions.timestep_proj, conditions.rotary_emb
        count = self.config.long_skips
        for place in places:
            skip = (skips.pop(),) if place >= len(self.blocks) - count else ()
            hidden_states = self.blocks[place](hidden_states, *given, *skip)
            if place < count:
                skips.append(hidden_states)
        return hidden_states

    def predict(
        self, hidden_states: torch.Tensor, conditions: Conditions, shape: torch.Size
    ) -> torch.Tensor:
        """The prediction `[B, z, T, h, w]` of the last block's output; `shape` is the latents'."""
        shift, scale = (self.scale_shift_table + conditions.temb.unsqueeze(1)).chunk(2, dim=1)
        normalised = self.norm_out(hidden_states.float()) * (1 + scale) + shift
        cells = self.proj_out(normalised.type_as(hidden_states))
        return cells.transpose(1, 2).unflatten(2, tuple(shape[2:]))

    def forward(
        self,
        hidden_states: torch.Tensor,
        timestep: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        encoder_hidden_states_image: torch.Tensor | None = None,
        return_dict: bool = True,
        attention_kwargs: dict | None = None,
    ) -> Transformer2DModelOutput | tuple[torch.Tensor]:
        """As of `WanTransformer3DModel`; pictures and adapters' weights are not taken.

        Raises:
            ValueError: One of these is given.
        """
        if encoder_hidden_states_image is not None or attention_kwargs:
            raise ValueError(
                "encoder_hidden_states_image, attention_kwargs: not taken by this transformer; "
                "leave them out"
            )
        tokens, conditions = self.embed(hidden_states, timestep, encoder_hidden_states)
        tokens = self.run_blocks(tokens, conditions, range(len(self.blocks)), [])
        output = self.predict(tokens, conditions, hidden_states.shape)
        return Transformer2DModelOutput(sample=output) if return_dict else (output,)
