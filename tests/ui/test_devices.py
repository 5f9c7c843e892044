"""Several devices behind one line: at once, apart, and taken out where one fails."""

import json
import logging
import threading
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
import torch
from diffusers import UniPCMultistepScheduler
from gradio_client import Client
from starlette.testclient import TestClient

import app
from bwcache.cache.methods.bwcache import BWCacheConfig
from bwcache.cache.turns import Turns
from bwcache.errors import ConfigError, DeviceError, ModelError
from bwcache.models import loading, replicas
from bwcache.models.loaded_models import MemoryUse, to_evict
from bwcache.runs.baselines import BaselineStore
from bwcache.runs.compare import compare
from bwcache.runs.events import RunFinished
from bwcache.runs.request import Request
from bwcache.space.host_settings import Settings, read_devices
from bwcache.testing import FakeBackend
from bwcache.ui import Host, build, events, launch
from bwcache.ui.devices import FAILED, NONE_LEFT, Devices
from bwcache.ui.handlers import Handlers
from bwcache.ui.languages import CATALOGUE
from bwcache.ui.limits import Limits
from bwcache.ui.line import Line, in_line
from bwcache.ui.results import Results
from bwcache.ui.run_log import RunLog
from bwcache.ui.service import Service
from bwcache.ui.sessions import Visitors
from tests.reliability import small_files
from tests.ui.given import given
from tests.ui.serving import wait_for

PROMPT = "a red circle moving right on a white background"
TWO = ("cpu:0", "cpu:1")
PATIENCE = 60  # seconds; only a failing test waits so long
BROKEN = "CUDA error: an illegal memory access was encountered"


# -- at the same time, on real pipelines -----------------------------------------------------------

ASKED = (
    Request(PROMPT, steps=4, config=BWCacheConfig(0.5, 1)),
    Request(PROMPT, steps=4, seed=5, config=BWCacheConfig(0.02, 2)),
)


@pytest.fixture
def loaded():
    """TinyWorld, once for each device and once for the one that there is usually."""
    loading.unload_all()
    yield
    loading.unload_all()


def made(request: Request, device: str, **more) -> list[RunFinished]:
    *_, last = compare(request, device=device, **more)
    return list(last.runs)


def at_once(requests, monkeypatch) -> list[list[RunFinished] | BaseException]:
    """Each on a device of its own; all stand before their first step at once."""
    barrier, seen = threading.Barrier(len(requests)), set()
    stand = Turns.stand

    def standing(self, runner, place, needs=None):
        if place == "start" and self not in seen:
            seen.add(self)
            barrier.wait(PATIENCE)
        stand(self, runner, place, needs)

    monkeypatch.setattr(Turns, "stand", standing)
    found: list = [None] * len(requests)

    def visit(number: int) -> None:
        try:
            found[number] = made(requests[number], TWO[number])
        except BaseException as error:
            found[number] = error

    visitors = [threading.Thread(target=visit, args=(at,)) for at in range(len(requests))]
    for each in visitors:
        each.start()
    for each in visitors:
        each.join(2 * PATIENCE)
    return found


def same(runs, expected) -> None:
    assert not isinstance(runs, BaseException), runs
    for one, other in zip(runs, expected, strict=True):
        np.testing.assert_array_equal(one.frames, other.frames)
        assert one.trace.schedule == other.trace.schedule
        indicators = [[step.indicator for step in run.trace.steps] for run in (one, other)]
        assert indicators[0] == indicators[1]


def test_two_run_at_once_and_each_is_what_it_is_alone(loaded, monkeypatch):
    """Neither gets past its first step before the other stands there, too."""
    alone = [made(request, "cpu") for request in ASKED]
    assert alone[0][1].trace.schedule != alone[1][1].trace.schedule
    for device in TWO:
        list(loading.loading(loading.find("tinyworld"), device))
    pipes = [loading.LOADED_MODELS.find(key(device)).pipe for device in TWO]
    assert pipes[0].transformer is not pipes[1].transformer
    assert replicas.pipeline_lock(pipes[0]) is not replicas.pipeline_lock(pipes[1])
    for runs, expected in zip(at_once(ASKED, monkeypatch), alone, strict=True):
        same(runs, expected)


def key(device: str) -> tuple:
    spec = loading.find("tinyworld")
    return (spec.name, spec.weights.source, spec.weights.revision, device, False)


def test_what_a_scheduler_draws_does_not_cross_over(loaded, monkeypatch):
    """It draws from PyTorch's own generator, which the process has once."""
    step = UniPCMultistepScheduler.step

    def drawing(self, model_output, timestep, sample, **more):
        result = step(self, model_output, timestep, sample, **more)
        for _ in range(20):
            result[0].add_(0.001 * torch.randn(sample.shape))
        return result

    monkeypatch.setattr(UniPCMultistepScheduler, "step", drawing)
    alone = [made(request, "cpu") for request in ASKED]
    replicas.serve_on(TWO)
    for runs, expected in zip(at_once(ASKED, monkeypatch), alone, strict=True):
        same(runs, expected)


def test_a_device_loads_while_another_waits_for_room(loaded, monkeypatch):
    """One that waits for memory keeps nobody else from being made ready, and none from running."""
    monkeypatch.setattr(loading, "TURN", 0.01)
    room = loading.LOADED_MODELS.make_room
    monkeypatch.setattr(
        loading.LOADED_MODELS, "make_room", lambda new, *of: new.device != TWO[0] and room(new, *of)
    )
    spec = loading.find("tinyworld")
    waiting = loading.loading(spec, TWO[0])
    assert next(waiting).note == loading.WAITING
    assert loading.result_of(loading.loading(spec, TWO[1])).pipe
    waiting.close()


def test_memory_is_a_devices_and_the_machines_is_everybodys():
    here, there = MemoryUse(8, 0, device="cuda:0"), MemoryUse(8, 0, device="cuda:1")
    new = MemoryUse(6, 10, device="cuda:0")
    assert to_evict([there, here], new, device_gb=10, ram_gb=32) == [1]
    assert to_evict([there] * 5, new, device_gb=10, ram_gb=32) == []
    large = MemoryUse(0, 30, device="cuda:1")
    assert to_evict([large], new, device_gb=10, ram_gb=32) == [0]
    busy = MemoryUse(0, 30, device="cuda:1", in_use=True)
    assert to_evict([busy], new, device_gb=10, ram_gb=32) is None
    assert to_evict([there], MemoryUse(60, 1, device="cuda:0"), device_gb=10, ram_gb=32) == []


# -- which device ----------------------------------------------------------------------------------


def test_a_job_takes_what_is_wanted_then_what_holds_the_model_then_the_least_used():
    now, holding = [0.0], set()
    kept = SimpleNamespace(holds=lambda model, device: (model, device) in holding)
    devices = Devices(("a", "b", "c"), kept, lambda: now[0])
    assert devices.take("m") == "a"
    now[0] = 5.0
    devices.give_back("a")
    assert devices.take("m") == "b"  # it has done nothing yet
    devices.give_back("b")
    holding.add(("m", "a"))
    assert devices.take("m") == "a"
    devices.give_back("a")
    assert devices.take("m", wanted=["c"]) == "c"
    assert [devices.take("m"), devices.take("m"), devices.take("m")] == ["a", "b", None]


def test_an_uncached_run_is_remembered_for_the_device_that_made_it():
    """So that both runs of a comparison are of one device, and it is the first choice."""
    store, backend, request = BaselineStore(), FakeBackend(), Request(PROMPT, steps=4)
    list(backend(request, store, "cpu:1"))
    assert store.get(request, "cpu:0") is None
    assert store.get(request, "cpu:1") is store.get(request) is not None
    assert store.devices_of(request) == ["cpu:1"]
    line = Line(devices=Devices(TWO))
    turn = line.join(None, "tinyworld", store.devices_of(request))
    assert turn.wait(0)
    assert turn.device == "cpu:1"


# -- the page --------------------------------------------------------------------------------------


class Meeting(FakeBackend):
    """Whoever compares waits for `go`; says which devices are at work; fails where it is told."""

    def __init__(self):
        super().__init__()
        self.go = threading.Event()
        self.working: list[str] = []
        self.broken: dict[str, Exception] = {}

    def __call__(self, request, store=None, device=None):
        self.working.append(device)
        try:
            for event in super().__call__(request, store, device):
                yield event
                assert self.go.wait(PATIENCE)
                if device in self.broken:
                    raise self.broken[device]
        finally:
            self.working.remove(device)


@pytest.fixture
def page(monkeypatch):
    """What a page with two devices is made of, without Gradio's server."""
    monkeypatch.setattr(events, "save", small_files)
    backend, devices, run_log = Meeting(), Devices(TWO), RunLog()
    line = Line(devices=devices)
    service = Service(Settings(metrics=True), line, Visitors(), run_log, devices)
    watched = service.bounded(devices.watched(backend))
    results = Results(line, run_log=run_log)
    job = events.comparison_job(watched, Host(devices=TWO), str)
    return SimpleNamespace(
        **{"backend": backend, "devices": devices, "line": line, "service": service},
        handlers=Handlers(job, service.visitors, results),
        results=results,
        api=in_line(watched, line, run_log),
    )


def ask(page, session: str, **changes):
    """Press Generate; the result, and what the visitor gets to see of it."""
    asked, *_ = page.handlers.enter(given(steps=4, **changes), "en", session)
    updates = page.handlers.run(asked, session, "en")
    next(updates)
    return page.results.get(asked), updates


def test_two_visitors_are_served_at_once_and_the_third_waits(page):
    first, second = ask(page, "a"), ask(page, "b", seed=1)
    assert wait_for(lambda: sorted(page.backend.working) == list(TWO))
    third = ask(page, "c", seed=2)
    assert third[0].place.number == 1
    told = page.service.health()
    assert (told["status"], told["running"], told["waiting"]) == ("ok", 2, 1)
    assert [(each["device"], each["state"], each["model"]) for each in told["devices"]] == [
        ("cpu:0", "running", "tinyworld"),
        ("cpu:1", "running", "tinyworld"),
    ]
    page.backend.go.set()
    for result, updates in (first, second, third):
        list(updates)
        assert result.state == "done"
        assert result.device in TWO
    assert {first[0].device, second[0].device} == set(TWO)
    assert [each["state"] for each in page.service.health()["devices"]] == ["free", "free"]
    assert sum(each["runs"] for each in page.service.health()["devices"]) == 3
    text = page.service.metrics()
    counted = [line for line in text.splitlines() if line.startswith("bwcache_device_runs_total{")]
    assert sum(int(line.split()[-1]) for line in counted) == 3
    assert 'bwcache_device_in_service{device="cpu:1"} 1' in text
    assert text.count("# TYPE bwcache_device_in_service gauge") == 1


def test_stop_ends_the_visitors_own_run_and_lets_the_next_on_that_device(page):
    first, second = ask(page, "a"), ask(page, "b")
    third = ask(page, "c")
    assert third[0].place.number == 1
    page.handlers.stop("en", "a")
    page.backend.go.set()
    for _, updates in (first, second, third):
        list(updates)
    assert [each[0].state for each in (first, second, third)] == ["stopped", "done", "done"]
    assert page.devices.take("m") is not None
    assert page.devices.take("m") is not None


def test_the_deadline_ends_a_run_and_the_device_stays(page):
    page.backend.go.set()
    page.service.settings = SimpleNamespace(max_seconds=-1)
    result, updates = ask(page, "a")
    with pytest.raises(gr.Error, match="took longer than is allowed"):
        list(updates)
    assert result.state == "error"
    assert len(page.devices) == 2


def test_a_device_that_fails_is_taken_out_and_said_to_be(page, caplog):
    caplog.set_level(logging.INFO, "bwcache")
    page.backend.broken["cpu:0"] = RuntimeError(BROKEN)
    page.backend.go.set()
    result, updates = ask(page, "a")
    with pytest.raises(gr.Error) as caught:
        list(updates)
    assert str(caught.value.message) == FAILED
    assert (result.state, result.device) == ("error", "cpu:0")
    assert wait_for(lambda: page.line.running == 0)
    told = page.service.health()
    assert told["status"] == "ok"
    out, other = told["devices"]
    assert (out["state"], out["why"]) == ("out of service", f"a CUDA error: {BROKEN}")
    assert other["state"] == "free"
    lines = [each.getMessage() for each in caplog.records if each.name == "bwcache.devices"]
    (line,) = [json.loads(each) for each in lines if each.startswith("{")]
    assert (line["device"], line["state"]) == ("cpu:0", "out of service")
    assert line["in_service"] == ["cpu:1"]
    (ended,) = [each for each in caplog.records if each.name == "bwcache.runs"]
    assert json.loads(ended.getMessage())["device"] == "cpu:0"
    assert 'bwcache_device_in_service{device="cpu:0"} 0' in page.service.metrics()
    for _ in range(2):  # one after the other: one device is left
        again, updates = ask(page, "a")
        list(updates)
        assert (again.state, again.device) == ("done", "cpu:1")


def test_when_none_is_left_the_page_says_so(page):
    page.backend.broken = dict.fromkeys(TWO, RuntimeError(BROKEN))
    first, second = ask(page, "a"), ask(page, "b")
    third = ask(page, "c")
    assert third[0].place.number == 1
    page.backend.go.set()
    said = []
    for _, updates in (first, second, third):
        with pytest.raises(gr.Error) as caught:
            list(updates)
        said.append(caught.value.message)
    assert sorted(said[:2]) == sorted([FAILED, NONE_LEFT])
    assert said[2] == NONE_LEFT
    assert page.service.health()["status"] == "out of service"
    for language in ("en", "de"):
        text = CATALOGUE.say(language)("page.no_device")
        with pytest.raises(gr.Error) as caught:
            page.handlers.enter(given(), language, "d")
        assert caught.value.message == text
    with pytest.raises(DeviceError, match="All devices"):
        next(page.api(Request(PROMPT, steps=4)))
    client = TestClient(Limits(None, page.service))
    assert client.get("/health").status_code == 503


def test_a_page_that_is_loaded_with_no_device_left_says_so():
    served = build(FakeBackend(), Host(devices=TWO))
    (shown,) = [
        fn.fn for fn in served.fns.values() if fn.name == "on_load" and len(fn.outputs) == 1
    ]
    texts = [CATALOGUE.say(language)("page.no_device") for language in ("en", "de")]
    assert not any(text in shown("tinyworld") for text in texts)
    for name in TWO:
        served.service.devices.take_out(name, "by hand")
    assert all(text in shown("tinyworld") for text in texts)


@pytest.mark.parametrize(
    ("error", "times", "out"),
    [
        (lambda: RuntimeError(BROKEN), 1, True),
        (lambda: torch.OutOfMemoryError("CUDA out of memory"), 1, False),
        (lambda: torch.OutOfMemoryError("CUDA out of memory"), 2, True),
        (lambda: ValueError("a bug in a step"), 3, False),
    ],
)
def test_what_takes_a_device_out(error, times, out):
    devices = Devices(TWO)
    for _ in range(times):
        backend = FakeBackend(fail_at=1, error=error)
        with pytest.raises(Exception, match=r".") as caught:
            list(devices.watched(backend)(Request(PROMPT, steps=4), None, "cpu:1"))
    assert isinstance(caught.value, DeviceError) is out
    assert len(devices) == (1 if out else 2)


def test_memory_that_runs_out_once_in_a_while_is_forgiven():
    devices, request = Devices(TWO), Request(PROMPT, steps=4)
    for _ in range(3):
        failing = FakeBackend(fail_at=1, error=lambda: torch.OutOfMemoryError("out of memory"))
        with pytest.raises(torch.OutOfMemoryError):
            list(devices.watched(failing)(request, None, "cpu:1"))
        list(devices.watched(FakeBackend())(request, None, "cpu:1"))
    assert len(devices) == 2


@pytest.mark.parametrize(
    ("error", "out"),
    [
        (RuntimeError("no kernel image is available"), True),
        (ModelError("model: its weights were damaged"), False),
        (OSError(28, "No space left on device"), False),
        (ConfigError("prompt", "x", "y"), False),
    ],
)
def test_a_device_on_which_nothing_loads_is_out_but_not_for_damaged_weights(
    loaded, monkeypatch, error, out
):
    def fail(*of):
        raise error

    monkeypatch.setattr(loading, "build", fail)
    devices = Devices(TWO)
    with pytest.raises(DeviceError if out else type(error)):
        list(devices.watched(compare)(Request(PROMPT, steps=4), None, "cpu:0"))
    assert len(devices) == (1 if out else 2)


def test_programs_and_visitors_share_one_queue(monkeypatch):
    """Through Gradio: two callers of the API are inside at once, each on a device of its own."""
    from bwcache.ui import api

    for module in (api, events):
        monkeypatch.setattr(module, "save", small_files)
    backend = Meeting()
    served = build(backend, Host(devices=TWO))
    assert served._queue.default_concurrency_limit == 2
    _, address, _ = launch(served, prevent_thread_lock=True, quiet=True)
    try:
        clients = [Client(address, verbose=False) for _ in range(3)]
        jobs = [
            client.submit(PROMPT, steps=4, seed=at, api_name="/compare")
            for at, client in enumerate(clients)
        ]
        assert wait_for(lambda: sorted(backend.working) == list(TWO))
        backend.go.set()
        found = [job.result(PATIENCE) for job in jobs]
        assert [each["summary"]["seed"] for each in found] == [0, 1, 2]
    finally:
        backend.go.set()
        served.close(verbose=False)


def test_with_one_device_all_is_as_before():
    served = build(FakeBackend(), Host())
    told = served.service.health()
    assert told == {"status": "ok", "running": 0, "waiting": 0}
    assert served.service.devices is None
    assert "device" not in served.service.metrics()
    line = Line()
    turn = line.join()
    assert turn.wait(0)
    assert turn.device is None


# -- the setting -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("cpu", ("cpu",)),
        ("cpu,cpu", TWO),
        ("cpu , cpu,cpu", (*TWO, "cpu:2")),
        ("cuda:1", ("cuda:1",)),
        ("cuda:0,cuda:1", ("cuda:0", "cuda:1")),
    ],
)
def test_devices_are_read(text, names):
    assert read_devices(text) == names
    assert Settings.from_env({"BWCACHE_DEVICES": text}).devices == names


BAD = [
    *("", " ", ",", "cpu,", "gpu", "cuda:0,cuda:0", "cuda,cuda:0", "cuda,cuda", "cuda:-1", "cpu:0"),
    *("cuda:0;cuda:1", "cuda:٣", "cpu,cuda:0", "CPU", "cuda:01", ",".join(["cpu"] * 65)),
]


@pytest.fixture
def launched(monkeypatch):
    calls = []
    monkeypatch.setattr(app, "demo", None)
    monkeypatch.setattr(app, "launch", lambda *given, **options: calls.append(given))
    monkeypatch.delenv("BWCACHE_DEVICES", raising=False)
    yield calls
    replicas.forget()


def refused(capsys, options: list[str]) -> str:
    with pytest.raises(SystemExit) as stop:
        app.main(options)
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


@pytest.mark.parametrize("text", BAD)
def test_bad_devices_are_one_line(text, launched, capsys):
    assert refused(capsys, ["--devices", text]).startswith("app.py: --devices: got ")
    assert not launched


@pytest.mark.parametrize("text", [text for text in BAD if text.strip()])
def test_bad_devices_of_the_environment_are_one_line(text, launched, monkeypatch, capsys):
    monkeypatch.setenv("BWCACHE_DEVICES", text)
    assert refused(capsys, []).startswith("app.py: BWCACHE_DEVICES: got ")
    assert not launched


def test_a_device_that_is_not_there_is_one_line(launched, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    error = refused(capsys, ["--devices", "cuda:0,cuda:1"])
    assert error.startswith("app.py: --devices: got 'cuda:0'; allowed is what this machine has")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert "got 'cuda:1'" in refused(capsys, ["--devices", "cuda:0,cuda:1"])


def test_zerogpu_lends_its_own(launched, monkeypatch, capsys):
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    error = refused(capsys, ["--devices", "cpu,cpu"])
    assert "ZeroGPU, which lends a card for each run" in error


def test_the_page_is_served_from_those_that_are_asked_for(launched, monkeypatch):
    monkeypatch.setenv("BWCACHE_DEVICES", "cpu,cpu,cpu")
    app.main([])
    assert len(launched[-1][0].service.devices) == 3
    app.main(["--devices", "cpu,cpu"])
    page = launched[-1][0]
    assert [each["device"] for each in page.service.health()["devices"]] == list(TWO)
    assert page._queue.default_concurrency_limit == 2
    assert replicas.apart()
    app.main(["--devices", "cpu"])
    assert launched[-1][0].service.devices is None
