"""A small pipeline with caching and something else: what the tests of combinations share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch

from bwcache import BWCacheConfig, cached
from bwcache.cache.run import Run
from tests.pipelines.tiny import Tiny
from tests.pipelines.zoo_hunyuan import hunyuan_t2v
from tests.pipelines.zoo_wan import wan21_t2v

Build = Callable[[], Tiny]
SetUp = Callable[[object], None]

builds = pytest.mark.parametrize("build", [wan21_t2v, hunyuan_t2v])
orders = pytest.mark.parametrize("inside", [False, True], ids=["before", "inside"])
FREELY = BWCacheConfig(1e6, 2)


def pattern(steps: int) -> str:
    """What `FREELY` does: two steps are reused after every computed one, from step 2 on."""
    return ("cc" + "rrc" * steps)[:steps]


def actions(run: Run) -> str:
    return "".join(action[0] for action in run.trace.schedule)


@contextmanager
def entered(
    tiny: Tiny, set_up: SetUp, inside: bool, config: BWCacheConfig, **more
) -> Iterator[Run]:
    """Caching, with something else set up before, or inside after a first run."""
    if not inside:
        set_up(tiny.pipe)
    with cached(tiny.pipe, config, **more) as run:
        if inside:
            tiny.run()
            set_up(tiny.pipe)
        yield run


def check(build: Build, set_up: SetUp, inside: bool = False) -> None:
    """Threshold 0 is bit-identical, a large one follows its pattern, nothing stays behind."""
    plain = build()
    set_up(plain.pipe)
    expected = plain.run()
    for config in (BWCacheConfig(0.0), FREELY):
        tiny = build()
        with entered(tiny, set_up, inside, config) as run:
            video = tiny.run()
        steps = run.trace.num_steps
        assert len(run.trace.steps) == steps == tiny.pipe._num_timesteps
        assert actions(run) == (pattern(steps) if config.threshold else "c" * steps)
        assert torch.equal(video, expected) == (not config.threshold)
        assert torch.isfinite(video).all()
        assert tiny.insides() == plain.insides()
        assert torch.equal(tiny.run(), expected)
