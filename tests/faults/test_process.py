"""Signals end the server within five seconds; after any error of a worker it answers."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from gradio_client import Client

import app
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
from bwcache.ui.serve import CLOSING_SECONDS
from bwcache.ui.service import GRACE, Service
from bwcache.ui.sessions import Visitors
from tests.reliability import amount
from tests.ui.serving import wait_for

pytestmark = pytest.mark.faults
ROOT = Path(__file__).parents[2]
PROMPT = "a red circle moving right on a white background"
TIMES = amount(short=1, full=5)
# app.py as it is, around the fake: a run of so many seconds
PROGRAM = """
import os, runpy, sys
import bwcache.runs.compare as compare
from bwcache.testing import FakeBackend
compare.make_comparison = FakeBackend(pause={pause})._compare
sys.argv = ["app.py", "--port", {port!r}]
runpy.run_path({app!r}, run_name="__main__")
"""


class Server:
    """app.py in a process of its own."""

    def __init__(self, port: int, pause: float = 0.0, **variables: str):
        program = PROGRAM.format(pause=pause, port=str(port), app=str(ROOT / "app.py"))
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
        self.address = f"http://127.0.0.1:{port}/"
        self.process = subprocess.Popen(
            [sys.executable, "-c", program],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def is_up(self) -> bool:
        if self.process.poll() is not None:
            return True  # the test finds out why
        try:
            return httpx.get(f"{self.address}health", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def end(self, number: int) -> tuple[int, str, str, float]:
        """Exit status, what was printed, and the seconds it took."""
        started = time.monotonic()
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err, time.monotonic() - started


@pytest.fixture
def serve(unused_port):
    started = []

    def start(**given) -> Server:
        started.append(Server(unused_port, **given))
        assert any(wait_for(started[-1].is_up) for _ in range(5))  # importing takes long under load
        assert started[-1].process.poll() is None, started[-1].process.communicate()
        return started[-1]

    yield start
    for server in started:
        if server.process.poll() is None:
            server.process.kill()
            server.process.communicate()


@pytest.fixture
def unused_port() -> int:
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.mark.slow
@pytest.mark.parametrize("attempt", range(TIMES))
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_an_idle_server(number, attempt, serve, tried, ended):
    tried("servers stopped by Ctrl+C and SIGTERM, idle and in a run", 1, 0)
    status, out, err, seconds = serve().end(number)
    assert status == 0, err
    assert out.endswith("app.py: stopped\n")
    assert "Traceback" not in err
    ended(seconds)


@pytest.mark.slow
@pytest.mark.parametrize("attempt", range(TIMES))
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_a_run_ends_it_and_tells_the_caller(number, attempt, serve, tried, ended):
    tried("servers stopped by Ctrl+C and SIGTERM, idle and in a run", 1, 0)
    server = serve(pause=1.0)
    job = Client(server.address, verbose=False).submit(PROMPT, steps=100, api_name="/compare")
    assert wait_for(lambda: httpx.get(f"{server.address}health").json()["running"] == 1)
    status, _, err, seconds = server.end(number)
    assert status == 0, err
    assert "Traceback" not in err
    assert job.exception(timeout=60) is not None
    ended(seconds)


class Ended(BaseException):
    """In place of the process's end."""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_end_that_hangs_is_cut_off_by_a_timer(number, monkeypatch):
    """Set before anything that may hang, to less than five seconds; no clock is waited for."""
    handlers, timers, told = {}, [], []

    class Timer:
        def __init__(self, seconds, function, given):
            self.seconds, self.function, self.given = seconds, function, given

        def start(self):
            timers.append(self)

    def main(_):
        monkeypatch.setattr(app, "demo", SimpleNamespace(is_running=True))
        handlers[number](number, None)

    def hanging(page, wait):
        (timer,) = timers
        assert wait()  # the signal has been heard
        assert timer.daemon
        told.append(timer.seconds)
        timer.function(*timer.given)

    def end(status):
        raise Ended(status)

    monkeypatch.setattr(app.signal, "signal", handlers.__setitem__)
    monkeypatch.setattr(app.threading, "Timer", Timer)
    monkeypatch.setattr(app.os, "_exit", end)
    monkeypatch.setattr(app, "main", main)
    monkeypatch.setattr(app, "serve_until_stopped", hanging)
    with pytest.raises(Ended, match="^0$"):
        app.serve([])
    assert told == [app.LONGEST_END]
    assert GRACE + CLOSING_SECONDS < app.LONGEST_END < 5  # who does not hang gets to the end
    with pytest.raises(Ended, match="^130$"):  # asked for once more
        handlers[number](number, None)


BAD = {
    "BWCACHE_MODELS": "sora",
    "BWCACHE_MAX_SECONDS": "soon",
    "BWCACHE_MAX_REQUESTS": "0",
    "BWCACHE_QUEUE_SIZE": "1e400",
    "BWCACHE_RUNS": "/dev/null",
    "BWCACHE_METRICS": "perhaps",
    "BWCACHE_LOG_PROMPTS": "\x1b[31m",
    "BWCACHE_MAX_STEPS": "9" * 5000,
    "IMAGEIO_FFMPEG_EXE": "/nowhere/ffmpeg",
    "GRADIO_SERVER_PORT": "99999999",
    "GRADIO_SERVER_NAME": "no such host",
}


@pytest.mark.slow
def test_bad_start_settings_are_one_line_each(tmp_path):
    """In one process, since importing all of it takes longer than refusing."""
    program = tmp_path / "program.py"
    program.write_text(
        "import contextlib, io, json, os, sys\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "import app\nfound = {}\n"
        f"for name, value in {BAD!r}.items():\n"
        "    os.environ[name] = value\n"
        "    said = io.StringIO()\n"
        "    try:\n"
        "        out = contextlib.redirect_stdout(io.StringIO())\n"
        "        with contextlib.redirect_stderr(said), out:\n"
        "            app.main([])\n"
        "        found[name] = [None, 'served']\n"
        "    except SystemExit as end:\n"
        "        found[name] = [end.code, said.getvalue()]\n"
        "    except BaseException as error:\n"
        "        found[name] = ['raised', repr(error)]\n"
        "    del os.environ[name]\n"
        "print(json.dumps(found)); sys.stdout.flush(); os._exit(0)\n"
    )
    done = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, check=False
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert set(found) == set(BAD)
    for name, (status, said) in found.items():
        assert status in (1, 2), (name, said)
        lines = [line for line in said.splitlines() if line.startswith("app.py:")]
        assert len(lines) == 1, (name, said)
        assert len(lines[0]) < 400
        assert "Traceback" not in said


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
