"""Many visitors at once: each gets their own result or a refusal, and nothing grows."""

import csv
import os
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gradio as gr
import httpx
import psutil
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from bwcache.runs.request import Request
from bwcache.testing import FakeBackend
from bwcache.ui import Host, api, events
from bwcache.ui.handlers import Handlers
from bwcache.ui.line import Line
from bwcache.ui.results import Results
from bwcache.ui.sessions import Visitors
from tests.reliability import amount, small_files
from tests.ui.given import given
from tests.ui.serving import serving, wait_for

pytestmark = pytest.mark.load
ROOT = Path(__file__).parents[2]
LOCUSTFILE = ROOT / "tests" / "load" / "locustfile.py"
PREDICTED = "/gradio_api/call/v2/predict/[id]"  # how it calls the answers
VISITORS = amount(short=12, full=50)
VISITS = amount(short=6, full=40)  # of each that locust makes
RUNS = amount(short=30, full=200)
WARM_UP = amount(short=10, full=50)
MIB = 2**20
GROWTH = 24 * MIB  # of a process of some 700 MB: what an allocator keeps


@pytest.fixture(scope="module")
def served():
    with pytest.MonkeyPatch.context() as patched:
        for module in (api, events):
            patched.setattr(module, "save", small_files)
        with serving(FakeBackend(pause=0.002)) as found:
            yield found


def test_every_visitor_gets_their_own(served, tried):
    """Each client asks once for a prompt and a seed of its own, all of them at once."""
    colours = ("red", "green", "blue", "yellow")
    ready = threading.Barrier(VISITORS)
    clients = [Client(served.address, verbose=False) for _ in range(VISITORS)]

    def visit(number: int) -> str:
        prompt = f"a {colours[number % 4]} circle moving right on a white background"
        ready.wait()
        try:
            found = clients[number].predict(
                prompt, steps=5 + number, seed=number, api_name="/compare"
            )
        except AppError as error:
            return "refused" if "waiting" in str(error) else f"lost: {error}"
        mine = found["summary"]
        asked = (prompt, 5 + number, number)
        right = (mine["prompt"], mine["steps"], mine["seed"]) == asked
        return "served" if right else f"lost: {asked} got {mine['prompt']}"

    with ThreadPoolExecutor(VISITORS) as pool:
        said = list(pool.map(visit, range(VISITORS)))
    counts = Counter(each.partition(":")[0] for each in said)
    tried("visitors at once through gradio_client", VISITORS, counts["lost"])
    assert counts["lost"] == 0, said
    assert counts["served"] == VISITORS


def test_locusts_visitors_are_answered(served, tried, tmp_path):
    """Pages, their files, predictions and `/health`: all that does not take the model's place."""
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless"]
    command += ["--host", served.address.rstrip("/"), "-u", str(VISITORS), "-r", str(VISITORS)]
    done = subprocess.run(
        [*command, "--csv", str(tmp_path / "found")],
        env={**os.environ, "PYTHONPATH": str(ROOT), "BWCACHE_VISITS": str(VISITS)},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert (tmp_path / "found_stats.csv").exists(), done.stderr[-3000:]
    with (tmp_path / "found_stats.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["Name"]: row for row in csv.DictReader(file)}
    total = rows["Aggregated"]
    requests, failed = int(total["Request Count"]), int(total["Failure Count"])
    tried("requests of locust's visitors answered", requests, failed)
    assert (done.returncode, failed) == (0, 0), done.stderr[-3000:] + done.stdout[-3000:]
    assert requests >= VISITORS * VISITS
    assert int(rows[PREDICTED]["Request Count"]) > 0
    assert httpx.get(f"{served.address}health").json()["status"] == "ok"


def test_who_does_not_fit_is_sent_away_and_who_waits_knows_their_place(tried):
    """One place, so many may wait; the fake goes on when it is told to."""
    go, most = threading.Event(), 5

    def slow(request, store=None, device=None):
        go.wait(300)
        yield from FakeBackend()(request, store, device)

    line = Line(most=most)
    job = events.comparison_job(slow, Host(), str)
    handlers = Handlers(job, Visitors(), Results(line))
    places, refused, followers = [], 0, []
    for number in range(VISITORS):
        try:
            asked, *_ = handlers.enter(given(steps=4), "en", f"s{number}")
        except gr.Error as error:
            refused += "Too many people are waiting" in str(error)
            continue
        updates = handlers.run(asked, f"s{number}", "en")
        next(updates)
        result = handlers.results.get(asked)
        assert wait_for(lambda result=result: result.state in ("waiting", "running"))
        places.append(result.place.number)
        followers.append((asked, updates))
    assert refused == VISITORS - most - 1
    assert sorted(places) == list(range(most + 1))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(events, "save", small_files)
        go.set()
        for asked, updates in followers:
            for _ in updates:
                pass
            assert handlers.results.get(asked).state == "done"
    tried("visitors of a line that is full: served, or sent away at once", VISITORS, 0)
    assert (line.running, line.waiting) == (0, 0)


def test_nothing_grows(tried, tmp_path):
    """Memory, files and threads after a warm-up, over runs of as many visitors."""
    process = psutil.Process()
    line, visitors = Line(), Visitors()
    clock = [0.0]
    results = Results(line, clock=lambda: clock[0])
    job = events.comparison_job(FakeBackend(), Host(), str)
    handlers = Handlers(job, visitors, results)

    def state() -> tuple[int, int, int]:
        files = process.num_handles() if os.name == "nt" else process.num_fds()
        return process.memory_info().rss, files, threading.active_count()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tempfile, "tempdir", str(tmp_path))
        patched.setattr(events, "save", small_files)
        for number in range(WARM_UP + RUNS):
            if number == WARM_UP:
                before = state()
            session = f"s{number}"
            asked, *_ = handlers.enter(given(steps=8, seed=number), "en", session)
            for _ in handlers.run(asked, session, "en"):
                pass
            assert results.get(asked).state == "done"
            visitors.forget(session)
            results.forget(session)
            clock[0] += 400.0  # an hour holds nine of them
        assert wait_for(lambda: state()[2] <= before[2])
    after = state()
    grown = [after[0] - before[0] > GROWTH, after[1] > before[1] + 2, after[2] > before[2]]
    tried(
        "runs after which nothing has grown",
        RUNS,
        sum(grown),
    )
    assert not any(grown), (before, after)
    assert len(results) <= 10
    assert len(visitors) == 0
    assert list(tmp_path.iterdir()) == []


def test_stop_and_a_vanished_client_at_every_step(tried):
    """Whichever of a run's rows is the last that is heard: the line is free afterwards."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(events, "save", small_files)
        total = len(list(FakeBackend()(Request(given()["prompt"], steps=4))))
        lost = 0
        for stop_at in range(1, total):
            for stops in (True, False):
                backend = FakeBackend()
                results = Results(Line())
                handlers = Handlers(
                    events.comparison_job(backend, Host(), str), Visitors(), results
                )
                asked, *_ = handlers.enter(given(steps=4), "en", "s")
                updates = handlers.run(asked, "s", "en")
                for _ in range(stop_at):
                    if next(updates, None) is None:
                        break
                if stops:
                    handlers.stop("en", "s")
                updates.close()
                result = results.get(asked)
                if not stops:
                    result.stop()  # as after the minute that a page may take to come back
                over = wait_for(lambda result=result: result.is_over)
                lost += not (over and results.line.running == 0)
    tried("Stop, and a client that vanishes, at every step", 2 * (total - 1), lost)
    assert lost == 0
