"""Where each transformer of diffusers keeps its blocks, and what passes through them: one table.

Pure data, standard library only; `hooks.py` reads it. Guidance branches need no entry: a branch is
known by the name that the pipeline gives its call (`cache_context`), and by call order within the
step where it gives none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class BlockStack:
    """The blocks of one transformer call, from the first to the last.

    Args:
        lists: Names of the transformer's `ModuleList`s of blocks, in the order in which they run.
        streams: Names of the block arguments that it returns, in the order of the returned tuple.
            One name: the block returns a tensor.
        feature: Which of the streams is measured.
        alternating: The lists take turns (first of each, then second of each …), and the features
            are `[B·F, tokens, C]` in the first and `[B·tokens, F, C]` in the last.
        side_list: Blocks that run before the stack and whose results enter only between its
            blocks; a reused step passes them by, too.
        side_stream: The argument that a block of the side list returns, twice, when passed by.
    """

    lists: tuple[str, ...]
    streams: tuple[str, ...] = ("hidden_states",)
    feature: str = "hidden_states"
    alternating: bool = False
    side_list: str | None = None
    side_stream: str = "control_hidden_states"

    def __post_init__(self) -> None:
        if not self.lists or self.feature not in self.streams:
            raise ValueError("BlockStack: it needs a list, and the feature must be a stream")


WITH_TEXT = ("hidden_states", "encoder_hidden_states")
_BLOCKS = BlockStack(("blocks",))
_TRANSFORMER_BLOCKS = BlockStack(("transformer_blocks",))
_TEXT_TOO = BlockStack(("transformer_blocks",), WITH_TEXT)
_DOUBLE_THEN_SINGLE = BlockStack(("transformer_blocks", "single_transformer_blocks"), WITH_TEXT)

STACKS: Mapping[str, BlockStack] = MappingProxyType(
    {
        "WanTransformer3DModel": _BLOCKS,
        "LongSkipWanTransformer3DModel": _BLOCKS,  # TinyWorld's; skips enter inside the blocks
        "WanAnimateTransformer3DModel": _BLOCKS,
        "WanVACETransformer3DModel": BlockStack(("blocks",), side_list="vace_blocks"),
        "ChronoEditTransformer3DModel": _BLOCKS,
        "SkyReelsV2Transformer3DModel": _BLOCKS,
        "HeliosTransformer3DModel": _BLOCKS,
        "CogVideoXTransformer3DModel": _TEXT_TOO,
        "ConsisIDTransformer3DModel": _TEXT_TOO,
        "LTXVideoTransformer3DModel": _TRANSFORMER_BLOCKS,
        "LTX2VideoTransformer3DModel": BlockStack(
            ("transformer_blocks",), ("hidden_states", "audio_hidden_states")
        ),
        "HunyuanVideoTransformer3DModel": _DOUBLE_THEN_SINGLE,
        "HunyuanVideoFramepackTransformer3DModel": _DOUBLE_THEN_SINGLE,
        "HunyuanVideo15Transformer3DModel": _TEXT_TOO,
        "MotifVideoTransformer3DModel": _DOUBLE_THEN_SINGLE,
        "MochiTransformer3DModel": _TEXT_TOO,
        "LatteTransformer3DModel": BlockStack(
            ("transformer_blocks", "temporal_transformer_blocks"), alternating=True
        ),
        "AllegroTransformer3DModel": _TRANSFORMER_BLOCKS,
        "EasyAnimateTransformer3DModel": _TEXT_TOO,
        "CosmosTransformer3DModel": _TRANSFORMER_BLOCKS,
        "Cosmos3OmniTransformer": BlockStack(("layers",), ("und_seq", "gen_seq"), "gen_seq"),
        "Kandinsky5Transformer3DModel": BlockStack(
            ("visual_transformer_blocks",), ("visual_embed",), "visual_embed"
        ),
        "SanaVideoTransformer3DModel": _TRANSFORMER_BLOCKS,
    }
)

_WAN_MODULES = (("attn1", "self"), ("attn2", "cross"), ("ffn", "mlp"))
# the modules of a block in calling order that take and give one tensor, and what each is
MODULES: Mapping[str, tuple[tuple[str, str], ...]] = MappingProxyType(
    {
        "WanTransformer3DModel": _WAN_MODULES,
        "LongSkipWanTransformer3DModel": _WAN_MODULES,
        "SkyReelsV2Transformer3DModel": _WAN_MODULES,
        "LTXVideoTransformer3DModel": (("attn1", "self"), ("attn2", "cross"), ("ff", "mlp")),
    }
)

# whose pipelines may give each latent frame a timestep of its own (diffusion forcing); what stands
# in an attention of theirs when it is called is known, see `chunk_gates.py`
CALLED_PER_FRAME = ("SkyReelsV2Transformer3DModel",)

# whose pipelines call them once for each guidance branch, not with a batch of both
CALLED_PER_BRANCH = (
    *("WanTransformer3DModel", "WanVACETransformer3DModel", "WanAnimateTransformer3DModel"),
    "LongSkipWanTransformer3DModel",
    *("SkyReelsV2Transformer3DModel", "HunyuanVideoTransformer3DModel"),
    *("HunyuanVideo15Transformer3DModel", "HunyuanVideoFramepackTransformer3DModel"),
    *("CosmosTransformer3DModel", "Cosmos3OmniTransformer", "Kandinsky5Transformer3DModel"),
    *("HeliosTransformer3DModel", "MotifVideoTransformer3DModel", "ChronoEditTransformer3DModel"),
)

GUESSES = ("blocks", "transformer_blocks")  # tried for a transformer that is not in the table

_KEEPS_KEYS = "its blocks keep keys and values of earlier calls, which a passed-by block would miss"
REFUSED: Mapping[str, str] = MappingProxyType(
    {
        "AnyFlowFARTransformer3DModel": _KEEPS_KEYS,
        "WanAnimate2Transformer3DModel": _KEEPS_KEYS,
    }
)
