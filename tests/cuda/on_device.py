"""The tiny pipelines on a device, and what each set-up is held to there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from bwcache import BWCacheConfig, cached
from bwcache.cache.trace import Trace
from tests.pipelines.combined import FREELY, actions, pattern
from tests.pipelines.tiny import Tiny

SetUp = Callable[[object], None]


def moved(value, device: torch.device, dtype: torch.dtype | None = None):
    """Tensors of an argument, in lists and dicts too, on the device; in a type where they are real
    numbers."""
    if isinstance(value, torch.Tensor):
        real = dtype is not None and value.is_floating_point()
        return value.to(device, dtype) if real else value.to(device)
    if isinstance(value, list | tuple):
        return type(value)(moved(each, device, dtype) for each in value)
    if isinstance(value, dict):
        return {name: moved(each, device, dtype) for name, each in value.items()}
    return value


def arguments_on(tiny: Tiny, device: torch.device) -> Tiny:
    """With its arguments on the device; the pipeline stays where it is."""
    return replace(tiny, arguments=moved(dict(tiny.arguments), device))


def on(tiny: Tiny, device: torch.device) -> Tiny:
    """All of it on the device."""
    tiny.pipe.to(device)
    return arguments_on(tiny, device)


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Bit for bit; numbers that are not finite are alike where they are the same."""
    return torch.equal(one.nan_to_num(nan=123.0), other.nan_to_num(nan=123.0))


def plain_run(tiny: Tiny) -> torch.Tensor:
    """The latents without caching; where the device itself gives other bits the second time, or
    the pipeline does not run there, that is not ours to judge, and the test is skipped."""
    try:
        first, second = tiny.run(), tiny.run()
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        text = str(error).splitlines()
        if "CUDA error" in str(error):
            raise
        pytest.skip(f"without caching it does not run here: {type(error).__name__}: {text[:1]}")
    if not same(first, second):
        off = float((first - second).abs().max())
        pytest.skip(f"without caching two runs differ by up to {off:.3g}")
    return first


def freely(trace: Trace) -> str:
    """What `FREELY` does; each of two experts follows it from its own first step on."""
    began = {each.expert: each.first_step for each in trace.experts}
    letters = pattern(trace.num_steps)
    return "".join(letters[s.step_index - began.get(s.expert, 0)] for s in trace.steps)


def check(build: Callable[[], Tiny], set_up: SetUp, device: torch.device) -> None:
    """Threshold 0 is bit-identical, a large one follows its pattern, nothing stays behind."""
    plain = arguments_on(build(), device)
    set_up(plain.pipe)
    expected = plain_run(plain)
    for config in (BWCacheConfig(0.0), FREELY):
        tiny = arguments_on(build(), device)
        set_up(tiny.pipe)
        with cached(tiny.pipe, config) as run:
            video = tiny.run()
        steps = run.trace.num_steps
        assert actions(run) == (freely(run.trace) if config.threshold else "c" * steps)
        assert torch.isfinite(video).all()
        assert same(video, expected) == (not config.threshold)
        assert tiny.insides() == plain.insides()
        assert same(tiny.run(), expected)
