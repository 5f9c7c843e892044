"""Every method on a small Wan: inert settings change no bit, others leave nothing behind."""

import pytest
import torch

from bwcache import cached
from bwcache.cache.methods import METHODS
from tests.conftest import build_wan, run_wan
from tests.methods.calibrations import FLAT, calibrations, write  # noqa: F401

STEPS = 12
INERT = {
    "threshold": {"threshold": 0.0},
    "period": {"period": 1},
    "pattern": {"pattern": "off"},
    "updates": {"updates": STEPS},
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
    """A pipeline, and what it gives without any cache."""
    pipe = build_wan("euler", layers=4)
    return pipe, run_wan(pipe, steps=STEPS)


@pytest.mark.parametrize("name", METHODS)
def test_it_can_be_made_inert_and_then_changes_no_bit(name, wan, calibrations):  # noqa: F811
    for method, numbers in FLAT.items():
        write(calibrations, method, numbers, STEPS)
    pipe, plain = wan
    first = METHODS[name].knobs()[0].name
    more = {"prune_above": 1.0} if name == "quantcache" else {}
    with cached(pipe, config(name, **INERT[first], **more)) as run:
        given = run_wan(pipe, steps=STEPS)
    assert set(run.trace.letters) == {"C"}
    assert torch.equal(given, plain)


@pytest.mark.parametrize("name", METHODS)
def test_it_reuses_gives_the_same_twice_and_leaves_nothing(name, wan, calibrations):  # noqa: F811
    pipe, plain = wan
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
