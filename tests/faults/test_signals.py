"""Signals end the server within five seconds; settings that it cannot start with are one line."""

import json
import signal
import subprocess
import sys
from types import SimpleNamespace

import httpx
import pytest
from gradio_client import Client

import app
from bwcache.ui.serve import CLOSING_SECONDS
from bwcache.ui.service import GRACE
from tests.faults.servers import ROOT, Server, unused_port
from tests.reliability import amount
from tests.ui.serving import wait_for

pytestmark = pytest.mark.faults
PROMPT = "a red circle moving right on a white background"
TIMES = amount(short=1, full=5)
unused_port = unused_port  # a fixture


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
