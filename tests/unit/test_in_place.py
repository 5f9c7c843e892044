"""Blocks and models that alter in place what caching keeps by reference; by hand, see `toy.py`.

A block that works in place doubles the very tensor that it is given, so that the stack's input is
no longer there when the residual is taken.
"""

from contextlib import nullcontext

import pytest
import torch
from torch import nn

from bwcache import BWCacheConfig, FirstBlockCacheConfig, Span, cached
from bwcache.cache.in_place import Held
from bwcache.cache.replay import REPLAYS
from tests.methods.fixed import Fixed, every_block, singly
from tests.toy import ToyPipeline, ToyTransformer

REPLAYED = [4, 8, 12, 16, 5 + 12, 6 + 12, 28, 8 + 21]  # see test_stacks.py
HELD = [4, 8, 12, 16, 16, 16, 28, 28]


def config(**changes) -> BWCacheConfig:
    return BWCacheConfig(**{"threshold": 0.4, "reuse_interval": 2, "tail_fraction": 0.0, **changes})


class InPlaceBlock(nn.Module):
    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        hidden_states *= 2
        return hidden_states


class UnseenBlock(nn.Module):
    """Writes as a kernel of one's own does: no version counter moves."""

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        hidden_states.data.mul_(2)
        return hidden_states


class Patched(ToyTransformer):
    """A layer before the blocks makes features of their own; one behind them, if there is one."""

    def __init__(self, kind: type = InPlaceBlock, blocks: int = 2, behind=lambda x: x):
        super().__init__(0)
        self.blocks = nn.ModuleList(kind() for _ in range(blocks))
        self.behind = behind

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        return self.behind(super().forward(hidden_states * 1))


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("kind", [InPlaceBlock, UnseenBlock])
@pytest.mark.parametrize(("reuse", "expected"), [("residual", REPLAYED), ("output", HELD)])
def test_blocks_that_work_in_place(kind, reuse, expected, inference):
    pipe = ToyPipeline(transformer=Patched(kind))
    with torch.inference_mode() if inference else nullcontext():
        pipe.start = torch.ones(1, 4, 3)
        with cached(pipe, config(reuse=reuse), blocks="blocks") as run:
            assert pipe(8) == expected
    assert run.trace.indicators[1:4] == pytest.approx([1, 1 / 2, 1 / 3])


def test_every_block_by_itself_may_work_in_place():
    """Step 1 sees 2: the residuals are 2, 4, 8, 16."""
    pipe = ToyPipeline(transformer=Patched(blocks=4))
    with cached(pipe, Fixed(every_block, singly)):
        assert pipe(5) == [16, 32, 3 + 30, 4 + 30, 80]


def test_a_forecast_of_blocks_that_work_in_place_is_that_of_others():
    found = []
    for transformer in (ToyTransformer(), Patched()):
        pipe = ToyPipeline(transformer=transformer)
        with cached(pipe, config(threshold=0.2, reuse="forecast")):
            found.append(pipe(12))
    assert found[0] == found[1]


def test_what_a_first_block_adds_in_place_is_measured():
    """It adds t + 1 to t + 1: relative to the step before it changes by 1/t, and 1/4 is enough."""
    pipe = ToyPipeline(transformer=Patched())
    with cached(pipe, FirstBlockCacheConfig(0.26)) as run:
        # step 3 is the last computed one: the second block added 8 to 8
        assert pipe(5)[4] == 10 + 8
    assert [step.blocks for step in run.trace.steps] == ["CC", "CC", "CC", "CC", "Cr"]


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize("reuse", ["residual", "output"])
def test_a_model_that_goes_on_in_place_behind_its_blocks(reuse, inference):
    pipe = ToyPipeline(transformer=Patched(InPlaceBlock if inference else ToyDoubling, behind=add))
    with torch.inference_mode() if inference else nullcontext():
        pipe.start = torch.ones(1, 4, 3)
        with cached(pipe, config(reuse=reuse)):
            expected = REPLAYED if reuse == "residual" else HELD
            assert pipe(8) == [x + 100 for x in expected]


class ToyDoubling(nn.Module):
    def forward(self, hidden_states):
        return hidden_states * 2


def add(features: torch.Tensor) -> torch.Tensor:
    features += 100
    return features


def test_a_method_that_reuses_at_once_is_refused_what_was_spoilt():
    """The first step's residual is lost: the second is computed, with the reason, and kept."""
    pipe = ToyPipeline(transformer=Patched())
    method = Fixed(lambda step, blocks: (Span(),) if step else ())
    with cached(pipe, method) as run:
        assert pipe(4) == [4, 8, 3 + 6, 4 + 6]
    assert run.trace.steps[1].reason == "the blocks altered their input in place"


class Skipping(ToyTransformer):
    """Adds what the blocks were given to what they gave; in place that is the same tensor."""

    def __init__(self):
        super().__init__(0)
        self.blocks = nn.ModuleList([InPlaceBlock(), InPlaceBlock()])

    def forward(self, hidden_states):
        features = entered = hidden_states * 1
        for block in self.blocks:
            features = block(features)
        return features + entered


def test_what_lay_where_the_input_was_lies_there_in_a_reused_step():
    pipe = ToyPipeline(transformer=Skipping())
    with cached(pipe, config()):
        assert pipe(8) == [2 * x for x in REPLAYED]


class Hinted(ToyTransformer):
    """Adds a hint between its blocks, in place."""

    def forward(self, hidden_states):
        features = self.blocks[0](hidden_states * 1)
        features += 1000
        return self.blocks[1](features)


def test_a_hint_added_in_place_between_blocks_is_added_once():
    """The stack made 4x + 2000 of x: its residual holds the hint, which must not come twice."""
    pipe = ToyPipeline(transformer=Hinted())
    with cached(pipe, config(threshold=1e6)) as run:
        assert pipe(4) == [2004, 2008, 3 + 2006, 4 + 2006]
    assert run.trace.schedule[2:] == ["reuse", "reuse"]


@pytest.mark.parametrize("reuse", ["residual", "output"])
def test_no_copy_is_made_where_none_is_needed(reuse, monkeypatch):
    """Of what blocks take and give: one at most, in the first reused step, to be safe."""
    copies = []
    clone = torch.Tensor.clone
    monkeypatch.setattr(torch.Tensor, "clone", lambda x: copies.append(x.shape) or clone(x))
    pipe = ToyPipeline()
    with cached(pipe, config(reuse=reuse)):
        pipe(4)
        whole = [shape for shape in copies if shape == pipe.start.shape]
        assert not whole
        pipe(12)
    assert len([shape for shape in copies if shape == pipe.start.shape]) <= 1


def test_a_replay_that_was_altered_is_not_given_again():
    replay = REPLAYS["output"]()
    features = torch.ones(1, 4, 3)
    replay.compute((features,))
    replay.leave((features * 2,), 1.0)
    assert replay.refusal((features,)) is None
    replay.kept[0].add_(1)
    assert "altered in place" in replay.refusal((features,))
    replay.compute((features,))
    replay.leave((features * 2,), 0.5)
    replay.skip((features,))
    (given,) = replay.give((features,), 0.25)
    given.add_(1)
    assert torch.equal(replay.kept[0], features * 2)


def test_a_copy_is_kept_only_after_an_alteration():
    held, features = Held(), torch.ones(3)
    held.put((features, None))
    assert held.tensors[0] is features
    assert not held.altered()
    features.add_(1)
    assert held.altered()
    held.put((features, None))
    features.add_(1)
    assert not held.altered()
    assert torch.equal(held.tensors[0], torch.full((3,), 2.0))
