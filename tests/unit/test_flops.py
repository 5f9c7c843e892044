"""How much work modules are: by hand, against PyTorch's own counter, and in a trace's share."""

import pytest
import torch
from diffusers.models.transformers.transformer_ltx import LTXAttention
from diffusers.models.transformers.transformer_wan import WanAttention, WanAttnProcessor
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from bwcache import FORAConfig, PABConfig, cached
from bwcache.cache.flops import module_flops
from tests.conftest import build_wan, run_wan

TOKENS, TEXT, WIDTH = 7, 5, 12


def counting():
    """Attention by its products, which are the ones that PyTorch's counter counts on a CPU."""
    return sdpa_kernel(SDPBackend.MATH)


def test_by_hand():
    """Of width 12 each linear layer is 2 · 144 a token; 7 tokens to 5 or 7: 4 · 7 · 5 · 12."""
    attention = WanAttention(dim=WIDTH, heads=2, dim_head=6)
    layer = 2 * WIDTH * WIDTH
    assert module_flops(attention, TOKENS) == 4 * layer * TOKENS + 4 * TOKENS * TOKENS * WIDTH
    cross = 2 * layer * TOKENS + 2 * layer * TEXT + 4 * TOKENS * TEXT * WIDTH
    assert module_flops(attention, TOKENS, TEXT) == cross
    mlp = nn.Sequential(nn.Linear(WIDTH, 30), nn.GELU(), nn.Linear(30, WIDTH))
    assert module_flops(mlp, TOKENS) == 2 * TOKENS * 2 * 30 * WIDTH


@pytest.mark.parametrize("context", [None, TEXT])
@pytest.mark.parametrize("kind", ["wan", "ltx"])
def test_as_pytorch_counts_them(kind, context):
    if kind == "wan":
        across = {} if context is None else {"cross_attention_dim_head": 6}
        module = WanAttention(WIDTH, 2, 6, processor=WanAttnProcessor(), **across)
    else:
        module = LTXAttention(WIDTH, heads=2, kv_heads=2, dim_head=6)
    tokens = torch.randn(1, TOKENS, WIDTH)
    there = None if context is None else torch.randn(1, context, WIDTH)
    with FlopCounterMode(display=False) as counter, counting(), torch.no_grad():
        module(tokens, there)
    assert module_flops(module, TOKENS, context) == counter.get_total_flops()


def shares(pipe) -> dict[str, float]:
    """What self-attention, cross-attention and MLP are of a block's work, as PyTorch counts."""
    counter = FlopCounterMode(display=False)
    with counter, counting():
        run_wan(pipe, steps=2)
    found = counter.get_flop_counts()
    names = {"self": "attn1", "cross": "attn2", "mlp": "ffn"}
    made = {
        part: sum(found[f"WanTransformer3DModel.blocks.0.{name}"].values())
        for part, name in names.items()
    }
    return {part: each / sum(made.values()) for part, each in made.items()}


def test_the_share_of_a_run_weighs_modules_by_their_work():
    """Of steps 3 to 8 self-attention runs at 4, 6, 8, cross-attention at 4 and 8; MLPs at all."""
    pipe = build_wan("euler", layers=2)
    of = shares(pipe)
    assert abs(of["mlp"] - 1 / 3) > 0.05  # else counting modules would do
    with cached(pipe, PABConfig(2, 4, 0.25, 0.75)) as run:
        run_wan(pipe, steps=12)
    left_out = of["self"] * 3 / 12 + of["cross"] * 4 / 12
    assert run.trace.compute_share == pytest.approx(1 - left_out)
    assert run.trace.steps[4].compute_share == 1
    assert run.trace.steps[5].compute_share == pytest.approx(of["mlp"])


def test_what_is_all_or_nothing_needs_no_weights():
    pipe = build_wan("euler", layers=2)
    with cached(pipe, FORAConfig(3, "modules")) as run:
        run_wan(pipe, steps=12)
    assert run.trace.compute_share == pytest.approx(4 / 12)
