"""A comparison's runs in turns: clocks, ghost, control, stop, errors and memory."""

import threading
from contextlib import closing

import numpy as np
import pytest
import torch

from bwcache import BWCacheConfig
from bwcache.models import loading
from bwcache.runs import race as racing
from bwcache.runs.baselines import BaselineStore
from bwcache.runs.compare import NO_PEAK_IN_TURNS, NO_PEAK_ON_CPU, compare
from bwcache.runs.events import ComparisonFinished, RunStarted, StepDone
from bwcache.runs.request import Request

REUSING = BWCacheConfig(1e6, 2)

pytestmark = pytest.mark.usefixtures("small_model")


def request(**changes) -> Request:
    of = {"prompt": "a red circle moving right", "steps": 8, "config": REUSING}
    return Request(**{**of, **changes})


def events_of(store: BaselineStore | None = None, **changes) -> list:
    return list(compare(request(**changes), store, "cpu"))


def cost(event: StepDone) -> float:
    record = event.record
    return record.seconds if event.run == "cached" else record.net_seconds


def test_both_orders_give_the_same_videos_and_decisions():
    *_, raced = events_of(control=True)
    *_, sequential = events_of(control=True, sequential=True)
    assert (raced.summary.in_turns, sequential.summary.in_turns) == (True, False)
    for one, other in zip(raced.runs, sequential.runs, strict=True):
        np.testing.assert_array_equal(one.frames, other.frames)
        assert one.trace.schedule == other.trace.schedule
        assert one.trace.indicators == other.trace.indicators
        assert one.peak_memory_bytes is None
    assert raced.summary.peak_memory_reason == NO_PEAK_IN_TURNS
    assert sequential.summary.peak_memory_reason == NO_PEAK_ON_CPU


def test_the_next_step_is_the_one_of_the_run_whose_clock_shows_less():
    steps = [event for event in events_of() if isinstance(event, StepDone)]
    clocks = {"baseline": 0.0, "cached": 0.0}
    left = dict.fromkeys(clocks, 8)
    for step in steps:
        if all(left.values()):
            assert clocks[step.run] == min(clocks.values())
        clocks[step.run] += cost(step)
        left[step.run] -= 1


def test_decoding_waits_until_both_have_denoised(monkeypatch, wan):
    done: list[str] = []
    decode, step = type(wan.vae).decode, racing._Race._reporting
    counting = lambda self, *a, **k: done.append("decode") or decode(self, *a, **k)  # noqa: E731
    monkeypatch.setattr(type(wan.vae), "decode", counting)

    def reporting(self, run):
        report = step(self, run)
        return lambda *given: done.append(run.name) or report(*given)

    monkeypatch.setattr(racing._Race, "_reporting", reporting)
    events = compare(request(), device="cpu")
    with closing(events):
        list(events)
    warm = done.index("baseline")
    assert done[warm:].count("decode") == 2
    assert done[-2:] == ["decode", "decode"]


def test_a_remembered_run_comes_as_a_ghost_at_its_measured_pace():
    store = BaselineStore()
    *_, first = events_of(store)
    events = events_of(store, config=BWCacheConfig(1e6, 1))
    started = [event for event in events if isinstance(event, RunStarted)]
    assert [(e.run, e.remembered) for e in started] == [("baseline", True), ("cached", False)]
    clocks = {"baseline": 0.0, "cached": 0.0}
    live = [e for e in events if isinstance(e, StepDone) and e.run == "cached"][-1]
    for event in events[: events.index(live)]:
        if isinstance(event, StepDone):
            clocks[event.run] += cost(event)
            assert clocks["baseline"] <= clocks["cached"]
    ghost = [e for e in events if isinstance(e, StepDone) and e.run == "baseline"]
    assert [e.record for e in ghost] == list(first.runs[0].trace.steps)
    assert all(e.preview for e in ghost)
    finished = events[-1]
    assert finished.summary.baseline_remembered
    np.testing.assert_array_equal(finished.runs[0].frames, first.runs[0].frames)


def test_a_ghost_races_beside_a_control_run():
    store = BaselineStore()
    events_of(store)
    *_, finished = events_of(store, control=True)
    assert all(len(run.previews) == len(run.trace.steps) for run in finished.runs)
    assert [run.run for run in finished.runs] == ["baseline", "cached", "control"]
    assert finished.summary.control.steps == 4


def nothing_is_left(wan) -> bool:
    blocks = [module for module in wan.transformer.modules() if module._compiled_call_impl]
    hooks = wan.transformer._forward_pre_hooks
    threads = [each for each in threading.enumerate() if each.name.startswith("bwcache")]
    return not (blocks or hooks or threads or "step" in vars(wan.scheduler))


@pytest.mark.parametrize("run", ["baseline", "cached", "control"])
def test_stopping_ends_all_runs(run, wan):
    with closing(compare(request(steps=40, control=True), device="cpu")) as events:
        for event in events:
            if isinstance(event, StepDone) and (event.run, event.record.step_index) == (run, 1):
                break
    assert nothing_is_left(wan)


@pytest.mark.parametrize("at", [1, 5])
def test_an_error_in_one_run_ends_the_other(at, wan, monkeypatch):
    preview, calls = racing.latent_preview, []

    def failing(*given):
        calls.append(given)
        if len(calls) == at:
            raise ZeroDivisionError
        return preview(*given)

    monkeypatch.setattr(racing, "latent_preview", failing)
    with pytest.raises(ZeroDivisionError):
        events_of()
    assert nothing_is_left(wan)
    monkeypatch.undo()


def test_an_error_before_the_first_step_reaches_the_reader(wan, monkeypatch):
    monkeypatch.setattr(racing, "call_arguments", lambda *given: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        events_of()
    assert nothing_is_left(wan)


def test_no_second_set_of_weights_is_made(wan, monkeypatch):
    """While both runs denoise, every weight that the process has is one of the one model's."""
    sharing, pipes = racing.sharing, []
    monkeypatch.setattr(racing, "sharing", lambda pipe: pipes.append(sharing(pipe)) or pipes[-1])
    counted = []
    for event in compare(request(control=True), device="cpu"):
        if isinstance(event, StepDone) and event.record.step_index == 1:
            counted.append(sum(map(len, (p.components for p in pipes))))
            weights = {
                weight.data_ptr()
                for pipe in pipes
                for part in pipe.components.values()
                if isinstance(part, torch.nn.Module)
                for weight in part.parameters()
            }
    assert len(pipes) == 3
    own = [p for p in wan.components.values() if isinstance(p, torch.nn.Module)]
    assert weights == {weight.data_ptr() for part in own for weight in part.parameters()}
    assert len({id(pipe.scheduler) for pipe in (*pipes, wan)}) == 4


def test_memory_that_runs_out_in_one_run_starts_both_anew_in_a_lighter_mode(monkeypatch, wan):
    """The first try ends whole, and the second gives what a run gives that fitted at once."""
    *_, expected = events_of()
    loading.unload_all()
    machine = loading.this_machine("cpu")
    monkeypatch.setattr(type(machine), "modes", property(lambda self: ("none", "model")))
    preview, calls = racing.latent_preview, []

    def failing(*given):
        calls.append(given)
        if len(calls) == 4:
            raise torch.OutOfMemoryError("out of memory")
        return preview(*given)

    monkeypatch.setattr(racing, "latent_preview", failing)
    try:
        events = events_of()
    finally:
        loading.unload_all()
        from bwcache.models.fit import clear_remembered

        clear_remembered()
    assert [getattr(event, "stage", None) for event in events].count("retry") == 1
    finished = events[-1]
    assert isinstance(finished, ComparisonFinished)
    assert finished.summary.offload == "model"
    for one, other in zip(finished.runs, expected.runs, strict=True):
        np.testing.assert_array_equal(one.frames, other.frames)
    assert nothing_is_left(wan)


def test_the_processes_generators_are_left_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    events_of()
    assert torch.equal(torch.rand(3), expected)
