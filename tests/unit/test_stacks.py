"""Stacks of blocks of every kind, by hand: where they are, and what a replay makes of them.

See `tests/toy.py` for its rules: step t sees t + 1, and a block doubles it. Step 3 changes by 1/3,
the first below δ = 0.4; then two steps are reused after each computed one.
"""

from typing import get_args

import pytest
import torch
from torch import nn
from torch._subclasses import FakeTensorMode

from bwcache import BWCacheConfig, CacheError, cached
from bwcache.cache.block_stacks import BlockStack
from bwcache.cache.methods.bwcache import Reuse
from bwcache.cache.probes import Samples
from bwcache.cache.replay import REPLAYS
from tests.toy import DoublingBlock, ToyPipeline, ToyTransformer

UNCACHED = [4, 8, 12, 16, 20, 24, 28, 32]
REPLAYED = [4, 8, 12, 16, 5 + 12, 6 + 12, 28, 8 + 21]  # step 3 added 12 to 4, step 6 21 to 7


def config(**changes) -> BWCacheConfig:
    return BWCacheConfig(**{"threshold": 0.4, "reuse_interval": 2, "tail_fraction": 0.0, **changes})


def actions(run) -> str:
    return "".join(action[0] for action in run.trace.schedule)


# -- a stranger's transformer ---------------------------------------------------------------------


class Stranger(nn.Module):
    """Blocks under names of its own, one after another."""

    def __init__(self, **lists: int):
        super().__init__()
        for name, length in lists.items():
            setattr(self, name, nn.ModuleList(DoublingBlock() for _ in range(length)))

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        for blocks in self.children():
            for block in blocks:
                hidden_states = block(hidden_states)
        return hidden_states


@pytest.mark.parametrize(
    ("lists", "blocks"),
    [
        ({"layers": 2}, "layers"),
        ({"early": 1, "late": 1}, ["early", "late"]),
        ({"layers": 2}, BlockStack(("layers",))),
        ({"transformer_blocks": 2}, None),  # a usual name
    ],
)
def test_a_strangers_blocks_by_the_names_of_their_lists(lists, blocks):
    pipe = ToyPipeline(transformer=Stranger(**lists))
    with cached(pipe, config(), blocks=blocks) as run:
        assert pipe(8) == REPLAYED
    assert run.trace.num_blocks == 2
    assert pipe(8) == UNCACHED


@pytest.mark.parametrize(
    ("blocks", "reason"),
    [
        ("layer", "Stranger has no list of blocks called layer"),
        (("layers", "late"), "no list of blocks called late"),
        ("empty", "no list of blocks called empty"),
        (None, "not known here .* blocks or transformer_blocks; name its lists"),
    ],
)
def test_a_missing_list_is_refused_with_the_reason(blocks, reason):
    pipe = ToyPipeline(transformer=Stranger(layers=2, empty=0))
    with pytest.raises(CacheError, match=reason), cached(pipe, config(), blocks=blocks):
        pass
    assert pipe(8) == UNCACHED


def test_blocks_with_other_arguments_are_refused_before_they_run():
    pipe = ToyPipeline()
    pipe.transformer.blocks[0] = nn.Linear(3, 3)  # its argument is called input
    with pytest.raises(CacheError, match="no argument called hidden_states, only input"):
        cached(pipe, config()).__enter__()
    assert "_compiled_call_impl" not in vars(pipe.transformer.blocks[1])


def test_another_transformer_put_in_inside_is_refused():
    """Its blocks would run uncached, and no step of it be recorded."""
    pipe = ToyPipeline()
    with cached(pipe, config()):
        pipe.transformer = ToyTransformer()
        with pytest.raises(CacheError, match="transformer"):
            pipe(8)


class TextFirst(nn.Module):
    """A block that takes the features first, and gives them back last."""

    def forward(self, hidden_states, encoder_hidden_states):
        return encoder_hidden_states + 1, hidden_states * 2


class WithText(nn.Module):
    """The text starts at 100 and grows by one in each block; the sum of both streams is given."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([TextFirst(), TextFirst()])

    def forward(self, hidden_states):
        text = torch.full((1, 5, 3), 100.0)
        for block in self.layers:
            text, hidden_states = block(hidden_states, encoder_hidden_states=text)
        return hidden_states + text.mean()


def test_two_streams_returned_in_the_other_order():
    stack = BlockStack(("layers",), ("encoder_hidden_states", "hidden_states"))
    pipe = ToyPipeline(transformer=WithText())
    with cached(pipe, config(), blocks=stack) as run:
        assert pipe(8) == [102 + x for x in REPLAYED]
    assert run.trace.indicators[1:4] == pytest.approx([1, 1 / 2, 1 / 3])


# -- what passes through it -----------------------------------------------------------------------


class WithImage(ToyTransformer):
    """Four tokens of the latents and four of an image, which is always 2; the former are given."""

    def forward(self, hidden_states):
        image = torch.full((1, 4, 3), 2.0)
        return super().forward(torch.cat([image, hidden_states], dim=1))[:, 4:]


def test_an_image_among_the_tokens():
    """Step t changes by 1 of t in half of the tokens, by 0 of 2 in the others: 1 / (t + 2)."""
    pipe = ToyPipeline(transformer=WithImage())
    with cached(pipe, config(threshold=0.21)) as run:
        assert pipe(6) == [4, 8, 12, 16, 5 + 12, 6 + 12]
    assert run.trace.indicators[1:4] == pytest.approx([1 / 3, 1 / 4, 1 / 5])


def test_two_experts_with_different_numbers_of_blocks():
    """δ = 0.9 triggers at step 2, and in the second, whose own first step is 4, at step 5 with 1/5.

    So steps 6 and 7 add what step 5 added. It had seen one step before: floor(1 / 2) are the tail.
    """
    pipe = ToyPipeline(transformer=ToyTransformer(2), transformer_2=ToyTransformer(3), switch_at=4)
    with cached(pipe, config(threshold=0.9, tail_fraction=0.5)) as run:
        # step 5 makes 48 of 6, which adds 42; step 8 makes 72 of 9, which adds 63
        assert pipe(10) == [4, 8, 12, 4 + 9, 40, 48, 7 + 42, 8 + 42, 72, 10 + 63]
    assert actions(run) == "cccrccrrcr"
    assert [(each.first_step, each.state) for each in run.trace.experts] == [
        (0, {"trigger_step": 2}),
        (4, {"trigger_step": 5}),
    ]
    assert [len(step.distances or ()) for step in run.trace.steps] == [0, 2, 2, 0, 0, 3, 0, 0, 3, 0]


def test_a_trigger_in_the_second_expert_counts_from_its_own_first_step():
    """δ = 0.15 triggers at step 7 with 1/7, the second's fourth: a tail of floor(3 / 2)."""
    pipe = ToyPipeline(transformer_2=ToyTransformer(3), switch_at=4)
    with cached(pipe, config(threshold=0.15, tail_fraction=0.5)) as run:
        pipe(12)
    assert actions(run) == "ccccccccrrcc"
    assert run.trace.trigger_step == 7


class TakingTurns(nn.Module):
    """Blocks on the tokens of each frame, then blocks on the frames of each token."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([DoublingBlock(), DoublingBlock()])
        self.temporal = nn.ModuleList([DoublingBlock(), DoublingBlock()])

    def forward(self, hidden_states):
        (hidden_states,) = hidden_states  # one video: the blocks' batch is its frames
        for spatial, temporal in zip(self.blocks, self.temporal, strict=True):
            by_token = spatial(hidden_states).transpose(0, 1)
            hidden_states = temporal(by_token).transpose(0, 1)
        return hidden_states[None]


def test_lists_that_take_turns():
    """Two frames of two tokens: 1, 2 and 3, 4, which every step adds once more, and one.

    So step t sees (t + 2) times that and t, and changes by 14 of 10·(t + 1) + 4·(t - 1) in all.
    Four blocks add fifteen times what entered.
    """
    stack = BlockStack(("blocks", "temporal"), alternating=True)
    pipe = ToyPipeline(transformer=TakingTurns())
    pipe.start = start = torch.tensor([[[[1.0], [2.0]], [[3.0], [4.0]]]])
    pipe.before_step = lambda step, latents: latents + start
    with cached(pipe, config(threshold=0.5), blocks=stack) as run:
        pipe(5)
    assert run.trace.indicators[1:3] == pytest.approx([14 / 20, 14 / 34])
    assert actions(run) == "cccrr"
    (computed,), (reused,) = pipe.outputs[2:4]
    assert torch.equal(computed, 16 * (4 * start + 2))
    assert torch.equal(reused, 5 * start + 3 + 15 * (4 * start + 2))


@pytest.mark.parametrize("reuse", get_args(Reuse))
def test_a_stack_split_over_two_devices(reuse):
    """As `device_map` splits a large transformer. Fake tensors, which have a device and no data."""
    with FakeTensorMode():
        first, last = (torch.ones(1, 4, 3, device=f"cpu:{number}") for number in range(2))
        replay, samples = REPLAYS[reuse](), Samples(None)
        for step in range(3):
            replay.compute((first,))
            samples.begin()
            samples.take(first)
            samples.take(last)
            replay.leave((last,), float(-step))
            samples.compare()
        replay.skip((first,))
        (replayed,) = replay.give((first,), -3.0)
    assert replayed.device == last.device


# -- forecast -------------------------------------------------------------------------------------


def test_a_forecast_follows_the_residual_in_the_noise_level():
    """The residual is 3·(t + 1), the noise level 8 - t.

    A change is followed for half a gap at most, and by less the larger it is: by (1 - 3/12)·3 after
    step 3, by (1 - 9/21)·9 after step 6, where a step is a third of the gap.
    """
    pipe = ToyPipeline()
    with cached(pipe, config(reuse="forecast")) as run:
        predictions = pipe(8)
    assert actions(run) == "ccccrrcr"
    half, third = (1 - 3 / 12) * 3 / 2, (1 - 9 / 21) * 9 / 3
    assert predictions[4:] == pytest.approx([5 + 12 + half, 6 + 12 + half, 28, 8 + 21 + third])


def test_a_forecast_holds_what_two_computed_steps_gave():
    """δ = 9 triggers at step 1: the run's first step is no trend. Step 4's change is 15 - 6."""
    pipe = ToyPipeline()
    with cached(pipe, config(threshold=9, reuse="forecast")):
        predictions = pipe(7)
    change = (1 - 9 / 15) * 9
    followed = [6 + 15 + change / 3, 7 + 15 + change / 2]
    assert predictions[2:] == pytest.approx([3 + 6, 4 + 6, 20, *followed])


def test_a_forecast_holds_what_a_second_experts_first_two_steps_gave():
    """They are no trend yet: from step 7 on, what step 6 added to 7 is held."""
    pipe = ToyPipeline(transformer_2=ToyTransformer(3), switch_at=5)
    with cached(pipe, config(threshold=0.9, reuse="forecast")) as run:
        assert pipe(9)[5:] == [48, 56, 8 + 49, 9 + 49]
    assert actions(run) == "cccrrccrr"
