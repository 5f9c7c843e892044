"""What a visitor's run has shown is kept: for a reload, a cut connection, a link; and the line."""

import threading

import pytest

from bwcache.runs.request import Request
from bwcache.testing import FakeBackend
from bwcache.ui.events import comparison_job
from bwcache.ui.handlers import Handlers
from bwcache.ui.host import Host
from bwcache.ui.languages import CATALOGUE
from bwcache.ui.line import Line, Place, in_line
from bwcache.ui.results import ALONE_SECONDS, KEPT_SECONDS, Results
from bwcache.ui.sessions import Visitors
from tests.ui.given import given
from tests.ui.serving import wait_for

SAYS = CATALOGUE.say("en")


class Clock:
    """Stands still until it is set."""

    def __init__(self):
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Gate(FakeBackend):
    """Makes a step whenever it is let."""

    def __init__(self):
        super().__init__()
        self.steps = threading.Semaphore(0)

    def __call__(self, request, store=None, device=None):
        events = super().__call__(request, store, device)
        try:
            for event in events:
                self.steps.acquire()
                yield event
        finally:
            events.close()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def backend():
    return Gate()


@pytest.fixture
def handlers(backend, clock, tmp_path):
    def publish(path):
        return str(path.replace(tmp_path / path.name))

    job = comparison_job(backend, Host(), publish)
    return Handlers(job, Visitors(), Results(Line(clock=clock), clock))


def enter(handlers, session="a") -> str:
    return handlers.enter(given(), "en", session)[0]


def last(updates) -> list[dict]:
    return [update[0] for update in updates if isinstance(update[0], list)][-1]


def test_whoever_comes_back_finds_all_rows_and_the_run_goes_on(handlers, backend):
    asked = enter(handlers)
    run = handlers.run(asked, "a", "en")
    backend.steps.release(3)
    while len(next(run)[0]) < 3:
        pass
    run.close()  # as a reload does
    backend.steps.release(1000)
    assert wait_for(lambda: handlers.results.get(asked).is_over)
    rows = last(handlers.run(asked, "b", "en"))
    assert (rows[0]["k"], rows[0]["id"], rows[-1]["k"]) == ("begin", asked, "done")
    assert len(backend.requests) == 1
    assert not backend.closed


def test_a_run_that_nobody_comes_back_to_is_cut_and_says_so(handlers, backend, clock):
    asked = enter(handlers)
    run = handlers.run(asked, "a", "en")
    backend.steps.release(3)
    while len(next(run)[0]) < 3:
        pass
    run.close()
    clock.now += ALONE_SECONDS
    backend.steps.release(2)
    assert wait_for(lambda: handlers.results.get(asked).state == "cut")
    rows = last(handlers.run(asked, "a", "en"))
    assert rows[-1] == {"k": "stopped", "text": SAYS("page.cut")}
    assert rows[0]["k"] == "begin"
    assert wait_for(lambda: backend.closed == 1)


def test_stop_means_what_the_visitor_looks_at(handlers, backend):
    asked = enter(handlers)
    run = handlers.run(asked, "a", "en")
    backend.steps.release(2)
    next(run)
    handlers.stop("en", "b")
    assert not handlers.results.get(asked).is_over
    handlers.stop("en", "a")
    backend.steps.release(2)
    assert wait_for(lambda: handlers.results.get(asked).state == "stopped")
    assert last(run)[-1]["text"] == SAYS("page.stopped")


def test_a_result_is_kept_for_as_long_as_is_said(handlers, backend, clock):
    backend.steps.release(1000)
    asked = enter(handlers)
    list(handlers.run(asked, "a", "en"))
    clock.now += KEPT_SECONDS - 1
    assert last(handlers.run(asked, "b", "en"))[-1]["k"] == "done"
    clock.now += 1
    for name in (asked, "unknown", "../../x"):
        (row,) = last(handlers.run(name, "b", "en"))
        assert row == {"k": "stopped", "text": SAYS("page.gone", minutes=60)}


def test_who_waits_is_told_the_place_and_the_time(handlers, backend, clock):
    backend.steps.release(1000)
    list(handlers.run(enter(handlers), "a", "en"))
    handlers.results.line._lasted = dict.fromkeys(handlers.results.line._lasted, 40.0)
    backend.steps = threading.Semaphore(0)
    first, second = enter(handlers), enter(handlers, "b")
    running, waiting = handlers.run(first, "a", "en"), handlers.run(second, "b", "en")
    backend.steps.release(1)
    next(running)
    assert wait_for(lambda: handlers.results.get(first).rows)
    ((row,), *_) = next(waiting)
    assert row["text"].startswith("Waiting for the model: number 1 in line. About 40 s")
    assert row["id"] == second
    backend.steps.release(1000)
    assert last(running)[-1]["k"] == "done"
    assert last(waiting)[-1]["k"] == "done"


def test_whoever_came_first_goes_first(clock):
    line = Line(1, most=1, clock=clock)
    turns = [line.join("x") for _ in range(3)]
    assert [turn.place for turn in turns] == [Place(0), Place(1), Place(2)]
    assert line.is_full
    clock.now = 8.0
    turns[0].leave(complete=True)
    assert [turn.place for turn in turns[1:]] == [Place(0), Place(1, 8.0)]
    clock.now = 11.0
    assert turns[2].place == Place(1, 5.0)
    turns[1].leave()
    turns[2].leave()
    assert not line.is_full


def test_programs_stand_in_the_same_line(clock):
    line = Line(clock=clock)
    events = in_line(FakeBackend(), line)(Request("a red circle", steps=4))
    next(events)
    assert line.join().place.number == 1
    events.close()
    assert line._turns[0].place.number == 0
