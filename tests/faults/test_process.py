"""After any error of a worker the server answers; its service keeps limits and deletes."""

import asyncio
import json
import threading
import time

import pytest

from bwcache.errors import MachineError, ModelError
from bwcache.runs import race as racing
from bwcache.runs.consume import for_visitors, told
from bwcache.runs.request import Request
from bwcache.space.host_settings import Settings
from bwcache.testing import FakeBackend
from bwcache.ui import Host
from bwcache.ui.handlers import Handlers
from bwcache.ui.line import Line, in_line
from bwcache.ui.results import Result, Results
from bwcache.ui.run_log import RunLog
from bwcache.ui.service import Service
from bwcache.ui.sessions import Visitors
from tests.ui.serving import wait_for

pytestmark = pytest.mark.faults
PROMPT = "a red circle moving right on a white background"

# -- errors of every class ------------------------------------------------------------------------


class Odd(BaseException):
    def __str__(self):
        raise RuntimeError("even this fails")


ERRORS = [
    RuntimeError("x /secret/folder/file"),
    SystemExit(3),
    KeyboardInterrupt(),
    GeneratorExit(),
    StopIteration(),
    asyncio.CancelledError(),
    MemoryError(),
    RecursionError(),
    OSError(28, "No space left on device", "/secret/folder/file"),
    OSError(24, "Too many open files"),
    Odd(),
    AssertionError(),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
    TimeoutError(),
]


def finish(handlers: Handlers, asked: str) -> list:
    rows = []
    try:
        for update in handlers.run(asked, "s", "en"):
            rows += update[0] if isinstance(update[0], list) else []
    except Exception as error:
        rows.append({"k": "raised", "text": str(error)})
    return rows


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_workers_error_is_told_and_the_next_run_works(error, tmp_path):
    from bwcache.ui.events import comparison_job

    backend = FakeBackend(fail_at=1, error=lambda: error)
    job = comparison_job(backend, Host(), lambda path: str(path))
    handlers = Handlers(job, Visitors(), Results(Line()))
    given = {"prompt": PROMPT, "steps": 4, "model": "tinyworld"}
    asked, *_ = handlers.enter(given, "en", "s")
    said = finish(handlers, asked)
    text = str(said[-1])
    assert said[-1]["k"] == "raised"
    assert "/secret" not in text
    assert "Traceback" not in text
    backend.fail_at = None
    again, *_ = handlers.enter(given, "en", "s")
    assert "done" in [row["k"] for row in finish(handlers, again)]
    assert handlers.results.line.running == handlers.results.line.waiting == 0


def test_a_thread_that_cannot_be_had_is_said_and_nobody_waits_for_it(monkeypatch):
    line = Line()
    result = Result(None)

    def none(self):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", none)
        result.start(lambda: iter(()), line)
    assert result.state == "error"
    assert line.running == 0
    assert told(RuntimeError("can't start new thread")) == (
        "Not done: the machine is too busy. Please try again later."
    )


def test_a_races_threads_that_cannot_be_had(monkeypatch, small_model):
    """The second of two does not start: the first ends, and the pipeline is as it was."""
    from bwcache.runs.compare import compare

    start, calls = threading.Thread.start, []

    def failing(self):
        if self.name == "bwcache-cached":
            calls.append(1)
            raise RuntimeError("can't start new thread")
        start(self)

    request = Request(PROMPT, steps=4)
    with monkeypatch.context() as patched:
        patched.setattr(racing.threading.Thread, "start", failing)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            list(compare(request, device="cpu"))
    assert calls
    *_, last = compare(request, device="cpu")
    assert last.summary.steps == 4


# -- the service ----------------------------------------------------------------------------------


def service(**settings) -> Service:
    return Service(Settings(**settings), Line(), Visitors(), RunLog())


def test_a_run_that_takes_too_long_ends_at_its_next_step(monkeypatch):
    mine, clock = service(max_seconds=10), iter([0.0, 1.0, 2.0, 11.0, 12.0, 13.0])
    monkeypatch.setattr("bwcache.ui.service.time.monotonic", lambda: next(clock))
    backend = FakeBackend()
    with pytest.raises(MachineError, match="took longer than is allowed here"):
        list(mine.bounded(backend)(Request(PROMPT, steps=4)))
    assert backend.closed == 1


def test_a_stopped_service_refuses_and_tells_those_who_wait():
    mine = service()
    results = Results(mine.line)
    mine.results.append(results)
    turn = mine.line.join()
    assert turn.wait(0)
    waiting = results.open(None)
    waiting.start(lambda: iter(()), mine.line)
    running = mine.bounded(FakeBackend())(Request(PROMPT, steps=4))
    next(running)
    mine.stop(30)
    with pytest.raises(MachineError, match="being stopped"):
        next(running)
    assert wait_for(lambda: waiting.is_over)
    assert waiting.state == "stopped"
    assert mine.health()["status"] == "stopping"
    with pytest.raises(MachineError, match="being stopped"):
        next(in_line(FakeBackend(), mine.line)(Request(PROMPT, steps=4)))


def test_a_full_line_sends_callers_of_the_api_away():
    line = Line(most=1)
    line.join(), line.join()
    with pytest.raises(MachineError, match="too many are waiting"):
        next(in_line(FakeBackend(), line)(Request(PROMPT, steps=4)))


def test_a_visits_data_is_deleted_after_the_stated_time():
    now = [0.0]
    visitors, results = Visitors(clock=lambda: now[0]), Results(clock=lambda: now[0])
    visitors.store("a")
    result = results.open(None)
    result.start(lambda: iter(()), results.line)
    assert wait_for(lambda: result.is_over)
    never_started = results.open(None)
    now[0] = 3599.0
    visitors.tidy(), results.tidy()
    assert (len(visitors), len(results)) == (1, 2)
    now[0] = 3600.0
    visitors.tidy(), results.tidy()
    assert (len(visitors), len(results)) == (0, 0)
    assert results.get(never_started.id) is None


def test_what_cannot_be_deleted_once_is_deleted_later(monkeypatch):
    monkeypatch.setattr("bwcache.ui.service.TIDY_SECONDS", 0.01)
    made = service()
    tried, deleted = [], threading.Event()

    def tidy():
        tried.append(1)
        if len(tried) == 1:
            raise PermissionError("in use")
        deleted.set()

    monkeypatch.setattr(made, "tidy", tidy)
    made.keep_tidy()
    try:
        assert deleted.wait(60)
    finally:
        made.stop(0)


def test_no_clock_that_is_set_anew_matters(monkeypatch):
    """The machine's date jumps; a run, its place in line and its deletion know nothing of dates."""
    monkeypatch.setattr(time, "time", lambda: -(10.0**9))
    results = Results()
    result = results.open(None)
    result.start(lambda: iter([{"k": "begin"}]), results.line)
    assert wait_for(lambda: result.is_over)
    monkeypatch.setattr(time, "time", lambda: 10.0**11)
    results.tidy()
    assert results.get(result.id) is result


def test_a_line_of_the_log_for_each_run(caplog):
    caplog.set_level("INFO", logger="bwcache.runs")
    for prompts in (False, True):
        RunLog(prompts).ended("ab", Request(PROMPT, steps=4), "error", 1.5, 2.25, "no \x1b[31m")
    first, second = (json.loads(record.getMessage()) for record in caplog.records)
    assert first["state"] == "error"
    assert first["model"] == "tinyworld"
    assert (first["waited_seconds"], first["seconds"]) == (1.5, 2.25)
    assert "\x1b" not in first["problem"]
    assert PROMPT not in str(first)
    assert first["prompt_characters"] == len(PROMPT)
    assert second["prompt"] == PROMPT


# -- what visitors read ---------------------------------------------------------------------------

HOSTS_ADVICE = {
    "model: X could not be loaded ([Errno 2] No such file: '/home/me/.cache/hub/x'); delete "
    "/home/me/.cache/hub so that it is fetched anew, or use tinyworld": "a folder of this server",
    "model: X: the disk is full; free some or set HF_HOME to another disk, or use tinyworld": (
        "the disk is full"
    ),
    "model: X: HF_HUB_OFFLINE forbids asking it; unset it, or use tinyworld": "setting of this",
    "model: X needs a CUDA GPU; use tinyworld on this machine": "needs a CUDA GPU",
    "model: /srv/app/assets/tinyworld/vae/x is missing; pip install it": "a folder of this server",
}


@pytest.mark.parametrize("text", HOSTS_ADVICE)
def test_a_visitor_reads_no_path_and_no_advice_for_the_host(text):
    said = told(ModelError(text))
    assert HOSTS_ADVICE[text] in said
    for word in ("/home", "/srv", "HF_", "delete", "pip", "free some", "unset"):
        assert word not in said
    assert ("use tinyworld" in text) == ("tinyworld" in said)
    assert for_visitors("model: X: see https://huggingface.co/a/b") == (
        "model: X: see https://huggingface.co/a/b"
    )
