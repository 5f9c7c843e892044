"""What a run leaves behind: no tensor, before Python's collector has been round."""

import gc

import pytest
import torch

from bwcache import BWCacheConfig, BWCachePlusConfig, FirstBlockCacheConfig, cached
from bwcache.cache import prediction, scheduler_watch
from bwcache.cache.noise_levels import noise_levels
from tests.pipelines.zoo_hunyuan import hunyuan_t2v
from tests.pipelines.zoo_wan import wan21_t2v

METHODS = [
    BWCacheConfig(1e6, 2),
    BWCacheConfig(1e6, 2, reuse="output"),
    BWCacheConfig(1e6, 2, reuse="forecast"),
    FirstBlockCacheConfig(1e6),
    BWCachePlusConfig(),
    BWCachePlusConfig(schedule="tolerance"),
]


def tensors() -> int:
    return sum(isinstance(each, torch.Tensor) for each in gc.get_objects())


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("build", [wan21_t2v, hunyuan_t2v])
def test_no_tensor_is_left(build):
    """On a GPU a single number takes 512 bytes, and a server makes many runs."""
    tiny = build()
    tiny.run()
    gc.collect()
    gc.disable()
    try:
        before = tensors()
        for method in METHODS:
            with cached(tiny.pipe, method):
                tiny.run()
            assert tensors() == before, method
    finally:
        gc.enable()


def test_noise_levels_are_read_once_a_run(monkeypatch):
    """Each reading waits for the device where the scheduler keeps them there."""
    read = []

    def counted(scheduler, num_steps):
        read.append(num_steps)
        return noise_levels(scheduler, num_steps)

    for module in (prediction, scheduler_watch):
        monkeypatch.setattr(module, "noise_levels", counted)
    tiny = hunyuan_t2v()
    with cached(tiny.pipe, BWCacheConfig(0.0)):
        for runs in (1, 2):
            tiny.run()
            assert len(read) == runs


def test_an_output_that_is_overwritten_without_a_trace_is_replayed_as_it_was():
    """As CUDA graphs do: another branch's call writes into the memory of the first one's result."""
    from bwcache.cache.replay import Output

    replay, given = Output(), torch.ones(1, 4, 8)
    replay.compute((given,))
    result = torch.full((1, 4, 8), 2.0)
    replay.leave((result,), 0.5, lent=True)
    torch.from_numpy(result.numpy()).fill_(7.0)  # no version counter tells
    assert replay.refusal((given,)) is None
    replay.skip((given,))
    assert torch.equal(replay.give((given,), 0.4)[0], torch.full((1, 4, 8), 2.0))


@pytest.mark.parametrize("compiled", [False, True])
def test_what_compiled_blocks_return_is_told_to_be_lent(compiled, monkeypatch):
    """So that it is copied; what others return is kept as it is."""
    from bwcache.cache.replay import Output

    told, leave = [], Output.leave

    def noted(replay, outputs, level, lent=False):
        told.append(lent)
        leave(replay, outputs, level, lent)

    monkeypatch.setattr(Output, "leave", noted)
    tiny = wan21_t2v()
    if compiled:
        for block in tiny.pipe.transformer.blocks:
            block.compile(backend="eager")
    with cached(tiny.pipe, BWCacheConfig(1e6, 2, reuse="output")):
        tiny.run()
    assert set(told) == {compiled}
