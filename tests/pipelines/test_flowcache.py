"""FlowCache-style on small pipelines of SkyReels' diffusion forcing, and on their transformer.

That some chunks can be computed alone is shown without tolerance for a doubt: on what has not
changed they give what the whole gives, and a chunk that has, attends to what the others were.
"""

import copy
import gc
from dataclasses import dataclass, replace

import pytest
import torch
from diffusers import SkyReelsV2Transformer3DModel
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from bwcache import BWCacheConfig, CacheError, FlowCacheConfig, cached, disable, enable
from bwcache.cache.chunk_gates import gates_of_chunks
from bwcache.cache.install import remove_leftovers, stack_of
from bwcache.cache.method import Plan
from bwcache.cache.ranks import Ranks
from bwcache.explore.compare_methods import LeftOut, Point, compare_methods
from bwcache.explore.families import find_families
from bwcache.runs.request import Request
from tests.conftest import build_wan
from tests.pipelines.parts import noise, wan_model
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
FRAMES, SIDE = 4, 4  # latent frames, of 2 × 2 tokens each
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


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


# -- some chunks computed alone -------------------------------------------------------------------


@dataclass(frozen=True)
class Given(FlowCacheConfig):
    """Reuses the same chunks at every step but the first."""

    name = "given"
    chunks: tuple[int, ...] = (0,)

    def decide(self, state, seen):
        return Plan((), 0 if seen.block is None else None, "given", None, self.chunks), state


def model(layers: int = 4, causal: int = 1) -> torch.nn.Module:
    """A transformer of random weights, in causal blocks of so many frames."""
    made = wan_model(SkyReelsV2Transformer3DModel, num_layers=layers)
    made._set_ar_attention(causal)
    return made


def call(transformer, latents, times=(900, 800, 700, 600)):
    """What the transformer predicts for four frames at four timesteps."""
    with torch.no_grad():
        return transformer(
            hidden_states=latents,
            timestep=torch.tensor([times]).expand(len(latents), -1),
            encoder_hidden_states=noise(1, 6, 64, seed=5).expand(len(latents), -1, -1),
            enable_diffusion_forcing=True,
            return_dict=False,
        )[0]


def video(seed: int, videos: int = 1) -> torch.Tensor:
    return noise(videos, 16, FRAMES, SIDE, SIDE, seed=seed)


def steps(transformer, chunks, *given, frames: int = 2, **more):
    """What is predicted at each step, with those chunks reused from the second on."""
    with cached(transformer, Given(0.1, frames, warm_up_steps=0, chunks=chunks, **more)) as run:
        run.begin(len(given))
        found = []
        for latents in given:
            found.append(call(transformer, latents))
            run.step(latents)
    return found, run.trace


@pytest.mark.parametrize("videos", [1, 2])
@pytest.mark.parametrize("chunks", [(0,), (1,), (0, 2), (1, 2, 3)])
@pytest.mark.parametrize("causal", [1, 2])
def test_of_an_unchanged_input_they_give_what_the_whole_gives(causal, chunks, videos):
    transformer, latents = model(causal=causal), video(1, videos)
    chunks = chunks if causal == 1 else tuple(c for c in chunks if c < 2)
    widths: list[int] = []
    transformer.blocks[2].ffn.register_forward_hook(
        lambda _, args, out: widths.append(out.shape[1])
    )
    (whole, part, again), trace = steps(transformer, chunks, latents, latents, latents, frames=1)
    torch.testing.assert_close(part, whole, **CLOSE)
    torch.testing.assert_close(again, whole, **CLOSE)
    assert torch.equal(whole, call(transformer, latents))
    tokens = FRAMES * 4
    left = tokens - len(chunks) * 4 * causal
    assert trace.letters == "Cpp"
    assert widths[:3] == [tokens, left, left]  # not more was computed


@pytest.mark.parametrize(("layers", "causal"), [(4, 2), (1, 1)])
def test_a_chunk_attends_to_what_a_reused_one_was(layers, causal):
    """Chunk B is computed as if chunk A had stayed; of A nobody asks what it has become.

    In causal blocks all that A is, is of A alone; without them so are the keys of one block.
    """
    transformer, old, new = model(layers, causal), video(1), video(2)
    (_, part), _ = steps(transformer, (0,), old, new)
    mixed = torch.cat([old[:, :, :2], new[:, :, 2:]], dim=2)
    torch.testing.assert_close(part[:, :, 2:], call(transformer, mixed)[:, :, 2:], **CLOSE)
    difference = (part - call(transformer, new))[:, :, 2:].abs().max()
    assert difference > 1e-3


def test_a_reused_chunk_is_given_its_old_residual_for_as_long_as_it_is_reused():
    transformer, ends = model(), []
    handles = [
        transformer.patch_embedding.register_forward_hook(
            lambda _, args, out: ends.append(out.flatten(2).transpose(1, 2))
        ),
        transformer.norm_out.register_forward_hook(lambda _, args, out: ends.append(args[0])),
    ]
    steps(transformer, (0,), video(1), video(2), video(3), frames=2)
    for handle in handles:
        handle.remove()
    added = [after - before for before, after in zip(ends[::2], ends[1::2], strict=True)]
    for later in added[1:]:
        torch.testing.assert_close(later[:, :8], added[0][:, :8], **CLOSE)
        assert not torch.allclose(later[:, 8:], added[0][:, 8:], atol=1e-3)


def test_what_is_computed_now_is_what_later_steps_attend_to():
    """B's keys of the second step serve the third, in which A is computed and B is not."""

    @dataclass(frozen=True)
    class Alternating(Given):
        def decide(self, state, seen):
            chunks = (0,) if seen.step == 1 else (1,)
            return Plan((), 0 if seen.block is None else None, "", None, chunks), state

    transformer, given = model(layers=1), [video(seed) for seed in (1, 2, 3)]
    with cached(transformer, Alternating(0.1, 2, warm_up_steps=0)) as run:
        run.begin(3)
        for latents in given:
            last = call(transformer, latents)
            run.step(latents)
    mixed = torch.cat([given[2][:, :, :2], given[1][:, :, 2:]], dim=2)
    torch.testing.assert_close(last[:, :, :2], call(transformer, mixed)[:, :, :2], **CLOSE)


def test_the_share_of_the_work_is_what_pytorch_counts():
    transformer, latents = model(), video(1)
    made = []

    def count(latents):
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            call(transformer, latents)
        found = counter.get_flop_counts()
        name = type(transformer).__name__
        made.append(sum(sum(found[f"{name}.blocks.{i}"].values()) for i in range(4)))

    with cached(transformer, Given(0.1, 1, warm_up_steps=0, chunks=(1, 3))) as run:
        run.begin(2)
        for _ in range(2):
            count(latents)
            run.step(latents)
    assert run.trace.steps[1].compute_share == pytest.approx(made[1] / made[0], rel=1e-6)
    assert 0.5 < run.trace.steps[1].compute_share < 0.6  # half of the tokens, all of the text's


def test_what_cannot_be_taken_apart_is_computed_with_the_reason():
    """A branch that is new, and tokens of another number."""
    transformer = model()
    with cached(transformer, Given(0.1, 1, warm_up_steps=0)) as run:
        run.begin(3)
        with transformer.cache_context("cond"):
            call(transformer, video(1))
        run.step()
        for name in ("cond", "uncond"):
            with transformer.cache_context(name):
                given = call(transformer, video(1))
        run.step()
        wide = noise(1, 16, FRAMES, SIDE, SIDE + 2, seed=1)
        with transformer.cache_context("cond"):
            assert torch.isfinite(call(transformer, wide)).all()
        run.step()
    assert torch.equal(given, call(transformer, video(1)))
    assert [step.action for step in run.trace.steps] == ["compute", "partial", "compute"]
    assert run.trace.steps[1].reason == "nothing is cached for this call yet"
    assert run.trace.steps[2].reason == "the features changed shape or type"


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


def test_gradients_do_not_pass_a_call_of_some_chunks():
    transformer = model()
    latents = video(1).requires_grad_()

    def grad_call():
        times = torch.tensor([[900, 800, 700, 600]])
        words = noise(1, 6, 64, seed=5)
        return transformer(latents, times, words, enable_diffusion_forcing=True)

    with cached(transformer, Given(0.1, 1, warm_up_steps=0)) as run:
        run.begin(2)
        grad_call()
        run.step()
        with pytest.raises(CacheError, match="gradients cannot pass"):
            grad_call()


def test_a_comparison_of_methods_on_another_model_says_that_it_was_left_out():
    request = Request("a red circle moving right on a white background", "tinyworld", steps=3)
    families = find_families(["flowcache", "fora/stack"])
    events = list(compare_methods(request, families, values=1))
    (left,) = [event for event in events if isinstance(event, LeftOut)]
    assert left.family.name == "flowcache"
    assert "one timestep for all" in left.why
    assert len([event for event in events if isinstance(event, Point)]) == 1
