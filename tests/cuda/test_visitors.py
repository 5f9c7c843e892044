"""Comparisons on the device: stopped, at the same time, with the noise of every other device."""

import gc
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from bwcache import BWCacheConfig, FirstBlockCacheConfig
from bwcache.models import loading
from bwcache.runs.compare import compare
from bwcache.runs.events import StepDone
from bwcache.runs.request import Request

PROMPT = "a red circle moving right on a white background"
REQUEST = Request(PROMPT, steps=8, config=BWCacheConfig(1e6, 1, warm_up_steps=2))
OTHER = Request(PROMPT, steps=8, seed=5, config=FirstBlockCacheConfig(0.3))


@pytest.fixture(autouse=True)
def _nothing_kept():
    loading.unload_all()
    yield
    loading.unload_all()


def videos(request: Request, device: torch.device) -> list[np.ndarray]:
    """The frames of both runs."""
    *_, last = compare(request, device=device.type)
    assert last.summary.steps_reused or request is OTHER
    return [run.frames for run in last.runs]


def alike(one: list[np.ndarray], other: list[np.ndarray]) -> None:
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.quick
def test_a_stopped_comparison_and_the_next(device):
    expected = videos(REQUEST, device)
    for stop_at in (1, 5, 11):
        events, seen = compare(REQUEST, device=device.type), 0
        for event in events:
            seen += isinstance(event, StepDone)
            if seen == stop_at:
                break
        events.close()
        alike(videos(REQUEST, device), expected)


def test_two_visitors_take_turns(device):
    alone = [videos(request, device) for request in (REQUEST, OTHER)]
    for _ in range(2):
        found: dict[int, object] = {}

        def visit(number: int, request: Request, found=found) -> None:
            try:
                found[number] = videos(request, device)
            except BaseException as error:
                found[number] = error

        visitors = [
            threading.Thread(target=visit, args=each) for each in enumerate((REQUEST, OTHER))
        ]
        for visitor in visitors:
            visitor.start()
        for visitor in visitors:
            visitor.join(90)
        for number, expected in enumerate(alone):
            assert not isinstance(found.get(number), BaseException), found.get(number)
            alike(found[number], expected)


def test_what_a_comparison_leaves_on_the_device(cuda):
    """However many there are: no more memory is given out than after the first of each."""
    left = []
    for _ in range(3):
        videos(REQUEST, cuda)
        videos(OTHER, cuda)
        gc.collect()  # pipelines of a run refer to each other
        torch.cuda.synchronize()
        left.append(torch.cuda.memory_allocated())
    assert left[0] == left[1] == left[2]


def test_peak_memory_and_device_are_in_the_summary(cuda):
    *_, last = compare(replace(REQUEST, sequential=True), device="cuda")
    assert last.summary.peak_memory_bytes > 0
    assert last.summary.device.startswith("cuda: ")
    assert last.summary.offload == "none"
