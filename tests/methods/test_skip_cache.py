"""Skip-Cache, and the other methods, on a TinyWorld with long skips and random weights."""

from contextlib import nullcontext

import pytest
import torch

from bwcache import (
    BWCacheConfig,
    CacheError,
    ConfigError,
    FirstBlockCacheConfig,
    FORAConfig,
    SkipCacheConfig,
    cached,
)
from bwcache.cache.method import RunFacts
from bwcache.cache.methods import METHODS
from bwcache.cli import main
from bwcache.models import loading
from bwcache.tinyworld import random_weights
from bwcache.tinyworld.transformer import build_transformer
from bwcache.tinyworld_training.old_middle import Noised, velocity_with_old_middle

STEPS = 7


@pytest.fixture(scope="module")
def pipe():
    pipe = random_weights.build("cpu", flow_shift=2.0)
    torch.manual_seed(0)
    transformer = build_transformer(layers=6, heads=2, long_skips=2)
    for block in transformer.blocks[-2:]:
        torch.nn.init.normal_(block.skip_projection.weight, std=0.1)
    pipe.transformer = transformer.eval().requires_grad_(False)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def latents(pipe, steps: int = STEPS) -> torch.Tensor:
    return pipe(
        "a red circle still",
        height=32,
        width=32,
        num_frames=9,
        num_inference_steps=steps,
        guidance_scale=2.0,
        max_sequence_length=24,
        generator=torch.Generator().manual_seed(0),
        output_type="latent",
    ).frames


def calls_of(pipe, config):
    """What the transformer is given and gives in each call, and the trace."""
    calls = []

    def note(_, args, kwargs, output):
        given = kwargs["hidden_states"], kwargs["timestep"], kwargs["encoder_hidden_states"]
        calls.append((*given, output[0]))

    hook = pipe.transformer.register_forward_hook(note, with_kwargs=True)
    try:
        with cached(pipe, config) as run:
            latents(pipe)
    finally:
        hook.remove()
    return calls, run.trace


@pytest.mark.parametrize("blocks", [1, 2])
def test_a_reused_step_has_new_ends_and_the_middle_of_the_last_computed_one(pipe, blocks):
    calls, trace = calls_of(pipe, SkipCacheConfig(3, blocks))
    assert trace.letters == "CppCppC"
    middle = "C" * blocks + "r" * (6 - 2 * blocks) + "C" * blocks
    assert [step.blocks for step in trace.steps[:4]] == ["C" * 6, middle, middle, "C" * 6]
    for place, (hidden_states, timestep, text, output) in enumerate(calls):
        step, branch = divmod(place, 2)  # two guidance branches
        before = calls[2 * (step - step % 3) + branch]
        expected = velocity_with_old_middle(
            pipe.transformer,
            Noised(hidden_states, timestep / 1000),
            Noised(before[0], before[1] / 1000),
            text,
            blocks,
            nullcontext,
        )
        torch.testing.assert_close(output, expected, msg=f"step {step}")


def test_the_schedule_is_foras_and_period_1_reuses_nothing(pipe):
    run = RunFacts(10, 6)
    ours, theirs = SkipCacheConfig(4).begin(run), FORAConfig(4).begin(run)
    assert [bool(spans) for spans in ours.reused] == [bool(spans) for spans in theirs.reused]
    with cached(pipe, SkipCacheConfig(1)) as done:
        same = latents(pipe)
    assert done.trace.letters == "C" * STEPS
    assert torch.equal(same, latents(pipe))
    assert SkipCacheConfig(1).only_measures


def test_models_without_enough_long_skips_are_refused_in_a_line(pipe):
    without = random_weights.build("cpu")
    with pytest.raises(CacheError) as no, cached(without, SkipCacheConfig()):
        pass
    assert "needs 1 long skips from first to last blocks" in str(no.value)
    assert "WanTransformer3DModel has 0" in str(no.value)
    assert "\n" not in str(no.value)
    with (
        pytest.raises(CacheError, match="at most 2 computed blocks"),
        cached(pipe, SkipCacheConfig(computed_blocks=3)),
    ):
        pass
    assert torch.isfinite(latents(pipe, 1)).all()  # nothing was left behind


@pytest.mark.parametrize(
    "command",
    [
        ["compare", "--out", "run"],
        ["sweep", "--out", "rows.jsonl"],
        ["record", "--out", "run", "--title", "A run"],
    ],
)
def test_the_command_line_refuses_it_on_other_models_before_anything_is_loaded(
    command, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    loaded = []
    monkeypatch.setattr(loading, "build", lambda *given: loaded.append(given))
    prompt = "a red circle moving right on a white background"
    assert main([*command, "--prompt", prompt, "--method", "skip_cache"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("bwcache: method: got 'skip_cache'; allowed is ")
    assert said.endswith("this model has none, tinyworld-skip has\n")
    assert said.count("\n") == 1
    assert not loaded
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("given", [{"period": 0}, {"computed_blocks": 0}, {"period": 1.5}])
def test_settings_out_of_bounds_are_refused(given):
    with pytest.raises(ConfigError, match=next(iter(given))):
        SkipCacheConfig(**given)


def test_no_methods_reused_span_hides_a_skip_from_a_late_block_that_runs():
    """A passed-by block hands on its input, and only a span's last block the replay."""
    run = RunFacts(30, 8)
    for method in METHODS.values():
        if method.needs_calibration or method().site != "blocks":
            continue
        for span in method().kept(run):
            first, stop = span.of(8)
            hidden = range(first, stop - 1)
            assert all(first <= 7 - early < stop for early in hidden if early < 4), method.name


@pytest.mark.parametrize(
    "config",
    [BWCacheConfig(1e9, 2), FORAConfig(2), FORAConfig(2, "modules"), FirstBlockCacheConfig(1e9)],
)
def test_other_methods_work_on_it(pipe, config):
    with cached(pipe, config) as run:
        given = latents(pipe)
    assert "r" in run.trace.letters or "p" in run.trace.letters
    assert torch.isfinite(given).all()


def test_a_threshold_of_0_changes_nothing(pipe):
    with cached(pipe, BWCacheConfig(0.0)):
        given = latents(pipe)
    assert torch.equal(given, latents(pipe))


def test_a_replayed_stack_adds_what_the_whole_stack_added(pipe):
    """Skips are inside the stack: its residual is all there is to replay."""
    entered, left = [], []
    first, head = pipe.transformer.patch_embedding, pipe.transformer.norm_out
    hooks = [
        first.register_forward_hook(lambda _, args, out: entered.append(out.flatten(2).mT)),
        head.register_forward_pre_hook(lambda _, args: left.append(args[0])),
    ]
    try:
        with cached(pipe, FORAConfig(2)):
            latents(pipe, 2)
    finally:
        for hook in hooks:
            hook.remove()
    for branch in (0, 1):
        added = left[branch] - entered[branch]
        torch.testing.assert_close(left[2 + branch], entered[2 + branch] + added)
