"""Making models ready: fetched, loaded once, evicted, offloaded, and out of memory.

The GPU is made up: its memory is numbers, and what is put on it stays on the CPU.
"""

import threading
import time
import weakref
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
import torch

from bwcache import BWCacheConfig, ConfigError, models
from bwcache.cli import main
from bwcache.cli.progress import LoadingBar
from bwcache.explore.find_setting import search
from bwcache.explore.search import Goal
from bwcache.models import ModelError, fit, loading, timings
from bwcache.models.catalogue.tinyworld import TINYWORLD
from bwcache.models.loading import LOADED_MODELS, free_memory, out_of_memory, result_of
from bwcache.models.machine import Machine, this_machine
from bwcache.models.progress import Loading
from bwcache.models.spec import Shape, Weights
from bwcache.runs import compare as comparing
from bwcache.runs.baselines import BaselineStore
from bwcache.runs.compare import compare, learn
from bwcache.runs.events import RunFinished, RunStarted, StepDone
from bwcache.runs.request import Request
from tests.conftest import (
    build_wan,
)
from tests.unit.fake_hub import COMMIT, serving

PROMPT = "a red circle moving right on a white background"
REUSING = BWCacheConfig(1e6, 2)
CARD = Machine("cuda", "a card", ram_gb=64, disk_gb=500, device_gb=24, free_gb=23)
WAN = replace(
    models.find("wan2.1-t2v-1.3b"),
    weights=Weights("tiny/wan", "", revision=COMMIT, parameters={"transformer": 0.001}),
    needs_cuda=False,
    activations_gb=0.01,
    shape=Shape(height=32, width=32, num_frames=5),
)


@pytest.fixture(autouse=True)
def nothing_remembered():
    for forget in (loading.unload_all, fit.clear_remembered, timings.clear):
        forget()
    yield
    for forget in (loading.unload_all, fit.clear_remembered, timings.clear):
        forget()


def request(**changes) -> Request:
    return Request(**{"prompt": PROMPT, "steps": 4, "config": REUSING, **changes})


@pytest.fixture
def built(monkeypatch, wan):
    """Which models were built, in which mode; all are the same small pipeline."""
    made = []

    def build(spec, device, random_weights, mode, folder):
        made.append((spec.name, mode))
        return wan

    monkeypatch.setattr(loading, "build", build)
    return made


# -- from a hub ------------------------------------------------------------------------------------


@pytest.fixture
def hub(repository, tmp_path, monkeypatch):
    monkeypatch.setattr(models, "CATALOGUE", {WAN.name: WAN})
    with serving(repository, tmp_path / "cache", monkeypatch) as served:
        yield served


def test_a_model_comes_from_the_hub_once_and_runs(hub):
    asked = Request("a cat", WAN.name, steps=4, config=BWCacheConfig(1e6, 1))
    *events, last = compare(asked, device="cpu")
    stages = [event.stage for event in events if isinstance(event, Loading)]
    assert list(dict.fromkeys(stages)) == ["download", "load", "warm_up"]
    downloads = [e for e in events if isinstance(e, Loading) and e.total]
    assert downloads[-1].done == downloads[-1].total > 100_000
    assert last.summary.revision == COMMIT
    assert last.summary.offload == "none"
    assert last.runs[0].frames.shape == (5, 32, 32, 3)
    hub.requests.clear()
    loading.unload_all()
    again = [event.stage for event in compare(asked, device="cpu") if isinstance(event, Loading)]
    assert again == ["load", "warm_up"]
    assert not any(isinstance(event, Loading) for event in compare(asked, device="cpu"))
    assert not hub.requests


def test_the_command_line_shows_the_download(hub, tmp_path, capsys):
    given = ["compare", "--prompt", "a cat", "--model", WAN.name, "--steps", "2", "--json"]
    assert main([*given, "--device", "cpu", "--out", str(tmp_path / "out")]) == 0
    error = capsys.readouterr().err
    assert "download: 100%" in error
    assert "loading the model" in error
    assert "warming up" in error
    hub.refuse = "gated"
    models.CATALOGUE["other"] = replace(
        WAN, name="other", weights=replace(WAN.weights, source="tiny/other")
    )
    other = ["compare", "--prompt", "a cat", "--model", "other", "--out", str(tmp_path / "new")]
    assert main([*other, "--device", "cpu"]) == 2
    error = capsys.readouterr().err
    assert "bwcache: model: Wan 2.1 T2V 1.3B: its authors ask for consent first" in error
    assert not (tmp_path / "new").exists()


def test_a_failed_download_leaves_other_models_alone(hub, built):
    hub.refuse = "out of order"
    with pytest.raises(ModelError, match="try again later"):
        result_of(loading.loading(WAN, "cpu"))
    assert result_of(loading.loading(TINYWORLD, "cpu")).pipe
    hub.refuse = None
    assert result_of(loading.loading(WAN, "cpu")).revision == COMMIT
    assert built == [("tinyworld", "none"), (WAN.name, "none")]


def test_damaged_weights_are_named_deleted_and_fetched_anew(hub):
    folder = result_of(loading.fetch(WAN))
    weights = "transformer/diffusion_pytorch_model.safetensors"
    (folder / weights).resolve().write_bytes(b"not weights")
    with pytest.raises(ModelError, match=f"{weights} was damaged on the disk and has been deleted"):
        result_of(loading.loading(WAN, "cpu"))
    assert result_of(loading.loading(WAN, "cpu")).revision == COMMIT


# -- kept ------------------------------------------------------------------------------------------


def test_two_who_ask_at_once_get_one(monkeypatch, wan):
    spec, made, begun = TINYWORLD, [], threading.Event()

    def build(*_):
        made.append(1)
        begun.set()
        time.sleep(0.05)
        return wan

    monkeypatch.setattr(loading, "build", build)
    monkeypatch.setattr(loading, "TURN", 0.01)
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(result_of(loading.loading(spec, "cpu"))))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1]
    assert [ready.pipe for ready in found] == [wan] * 3


def test_who_leaves_while_loading_keeps_nobody_from_it(built):
    spec = TINYWORLD
    with closing(loading.loading(spec, "cpu")) as events:
        assert next(events) == Loading("load")
    assert result_of(loading.loading(spec, "cpu")).offload == "none"


def card(monkeypatch, **changes) -> Machine:
    """Pretend to have it."""
    machine = replace(CARD, **changes)
    monkeypatch.setattr(loading, "this_machine", lambda device: machine)
    monkeypatch.setattr(comparing, "describe_device", lambda device: f"{device}: {machine.name}")
    return machine


def sized(name: str, billions: float):
    """TinyWorld under another name, as if it were large."""
    spec = TINYWORLD
    weights = replace(spec.weights, parameters={"transformer": billions})
    return replace(spec, name=name, weights=weights, activations_gb=0.5)


def test_the_least_recently_used_model_goes(monkeypatch, built):
    card(monkeypatch)
    one, two, three = (sized(name, 2.0) for name in ("one", "two", "three"))  # 8 GB each
    for spec in (one, two, one, three, one):
        result_of(loading.loading(spec, "cuda"))
    assert built == [("one", "none"), ("two", "none"), ("three", "none")]
    result_of(loading.loading(two, "cuda"))
    assert built[3:] == [("two", "none")]


def test_a_model_in_use_stays_and_the_other_waits(monkeypatch, built):
    card(monkeypatch)
    monkeypatch.setattr(loading, "TURN", 0.0)
    one, two = sized("one", 4.0), sized("two", 4.0)
    ready = result_of(loading.loading(one, "cuda"))
    with LOADED_MODELS.in_use(ready):
        waiting = loading.loading(two, "cuda")
        assert next(waiting) == Loading("load", note=loading.WAITING)
        assert next(waiting) == Loading("load", note=loading.WAITING)
    assert next(waiting) == Loading("load")
    waiting.close()
    key = (one.name, one.weights.source, one.weights.revision, "cuda", False)
    assert LOADED_MODELS.find(key) is None


def test_a_mode_can_be_asked_for(monkeypatch, built):
    card(monkeypatch)
    spec = sized("one", 2.0)
    for offload in (None, "sequential", None, "none"):
        result_of(loading.loading(spec, "cuda", offload=offload))
    assert built == [("one", "none"), ("one", "sequential"), ("one", "none")]
    laptop = Machine("cpu", "a laptop", ram_gb=16, disk_gb=100)
    monkeypatch.setattr(loading, "this_machine", lambda device: laptop)
    with pytest.raises(ConfigError, match="offload: got 'model'; allowed is none on this machine"):
        result_of(loading.loading(spec, "cpu", offload="model"))


def test_a_hub_model_that_cannot_fit_is_refused_before_its_download(monkeypatch, hub):
    card(monkeypatch, free_gb=1.0)
    weights = replace(WAN.weights, parameters={"transformer": 20.0})
    large = replace(WAN, weights=weights, activations_gb=3.0)
    with pytest.raises(ModelError, match="does not run here. Needs about 6 GB of GPU memory even"):
        result_of(loading.loading(large, "cuda"))
    assert not hub.requests


# -- out of memory ---------------------------------------------------------------------------------


class Card:
    """Pipelines that run out of memory in the modes named, while loading or at a step."""

    def __init__(self, monkeypatch, pipe, bad: set[str], where: str):
        self.modes: list[str] = []
        self._bad = bad
        monkeypatch.setattr(loading, "build", lambda *a: self.build(pipe, a[3], where))
        if where == "run":
            generate, race = comparing.generate, comparing.race
            monkeypatch.setattr(comparing, "generate", lambda *a: self.run(generate(*a)))
            monkeypatch.setattr(comparing, "race", lambda *a, **k: self.run(race(*a, **k)))

    def build(self, pipe, mode, where):
        self.modes.append(mode)
        if where == "load" and mode in self._bad:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return pipe

    def run(self, events):
        with closing(events):
            while True:
                try:
                    event = next(events)
                except StopIteration as end:
                    return end.value
                third = isinstance(event, StepDone) and event.record.step_index == 2
                if third and event.run == "cached" and self.modes[-1] in self._bad:
                    raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
                yield event


@pytest.mark.parametrize("where", ["load", "run"])
def test_out_of_memory_is_tried_once_more_in_a_lighter_mode(monkeypatch, wan, where):
    card(monkeypatch)
    made = Card(monkeypatch, wan, {"none"}, where)
    store = BaselineStore()
    *events, last = compare(request(), store, "cuda")
    retries = [e for e in events if isinstance(e, Loading) and e.stage == "retry"]
    assert len(retries) == 1
    assert "ran out of GPU memory; it is tried once more" in retries[0].note
    after = events[events.index(retries[0]) :]
    names = [event.run for event in after if isinstance(event, RunStarted)]
    assert names == ["baseline", "cached"]
    assert not any(event.remembered for event in after if isinstance(event, RunStarted))
    assert last.summary.offload == "model"
    assert {run.offload for run in last.runs} == {"model"}
    assert store.get(request()).offload == "model"
    assert made.modes == ["none", "model"]
    # remembered: the next comparison starts in that mode, and the model is still there
    *_, again = compare(request(seed=1), store, "cuda")
    assert again.summary.offload == "model"
    assert made.modes == ["none", "model"]
    loading.unload_all()
    list(compare(request(seed=1), store, "cuda"))
    assert made.modes == ["none", "model", "model"]


@pytest.mark.parametrize("where", ["load", "run"])
def test_out_of_memory_twice_is_a_sentence_and_the_app_goes_on(monkeypatch, wan, where):
    card(monkeypatch)
    made = Card(monkeypatch, wan, {"none", "model"}, where)
    with pytest.raises(ModelError) as caught:
        list(compare(request(), device="cuda"))
    assert str(caught.value) == (
        "model: TinyWorld (embedded) ran out of GPU memory on this machine, even with one "
        "component at a time on the GPU; use a smaller model such as tinyworld, a smaller video, "
        "or a machine with more"
    )
    assert made.modes == ["none", "model"]
    made._bad.clear()
    *_, last = compare(request(), device="cuda")
    assert last.summary.offload == "model"


@pytest.mark.parametrize("decodings", [0, 1], ids=["warming up", "running"])
def test_the_memory_is_free_before_the_lighter_try(monkeypatch, decodings):
    """Nothing refers to the first pipeline any more: neither a frame, a thread nor an error."""
    card(monkeypatch)
    alive: list[weakref.ref] = []

    def build(*arguments):
        assert not any(pipe() for pipe in alive)
        pipe = build_wan()
        if not alive:
            exhaust(pipe, decodings)
        alive.append(weakref.ref(pipe))
        return pipe

    def exhaust(pipe, left: int) -> None:
        decode = type(pipe.vae).decode

        def failing(latents, **options):
            nonlocal left
            left -= 1
            if left < 0:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            return decode(owner(), latents, **options)

        owner = weakref.ref(pipe.vae)
        pipe.vae.decode = failing

    monkeypatch.setattr(loading, "build", build)
    *_, last = compare(request(), device="cuda")
    assert last.summary.offload == "model"
    assert len(alive) == 2


def test_without_a_gpu_there_is_no_lighter_mode(monkeypatch, wan):
    made = Card(monkeypatch, wan, {"none"}, "run")
    with pytest.raises(ModelError, match="ran out of memory on this machine; use a smaller model"):
        list(compare(request(), device="cpu"))
    assert made.modes == ["none"]


def test_a_mode_that_was_asked_for_is_not_changed(monkeypatch, wan):
    card(monkeypatch)
    made = Card(monkeypatch, wan, {"none"}, "load")
    with pytest.raises(ModelError, match="ran out of GPU memory"):
        list(compare(request(), device="cuda", offload="none"))
    assert made.modes == ["none"]


def test_the_command_line_refuses_a_mode_that_makes_no_sense(tmp_path, capsys, built):
    given = ["compare", "--prompt", PROMPT, "--device", "cpu", "--out", str(tmp_path / "out")]
    assert main([*given, "--offload", "model"]) == 2
    error = capsys.readouterr().err
    assert error == "bwcache: offload: got 'model'; allowed is none on this machine\n"
    assert not (tmp_path / "out").exists()
    assert not built


def test_the_terminal_says_each_thing_once(capsys):
    bar = LoadingBar()
    events = [Loading("download", n, 2000) for n in (0, 1000, 1000, 2000)]
    for event in [Loading("download"), *events, Loading("load"), Loading("load"),
                  Loading("retry", note="Once more."), RunStarted("baseline", 2)]:  # fmt: skip
        bar.show(event)
    error = capsys.readouterr().err
    assert "download: 100%" in error
    assert "2.00k/2.00k" in error
    assert error.count("loading the model") == 1
    assert error.count("Once more.") == 1


def test_a_baseline_of_another_mode_is_not_compared_with(monkeypatch, wan):
    card(monkeypatch)
    Card(monkeypatch, wan, set(), "load")
    store = BaselineStore()
    list(compare(request(), store, "cuda"))
    *_, last = compare(request(), store, "cuda", "model")
    assert last.summary.baseline_remembered is False
    *_, last = compare(request(), store, "cuda", "model")
    assert last.summary.baseline_remembered is True


def test_a_search_goes_on_after_running_out_of_memory(monkeypatch, wan):
    card(monkeypatch)
    Card(monkeypatch, wan, {"none"}, "run")
    events = list(search(request(), Goal("psnr", 10.0), device="cuda", most=2))
    assert [e.stage for e in events if isinstance(e, Loading)].count("retry") == 1
    assert events[-1].recommendation.sentence


def test_what_counts_as_out_of_memory():
    assert out_of_memory(torch.OutOfMemoryError("x"))
    assert out_of_memory(MemoryError())
    assert out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"))
    wrapped = ModelError("model: could not be loaded")
    wrapped.__cause__ = RuntimeError("CUDA out of memory.")
    assert out_of_memory(wrapped)
    assert not out_of_memory(RuntimeError("sizes of tensors must match"))


def test_freeing_memory_frees_what_a_traceback_refers_to():
    def failing():
        tensor = torch.zeros(3)
        held.append(weakref.ref(tensor))
        raise RuntimeError("CUDA out of memory")

    held = []
    try:
        failing()
    except RuntimeError as error:
        before = held[0]()
        assert before is not None
        del before
        free_memory(error)
    assert held[0]() is None


# -- how long it takes -----------------------------------------------------------------------------


def test_a_comparison_teaches_how_long_a_step_takes(built):
    spec = TINYWORLD
    assert timings.last_timing(spec, "cpu") is None
    *_, last = compare(request(), device="cpu")
    steps = [step for run in last.runs for step in run.trace.steps if step.action == "compute"]
    computed = [step.seconds - step.indicator_seconds for step in steps]
    assert timings.last_timing(spec, "cpu").step_seconds == pytest.approx(np.median(computed))
    assert timings.last_timing(spec, "cuda") is None
    assert timings.last_timing(replace(spec, shape=replace(spec.shape, height=256)), "cpu") is None
    learnt = timings.last_timing(spec, "cpu:0")
    assert (learnt.offload, learnt.computed_share) == ("none", 0.5)
    assert learnt.around_seconds > 0
    found = fit.fit_here(spec, this_machine("cpu"))
    assert found.seconds == learnt.comparison_seconds(spec.steps)
    timings.clear()
    learn(last)  # as the reader of another process's events would
    assert timings.last_timing(spec, "cpu") == learnt


def test_the_runs_come_out_alike_whoever_warmed_up(wan, built):
    """A model that is ready already starts no run colder or warmer."""
    *first, _ = compare(request(), device="cpu")
    *second, _ = compare(request(), device="cpu")
    frames = [
        [event.frames for event in events if isinstance(event, RunFinished)]
        for events in (first, second)
    ]
    for one, other in zip(*frames, strict=True):
        np.testing.assert_array_equal(one, other)
