"""Every method on a small Wan: inert settings change no bit, others leave nothing behind."""

import pytest
import torch
from diffusers.hooks import TaylorSeerCacheConfig as DiffusersTaylorSeer

from bwcache import (
    CacheError,
    ConfigError,
    FORAConfig,
    PABConfig,
    SmoothCacheConfig,
    TaylorSeerConfig,
    cached,
)
from bwcache.cache.methods import METHODS
from tests.conftest import build_wan, run_wan
from tests.methods.calibrations import FLAT, calibrations, write  # noqa: F401
from tests.toy import ToyPipeline

STEPS = 12
ON_WAN = [name for name in METHODS if name != "flowcache"]  # see test_flowcache.py
INERT = {
    "threshold": {"threshold": 0.0},
    "period": {"period": 1},
    "pattern": {"pattern": "off"},
    "self_every": {"self_every": 1, "cross_every": 1},
    "updates": {"updates": STEPS},
    "schedule": {"work_share": 1.0},
}
EAGER = {
    "bwcache": {"threshold": 1e6, "tail_fraction": 0.0},
    "first_block_cache": {"threshold": 1e6},
    "magcache": {"threshold": 9.0},
    "teacache": {"threshold": 50.0},
    "easycache": {"threshold": 5.0},
    "smoothcache": {"threshold": 0.25},
    "adacache": {"threshold": 100.0},
    "dicache": {"threshold": 5.0},
    "block_caching": {"threshold": 0.25},
    "quantcache": {"threshold": 9.0, "prune_above": 0.0},
}


def config(name: str, **settings):
    named = {"calibration": "mine"} if METHODS[name].needs_calibration else {}
    return METHODS[name](**named, **settings)


@pytest.fixture(scope="module")
def wan():
    """By long skips: a pipeline, and what it gives without any cache."""
    pipes = {count: build_wan("euler", layers=4, long_skips=count) for count in (0, 1)}
    return {count: (pipe, run_wan(pipe, steps=STEPS)) for count, pipe in pipes.items()}


@pytest.mark.parametrize("name", ON_WAN)
def test_it_can_be_made_inert_and_then_changes_no_bit(name, wan, calibrations):  # noqa: F811
    for method, numbers in FLAT.items():
        write(calibrations, method, numbers, STEPS)
    pipe, plain = wan[METHODS[name]().long_skips]
    first = METHODS[name].knobs()[0].name
    more = {"prune_above": 1.0} if name == "quantcache" else {}
    with cached(pipe, config(name, **INERT[first], **more)) as run:
        given = run_wan(pipe, steps=STEPS)
    assert set(run.trace.letters) == {"C"}
    assert torch.equal(given, plain)


@pytest.mark.parametrize("name", ON_WAN)
def test_it_reuses_gives_the_same_twice_and_leaves_nothing(name, wan, calibrations):  # noqa: F811
    pipe, plain = wan[METHODS[name]().long_skips]
    with cached(pipe, config(name, **EAGER.get(name, {}))) as run:
        given = run_wan(pipe, steps=STEPS)
        again = run_wan(pipe, steps=STEPS)
    assert set(run.trace.letters) != {"C"}
    assert run.trace.compute_share < 1
    assert torch.isfinite(given).all()
    assert torch.equal(given, again)
    assert not torch.equal(given, plain)
    assert torch.equal(run_wan(pipe, steps=STEPS), plain)


OF_FEATURES = (  # the methods that decide by what blocks or the transformer give
    *("bwcache", "first_block_cache", "easycache", "adacache", "dicache", "sortblock"),
    "quantcache",
)


@pytest.mark.parametrize("name", OF_FEATURES)
def test_nothing_is_reused_on_what_is_not_a_number(name):
    """From a step whose features are not finite on, all is computed."""
    pipe, calls = build_wan("euler", layers=4), []

    def spoil(module, args, output):
        calls.append(1)
        return output * float("nan") if len(calls) > 8 else output  # two branches a step

    handle = pipe.transformer.blocks[0].register_forward_hook(spoil)
    try:
        with cached(pipe, config(name, **EAGER.get(name, {}), warm_up_steps=6)) as run:
            run_wan(pipe, steps=STEPS)
    finally:
        handle.remove()
    assert set(run.trace.letters) == {"C"}


# -- attentions and MLPs one by one --------------------------------------------------------------

EACH = {"self": 0.1, "cross": 0.2, "mlp": 0.3}
MODULES = [r"blocks\.\d+\.attn\d", r"blocks\.\d+\.ffn"]


def test_taylorseer_of_modules_is_that_of_diffusers():
    """But for the last bits, as ours adds in place; its schedule is put into a mask."""
    call = {"steps": STEPS, "guidance_scale": 1.0}
    pipe, other = build_wan("euler", layers=4), build_wan("euler", layers=4)
    config = TaylorSeerConfig(order=1, granularity="modules", step_mask="CCCRCRRCRRCR")
    with cached(pipe, config) as run:
        ours = run_wan(pipe, **call)
    assert run.trace.letters == "CCCrCrrCrrCr"
    given = DiffusersTaylorSeer(
        cache_interval=3,
        disable_cache_before_step=3,
        max_order=1,
        taylor_factors_dtype=torch.float32,
        cache_identifiers=MODULES,
    )
    other.transformer.enable_cache(given)
    theirs = run_wan(other, **call)
    assert torch.allclose(ours, theirs, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(ours, run_wan(pipe, **call), rtol=1e-4, atol=1e-4)


def modules_run(pipe, config):
    """How often block 1's self-attention, cross-attention and MLP run, and the trace."""
    counts, handles = [0, 0, 0], []
    block = pipe.transformer.blocks[1]
    for place, part in enumerate((block.attn1, block.attn2, block.ffn)):

        def count(*_, place=place):
            counts[place] += 1

        handles.append(part.register_forward_hook(count))
    try:
        with cached(pipe, config) as run:
            run_wan(pipe, steps=STEPS)
    finally:
        for handle in handles:
            handle.remove()
    return tuple(n // 2 for n in counts), run.trace  # two guidance branches


@pytest.mark.parametrize(
    ("config", "ran"),
    [
        (FORAConfig(3, "modules"), (4, 4, 4)),
        (PABConfig(2, 4, 0.25, 0.75), (9, 8, 12)),  # of steps 3 to 8 attentions at 4, 6, 8 and 4, 8
    ],
)
def test_the_modules_that_run(config, ran, wan):
    found, trace = modules_run(wan[0][0], config)
    assert found == ran
    assert trace.num_blocks == 3 * 4
    assert trace.compute_share > sum(ran) / (3 * STEPS) or len(set(ran)) == 1  # MLPs are dear


def test_smoothcache_has_a_schedule_for_each_part(wan, calibrations):  # noqa: F811
    """Errors of 0.1 a step below 0.25 serve two steps, of 0.2 one, of 0.3 none; the last runs."""
    tables = {f"errors_{part}": [[x, 2 * x, 3 * x]] * STEPS for part, x in EACH.items()}
    write(calibrations, "smoothcache", {"errors": [[9.0]] * STEPS, **tables}, STEPS)
    config = SmoothCacheConfig(0.25, granularity="modules", calibration="mine")
    found, _ = modules_run(wan[0][0], config)
    assert found == (5, 7, 12)  # 0, 3, 6, 9 and 11; 0, 2, 4, 6, 8, 10 and 11; all
    write(calibrations, "smoothcache", {"errors": [[9.0]] * STEPS}, STEPS)
    with pytest.raises(ConfigError, match="calibrate once more"):
        modules_run(wan[0][0], config)


def test_guidance_branches_do_not_share_an_attention():
    """As those of diffusers' own do on Wan, where the second is given the first's."""
    pipe, seen = build_wan("euler", layers=2), []

    def look(record, latents):
        seen.append([branch.replay_tensors[1].clone() for branch in run.branches])

    with cached(pipe, PABConfig(2, 2, 0.0, 1.0), on_step=look) as run:
        run_wan(pipe, steps=4)
    cond, uncond = seen[0]
    assert not torch.equal(cond, uncond)


def test_modules_of_an_unknown_transformer_are_refused_before_the_run():
    with pytest.raises(CacheError, match='granularity="stack"'), cached(ToyPipeline(), PABConfig()):
        pass
