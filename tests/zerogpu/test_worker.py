"""The worker's half and the sentences, without a worker."""

import re

import gradio as gr
import httpx
import pytest
import torch

from bwcache import BWCacheConfig, ConfigError, cached
from bwcache.cache.install import remove_leftovers
from bwcache.cache.trace import StepRecord
from bwcache.models import ModelError
from bwcache.models.progress import Loading
from bwcache.runs.compare import make_comparison
from bwcache.runs.events import ComparisonFinished, RunFinished, RunStarted, StepDone
from bwcache.runs.request import Request
from bwcache.space import zerogpu
from bwcache.space.zerogpu import Refused, in_worker
from bwcache.space.zerogpu_errors import explain
from tests.toy import ToyPipeline
from tests.zerogpu.plain import assert_plain

REQUEST = Request("a cat", control=True)
RECORD = StepRecord(0, "compute", "", distances=(0.5,))


def test_elsewhere_a_comparison_stays_as_it_is(monkeypatch):
    monkeypatch.delenv("SPACES_ZERO_GPU", raising=False)

    def compare():
        """Never called."""

    assert zerogpu.gpu(compare) is compare
    zerogpu.preload(["nothing"])
    assert zerogpu.factor() == 1.5


def test_everything_that_a_comparison_yields_may_leave(small_model):
    asked = Request("a red circle", steps=4, config=BWCacheConfig(1e6, 1), control=True)
    events = list(in_worker(make_comparison)(asked, None, "cpu"))
    kinds = {Loading, RunStarted, StepDone, RunFinished, ComparisonFinished}
    assert {type(event) for event in events} == kinds
    for event in events:
        assert_plain(event, type(event).__name__)


@pytest.mark.parametrize(
    ("value", "where"),
    [
        (StepDone("cached", RECORD, torch.zeros(2)), "StepDone.preview: a Tensor"),
        (StepDone({"a": [1, {"b": torch.ones(1)}]}, RECORD), r"run\['a'\]\[1\]"),
        (StepDone("cached", RECORD, object()), "StepDone.preview: a object"),
    ],
)
def test_a_tensor_would_be_found(value, where):
    with pytest.raises(AssertionError, match=where):
        assert_plain(value, type(value).__name__)


@pytest.mark.parametrize("error", [ModelError("no"), ConfigError("prompt", "x", "y")])
def test_a_refusal_is_told_and_not_raised(error):
    def compare(request, store, device):
        yield Loading("load")
        raise error

    assert list(in_worker(compare)(REQUEST)) == [Loading("load"), Refused(str(error))]


def test_gates_are_taken_out_before_and_after_whatever_happened():
    pipe = ToyPipeline()
    entered = []

    def enter():
        entered.append(cached(pipe, BWCacheConfig(0.0)))
        entered[-1].__enter__()

    def compare(request, store, device):
        assert remove_leftovers() == 0
        enter()
        yield Loading("load")

    enter()
    assert list(in_worker(compare)(REQUEST)) == [Loading("load")]
    assert len(entered) == 2
    assert remove_leftovers() == 0
    events = in_worker(compare)(REQUEST)
    next(events)
    events.close()
    assert remove_leftovers() == 0


def test_closing_reaches_the_comparison():
    closed = []

    def compare(request, store, device):
        try:
            yield Loading("load")
        finally:
            closed.append(True)

    events = in_worker(compare)(REQUEST)
    next(events)
    events.close()
    assert closed == [True]


def refusal(title: str, message: str) -> gr.Error:
    return gr.Error(message, title=f"ZeroGPU {title}")


QUOTA = "You have exceeded your free ZeroGPU quota (90s requested vs. 12s left). "


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (
            refusal("quota exceeded", f"{QUOTA}Try again in 3:20:00. "),
            "90 s .* 12 s .* 3:20:00.",
        ),
        (refusal("quota exceeded", f"{QUOTA}Try again in 1 day, 0:00:09. "), "1 day, 0:00:09."),
        (refusal("quota exceeded", "(9s requested vs. -3s left). Try again"), " 0 s of it"),
        (refusal("worker error", "OutOfMemoryError"), "memory was not enough"),
        (refusal("worker error", "KeyError"), r"failed on the GPU \(KeyError\)"),
        (refusal("client error", "Expired ZeroGPU proxy token"), "Reload it"),
        (RuntimeError("ZeroGPU API /schedule error: 500 (x)"), "could not be reached"),
        (httpx.ConnectError("refused"), "could not be reached"),
    ],
)
def test_a_sentence_for_what_zerogpu_says(error, says):
    assert re.search(rf"{says}.*The recorded runs play without a GPU\.$", explain(error))


@pytest.mark.parametrize("error", [gr.Error("ours"), ValueError("ZeroGPU?"), RuntimeError("else")])
def test_no_sentence_for_anything_else(error):
    assert explain(error) is None
