"""What goes wrong when caching is put into diffusers' pipelines without care: one test a trap.

Numbers are as in the list of traps. The seventh, LoRA with offloading, is in `test_works_with.py`;
4, 8 and 9 by hand are in `tests/unit/test_traps_by_hand.py`.
"""

import weakref
from collections.abc import Callable
from contextlib import suppress

import pytest
import torch

from bwcache import BWCacheConfig, cached
from bwcache.cache.run import Run
from tests.pipelines.combined import FREELY, actions, pattern
from tests.pipelines.tiny import Tiny
from tests.pipelines.zoo_cosmos import cosmos1
from tests.pipelines.zoo_hunyuan import framepack_in_order, hunyuan15_t2v
from tests.pipelines.zoo_latte import easyanimate, latte, sana_video
from tests.pipelines.zoo_ltx2 import ltx2_t2v
from tests.pipelines.zoo_skyreels import skyreels_df, skyreels_df_long
from tests.pipelines.zoo_wan import wan21_t2v, wan22_t2v, wan_v2v, wan_vace, wan_vace_last


def tokens(features: torch.Tensor) -> torch.Tensor:
    """A picture's or a video's patches, or tokens as they are."""
    return features.flatten(2).transpose(1, 2) if features.dim() > 3 else features


class Neighbours:
    """What enters and leaves the blocks at every call, as the layers before and after see it."""

    def __init__(self, first: torch.nn.Module, last: torch.nn.Module):
        self.entered: list[torch.Tensor] = []
        self.left: list[torch.Tensor] = []
        first.register_forward_hook(lambda m, args, output: self.entered.append(tokens(output)))
        last.register_forward_pre_hook(lambda m, args: self.left.append(args[0]))

    def check(self, run: Run, calls: int) -> None:
        """A reused step adds what the last computed one added, in each of a step's calls."""
        for call in range(calls):
            added = None
            entered, left = self.entered[call::calls], self.left[call::calls]
            for step, before, after in zip(run.trace.steps, entered, left, strict=True):
                if step.action == "compute":
                    added = after - before
                else:
                    torch.testing.assert_close(after, before + added)


# -- 1: replay at the tail ----------------------------------------------------------------------


@pytest.mark.parametrize("build", [wan_vace, wan_vace_last])
def test_1_control_hints_are_added_once(build):
    """A hint behind the last block is made anew; others are in what is replayed, and cost nothing.

    To compare, what is added behind the last block is taken off again.
    """
    tiny, behind = build(), build is wan_vace_last
    transformer = tiny.pipe.transformer
    ends, hints = Neighbours(transformer.patch_embedding, transformer.norm_out), []
    transformer.vace_blocks[-1].register_forward_hook(lambda m, args, out: hints.append(out[0]))
    with cached(tiny.pipe, FREELY) as run:
        tiny.run()
    assert actions(run) == pattern(6)
    assert len(hints) == (12 if behind else 6)  # two calls a step
    if behind:
        ends.left = [x - hint for x, hint in zip(ends.left, hints, strict=True)]
    ends.check(run, calls=2)


def test_1_reshapes_between_blocks_are_left_alone():
    """Latte's blocks see frames and tokens in turns the one and the other way round."""
    tiny = latte()
    ends = Neighbours(tiny.pipe.transformer.pos_embed, tiny.pipe.transformer.norm_out)
    with cached(tiny.pipe, FREELY) as run:
        tiny.run()
    assert actions(run) == pattern(6)
    ends.check(run, calls=1)


def test_1_without_its_last_block_a_pipeline_is_left_alone():
    """Latte without its temporal blocks: there is nothing to replay."""
    tiny = latte(temporal=False)
    plain = tiny.run()
    with cached(tiny.pipe, FREELY) as run:
        assert torch.equal(tiny.run(), plain)
    assert actions(run) == "cccccc"


# -- 3: what was there before -------------------------------------------------------------------


def test_3_contexts_are_seen_after_a_run_without_caching():
    """Diffusers remembers who listens to them from the first call on."""
    tiny, seen = wan21_t2v(), set()
    tiny.run()
    with cached(tiny.pipe, FREELY, on_step=lambda *_: seen.update(run._controller.branches)) as run:
        tiny.run()
    assert seen == {("cond", 0), ("uncond", 0)}


# -- 4: guidance branches -----------------------------------------------------------------------


def test_4_unnamed_branches_replay_their_own():
    tiny = wan_v2v()
    ends = Neighbours(tiny.pipe.transformer.patch_embedding, tiny.pipe.transformer.norm_out)
    with cached(tiny.pipe, FREELY) as run:
        tiny.run()
    assert actions(run) == pattern(6)
    ends.check(run, calls=2)
    added = [after - before for before, after in zip(ends.entered, ends.left, strict=True)]
    assert not torch.allclose(added[2], added[3])


# -- 5: loops and schedulers --------------------------------------------------------------------


@pytest.mark.parametrize(("build", "loops"), [(framepack_in_order, 2), (skyreels_df_long, 3)])
def test_5_every_loop_of_a_call_starts_afresh(build, loops):
    tiny = build()
    with cached(tiny.pipe, FREELY) as run:
        tiny.run()
    found = ["".join(step.action[0] for step in trace.steps) for trace in run.traces]
    assert found == [pattern(6)] * loops


@pytest.mark.parametrize(("build", "own_steps"), [(skyreels_df, None), (ltx2_t2v, 6)])
def test_5_copies_of_the_scheduler_step_themselves(build, own_steps):
    """One copy for each frame, or one for the sound: they report steps, and leave it alone."""
    tiny = build()
    with cached(tiny.pipe, FREELY) as run:
        tiny.run()
    assert tiny.pipe.scheduler.step_index == own_steps
    assert len(run.trace.steps) == 6


# -- 6: two transformers ------------------------------------------------------------------------


def tensors(thing: object) -> list[torch.Tensor]:
    """All that an object holds, and what its parts hold."""
    if isinstance(thing, torch.Tensor):
        return [thing]
    if isinstance(thing, dict):
        thing = list(thing.values())
    parts = thing if isinstance(thing, list | tuple) else vars(thing).values()
    nested = list | tuple | dict
    held = [part for part in parts if isinstance(part, nested) or hasattr(part, "__dict__")]
    return [x for part in held for x in tensors(part)]


def test_6_the_first_expert_leaves_nothing_and_steps_are_counted_over_the_whole_run():
    """The second begins with the fifth of eight steps, and triggers at its own second.

    The tail, as long as the steps before that one, is the run's last step.
    """
    tiny, kept, alive = wan22_t2v(), [], []

    def keep(record, latents):
        if record.step_index == 3:
            kept.extend(weakref.ref(x) for branch in run.branches for x in tensors(branch))

    def look(module, args):
        alive.append(sum(reference() is not None for reference in kept))

    tiny.pipe.transformer_2.blocks[0].register_forward_pre_hook(look)
    with cached(tiny.pipe, BWCacheConfig(1e6, 3, tail_fraction=1.0), on_step=keep) as run:
        tiny.run()
    assert len(kept) >= 2 * 2  # in each branch samples of features, and a residual
    assert alive[0] == 0
    assert actions(run) == "ccrrccrc"
    assert run.trace.steps[4].reason == "nothing to compare with yet"
    assert [each.state["trigger_step"] for each in run.trace.experts] == [1, 5]
    assert "last 1 steps" in run.trace.steps[7].reason


# -- 2, 10: stopping ----------------------------------------------------------------------------


def stop_a_run(tiny: Tiny, stop: Callable[[], None]) -> None:
    """Three runs, of which `stop` ends the second after three steps: the third equals the first."""

    def watch(record, latents):
        if len(run.traces) == 2 and record.step_index == 2:
            stop()

    with cached(tiny.pipe, FREELY, on_step=watch) as run:
        first = tiny.run()
        with suppress(InterruptedError):
            assert torch.isfinite(tiny.run()).all()
        assert torch.equal(tiny.run(), first)
    assert [len(trace.steps) for trace in run.traces] == [6, 3, 6]


def raising() -> None:
    raise InterruptedError


@pytest.mark.parametrize("build", [easyanimate, cosmos1, sana_video])
def test_2_nothing_leaks_out_of_a_failed_run(build):
    """These have no end-of-call at which diffusers would reset anything."""
    stop_a_run(build(), raising)


def test_10_a_pipeline_without_callbacks_can_be_stopped():
    stop_a_run(hunyuan15_t2v(), raising)


@pytest.mark.parametrize("build", [wan21_t2v, hunyuan15_t2v])
def test_10_a_pipeline_told_to_stop_computing_goes_on_to_its_end(build):
    tiny = build()
    stop_a_run(tiny, lambda: setattr(tiny.pipe, "_interrupt", True))
