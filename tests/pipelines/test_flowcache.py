"""FlowCache-style on small pipelines of SkyReels' diffusion forcing: what it does and leaves."""

import copy
import gc
from dataclasses import replace

import pytest
import torch

from bwcache import BWCacheConfig, CacheError, FlowCacheConfig, cached, disable, enable
from bwcache.cache.chunk_gates import gates_of_chunks
from bwcache.cache.find_blocks import stack_of
from bwcache.cache.install import remove_leftovers
from bwcache.cache.ranks import Ranks
from bwcache.explore.compare_methods import LeftOut, Point, compare_methods
from bwcache.explore.families import find_families
from bwcache.runs.request import Request
from tests.conftest import build_wan
from tests.pipelines.parts import noise
from tests.pipelines.test_chunks_of_frames import CLOSE, model, video
from tests.pipelines.test_race import in_turns
from tests.pipelines.zoo_skyreels import (
    skyreels_df,
    skyreels_df_async,
    skyreels_df_i2v,
    skyreels_df_long,
    skyreels_df_v2v,
    skyreels_i2v,
    skyreels_t2v,
)
from tests.toy import ToyPipeline

FORCING = {
    "t2v": skyreels_df,
    "async": skyreels_df_async,
    "long": skyreels_df_long,
    "i2v": skyreels_df_i2v,
    "v2v": skyreels_df_v2v,
}
EAGER = FlowCacheConfig(0.15, 1, warm_up_steps=2)


@pytest.fixture(params=FORCING, scope="module")
def row(request):
    """A pipeline, and what it gives without any cache."""
    tiny = replace(FORCING[request.param](), steps=10)
    return tiny, latents_of(tiny)


def latents_of(tiny) -> torch.Tensor:
    """What it gives. The noise that is added to given frames is not the generator's."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return tiny.run()


def test_threshold_zero_changes_no_bit(row):
    tiny, plain = row
    with cached(tiny.pipe, FlowCacheConfig(0.0, 1, warm_up_steps=0)) as run:
        assert torch.equal(latents_of(tiny), plain)
        kept = [branch.chunks.tensors for branch in run.branches]
    assert set(run.trace.letters) == {"C"}
    assert run.trace.compute_share == 1
    assert not any(map(len, kept))  # freed behind the last step


def test_it_reuses_gives_the_same_twice_and_leaves_nothing(row):
    tiny, plain = row
    before = tiny.insides()
    with cached(tiny.pipe, EAGER) as run:
        first, second = latents_of(tiny), latents_of(tiny)
    assert "p" in "".join(trace.letters for trace in run.traces)
    assert 0 < run.trace.compute_share < 1
    assert torch.equal(first, second)
    assert torch.isfinite(first).all()
    assert 0 < float((first - plain).norm() / plain.norm()) < 0.1
    assert run.branches == []
    assert tiny.insides() == before
    assert torch.equal(latents_of(tiny), plain)


def test_a_step_whose_chunks_are_all_reused_is_a_reused_one():
    tiny = skyreels_df()
    with cached(tiny.pipe, FlowCacheConfig(1e6, 1, warm_up_steps=2)) as run:
        tiny.run()
    assert run.trace.letters == "CCrrrr"
    assert run.trace.compute_share == pytest.approx(2 / 6)
    assert run.trace.steps[2].compute_share == 0


def test_chunks_that_run_behind_one_another():
    """Three chunks, each two steps behind the one before; six steps and a warm-up of two.

    A chunk is computed from when the one before it has moved until its own warm-up is over, and
    once more when it is done.
    """
    tiny, said = skyreels_df_async(), []
    with cached(
        tiny.pipe,
        FlowCacheConfig(1e6, warm_up_steps=2),
        on_step=lambda record, latents: said.append(record),
    ):
        tiny.run()
    reused = {
        step.step_index: step.reason.removeprefix("chunks reused: ").removesuffix(" of 3")
        for step in said
        if step.action == "partial"
    }
    assert "".join(step.action[0] for step in said) == "ccpppprprp"
    # at 2 the second begins and the third waits; at 3 the third might begin, at 4 it does; at 7 and
    # 9 the first and the second are done
    assert reused == {2: "1, 3", 3: "1", 4: "1, 2", 5: "1, 2", 7: "2, 3", 9: "1, 3"}


def test_in_causal_blocks_resting_chunks_cost_nothing_and_change_nothing():
    """A threshold that no change stays below: those that wait and those that are done remain."""
    tiny = skyreels_df_async()
    plain = tiny.run()
    with cached(tiny.pipe, FlowCacheConfig(1e-9, warm_up_steps=0)) as run:
        given = tiny.run()
    torch.testing.assert_close(given, plain, **CLOSE)
    # 2 steps with the third waiting; 2 with the first done, then 1 with the second done, too
    assert run.trace.letters == "CppCCCCppp"
    assert run.trace.compute_share < 0.85


# -- coming and going -----------------------------------------------------------------------------


def test_nothing_is_reused_on_what_is_not_a_number():
    tiny, calls = replace(skyreels_df(), steps=8), []

    def spoil(module, args, output):
        calls.append(1)
        return output * float("nan") if len(calls) > 8 else output  # two branches a step

    handle = tiny.pipe.transformer.patch_embedding.register_forward_hook(spoil)
    with cached(tiny.pipe, FlowCacheConfig(1e6, 1, warm_up_steps=3)) as run:
        tiny.run()
    handle.remove()
    assert run.trace.letters == "CCCrCCCC"


@pytest.mark.parametrize("where", ["on_step", "block", "attention"])
def test_an_exception_leaves_nothing_behind(where):
    tiny = skyreels_df()
    plain, before, calls = tiny.run(), tiny.insides(), []

    def stop(*_):
        calls.append(1)
        if len(calls) > 3:
            raise ZeroDivisionError

    block = tiny.pipe.transformer.blocks[2]
    module = {"block": block, "attention": block.attn1.to_v}.get(where)
    handle = None if module is None else module.register_forward_hook(stop)
    on_step = stop if where == "on_step" else None
    with pytest.raises(ZeroDivisionError), cached(tiny.pipe, EAGER, on_step=on_step) as run:
        tiny.run()
    if handle is not None:
        handle.remove()
    assert run.branches == []
    assert tiny.insides() == before
    assert torch.equal(tiny.run(), plain)


def test_every_other_way_of_leaving():
    tiny = skyreels_df()
    plain, before = tiny.run(), tiny.insides()
    enable(tiny.pipe, EAGER)
    tiny.run()
    disable(tiny.pipe)
    assert tiny.insides() == before
    enable(tiny.pipe, EAGER)
    assert remove_leftovers(tiny.pipe) == 1
    assert tiny.insides() == before
    assert torch.equal(tiny.run(), plain)


def test_no_tensor_stays_alive():
    tiny = skyreels_df()
    tiny.run()

    def alive() -> int:
        gc.collect()
        return sum(isinstance(thing, torch.Tensor) for thing in gc.get_objects())

    before = alive()
    with cached(tiny.pipe, EAGER):
        tiny.run()
    assert alive() <= before + 2  # the scheduler's own last output


def test_keys_and_values_are_kept_for_every_block_and_branch():
    tiny, kept = skyreels_df(), []

    def look(record, latents):
        kept.append([len(branch.replay_tensors) for branch in run.branches])

    with cached(tiny.pipe, EAGER, on_step=look) as run:
        tiny.run()
    assert kept[0] == [1 + 2 * 4 + 1, 1 + 2 * 4]  # residual, keys and values, and the last input


def test_beside_an_uncached_run_each_is_what_it_is_alone():
    tiny = skyreels_df()
    plain = tiny.run()
    with cached(tiny.pipe, EAGER):
        alone = tiny.run()
    out, _ = in_turns(tiny, [BWCacheConfig(0.0), EAGER])
    assert torch.equal(out[0], plain)
    assert torch.equal(out[1], alone)


@pytest.mark.parametrize("kind", ["leaf_level", "block_level"])
def test_offloaded_weights_change_nothing(kind):
    one, other = skyreels_df_async(), skyreels_df_async()
    groups = {"num_blocks_per_group": 1} if kind == "block_level" else {}
    cpu = torch.device("cpu")
    other.pipe.transformer.enable_group_offload(cpu, cpu, kind, **groups)
    with cached(one.pipe, EAGER), cached(other.pipe, EAGER) as run:
        assert torch.equal(one.run(), other.run())
    assert "p" in run.trace.letters


def test_a_copy_made_inside_is_not_cached():
    tiny = skyreels_df()
    plain = tiny.run()
    with cached(tiny.pipe, EAGER):
        tiny.run()
        copied = replace(tiny, pipe=copy.deepcopy(tiny.pipe))
        assert torch.equal(copied.run(), plain)
    assert torch.equal(copied.run(), plain)


# -- what it does not work on ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "named"),
    [
        (skyreels_t2v, "SkyReelsV2Pipeline has one timestep"),
        (skyreels_i2v, "SkyReelsV2ImageToVideoPipeline has one timestep"),
        (lambda: build_wan("euler", layers=2), "WanTransformer3DModel has one timestep"),
        (ToyPipeline, "ToyTransformer has one timestep"),
    ],
)
def test_models_whose_frames_have_no_timesteps_are_refused_before_they_run(build, named):
    pipe = getattr(built := build(), "pipe", built)
    before = [sorted(vars(module)) for module in pipe.transformer.modules()]
    with pytest.raises(CacheError, match=named) as caught, cached(pipe, FlowCacheConfig()):
        pass
    assert "\n" not in str(caught.value)
    assert [sorted(vars(module)) for module in pipe.transformer.modules()] == before


def test_a_bare_transformer_that_is_called_otherwise_is_refused_before_any_block():
    transformer, ran = model(), []
    transformer.patch_embedding.register_forward_hook(lambda *_: ran.append(1))
    run = enable(transformer, EAGER)
    run.begin(2)
    with pytest.raises(CacheError, match="one timestep for all"):
        transformer(video(1), torch.tensor([900]), noise(1, 6, 64))
    assert not ran
    disable(transformer)


class OwnProcessor:
    """An attention of somebody's own."""

    def __call__(self, attn, hidden_states, *_):
        return hidden_states


@pytest.mark.parametrize("made", ["fused", "processor", "compiled"])
def test_attentions_that_are_not_as_known_are_refused_before_they_run(made):
    tiny = skyreels_df()
    block = tiny.pipe.transformer.blocks[1]
    if made == "fused":
        block.attn1.fuse_projections()
    elif made == "processor":
        block.attn1.processor = OwnProcessor()
    else:
        block.compile(backend="eager")
    before = tiny.insides()
    with pytest.raises(CacheError, match="^method: it reuses chunks of frames"):
        cached(tiny.pipe, EAGER).__enter__()
    assert tiny.insides() == before


def test_processes_that_share_a_video_are_refused():
    transformer = model()
    with pytest.raises(CacheError, match="processes share the video's tokens"):
        gates_of_chunks(transformer, stack_of(transformer, None), None, Ranks(None, 0, 2))


def test_a_comparison_of_methods_on_another_model_says_that_it_was_left_out():
    request = Request("a red circle moving right on a white background", "tinyworld", steps=3)
    families = find_families(["flowcache", "fora/stack"])
    events = list(compare_methods(request, families, values=1))
    (left,) = [event for event in events if isinstance(event, LeftOut)]
    assert left.family.name == "flowcache"
    assert "frames have no timesteps of their own" in left.why
    assert len([event for event in events if isinstance(event, Point)]) == 1
