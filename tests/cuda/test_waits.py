"""How often the host reads from the device: once a step. (A method that decides inside a step, as
First Block Cache does, reads there instead.)"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import pytest
import torch

from bwcache import BWCacheConfig, FirstBlockCacheConfig, cached
from bwcache.cache import stopwatch
from tests.cuda.on_device import on
from tests.pipelines.zoo_hunyuan import hunyuan_t2v
from tests.pipelines.zoo_wan import wan21_t2v

SYNCHRONISING = "synchronizing CUDA operation"


@contextmanager
def counted_waits() -> Iterator[list[str]]:
    """A line for every read of the device that PyTorch tells of."""
    found: list[str] = []
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield found
        finally:
            torch.cuda.set_sync_debug_mode(before)
            found += [
                f"{each.filename}:{each.lineno}" for each in told if SYNCHRONISING in str(each)
            ]


@pytest.mark.parametrize("build", [wan21_t2v, hunyuan_t2v])
@pytest.mark.parametrize(
    "method", [BWCacheConfig(0.0), BWCacheConfig(1e6, 2), FirstBlockCacheConfig(1e6)]
)
def test_a_step_waits_once_for_the_device(build, method, cuda, monkeypatch, record_property):
    tiny = on(build(), cuda)
    for way in (nullcontext(), cached(tiny.pipe, method)):
        with way:
            tiny.run()  # whatever is read once only
    with counted_waits() as plain:
        tiny.run()
    waits: list[int] = []
    own = stopwatch.synchronise

    def counting(device) -> None:
        waits.append(1)
        own(device)

    from bwcache.cache import controller

    monkeypatch.setattr(controller, "synchronise", counting)
    with counted_waits() as ours, cached(tiny.pipe, method) as run:
        tiny.run()
    steps = run.trace.num_steps
    added = len(ours) - len(plain)
    for name, value in (("plain", len(plain)), ("cached", len(ours)), ("steps", steps)):
        record_property(name, value)
    record_property("where", sorted({place for place in ours if place not in plain}))
    record_property("whole_device_waits", len(waits))
    # a read in every step but the first, and two a run: timesteps and noise levels
    assert added <= steps + 1, sorted(ours)
    assert len(waits) <= 2 * steps  # at the beginning of a step, where nothing is left to wait for
