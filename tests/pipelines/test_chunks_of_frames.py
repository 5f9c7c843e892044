"""Some chunks of frames computed alone, on a small transformer of SkyReels' diffusion forcing.

On what has not changed they give what the whole gives; a chunk that has attends to what the others
were; no more is computed, and counted, than their tokens.
"""

from dataclasses import dataclass

import pytest
import torch
from diffusers import SkyReelsV2Transformer3DModel
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from bwcache import CacheError, FlowCacheConfig, cached
from bwcache.cache.method import Plan
from tests.pipelines.parts import noise, wan_model

FRAMES, SIDE = 4, 4  # latent frames, of 2 × 2 tokens each
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


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
