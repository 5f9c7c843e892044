"""Too many requests, too large ones, too many wrong passwords: a line; what the host sees."""

import httpx
import pytest
from starlette.testclient import TestClient

from bwcache.space.host_settings import Settings
from bwcache.testing import FakeBackend
from bwcache.ui import Host, build
from bwcache.ui.limits import BODY_BYTES, Limits
from bwcache.ui.line import Line
from bwcache.ui.run_log import RunLog
from bwcache.ui.serve import launch
from bwcache.ui.service import Service
from bwcache.ui.sessions import Visitors

pytestmark = pytest.mark.faults


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def page(scope, receive, send):
    """What stands behind the limits: reads a body to its end, and lets one password in."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body, more = body + message.get("body", b""), message.get("more_body", False)
    status = 400 if scope["path"] == "/login" and b"right" not in body else 200
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": str(len(body)).encode()})


@pytest.fixture
def limited():
    """A client of a page behind the limits, its clock, and its service."""

    def make(**settings):
        clock = Clock()
        service = Service(Settings(**settings), Line(), Visitors(), RunLog())
        return TestClient(Limits(page, service, clock)), clock, service

    return make


def test_requests_a_minute(limited):
    client, clock, service = limited(max_requests=10)
    assert [client.post("/x").status_code for _ in range(12)] == [200] * 10 + [429] * 2
    answer = client.post("/x")
    assert answer.headers["retry-after"] == "60"
    assert answer.json() == {"detail": "Too many requests; please wait a minute."}
    assert client.get("/x").status_code == 200  # a page's own files are not counted
    assert client.get("/health").status_code == 200
    clock.now = 60.0
    assert client.post("/x").status_code == 200
    assert service.run_log.counted()["refused_total", '{why="rate"}'] == 3


def test_wrong_passwords(limited):
    client, clock, _ = limited()
    wrong = [client.post("/login", content=b"wrong").status_code for _ in range(7)]
    assert wrong == [400] * 5 + [429] * 2
    assert client.post("/login", content=b"right").status_code == 429
    clock.now = 60.0
    assert client.post("/login", content=b"right").status_code == 200
    assert [client.post("/login", content=b"right").status_code for _ in range(9)] == [200] * 9


@pytest.mark.parametrize("told", [True, False])
def test_a_body_that_is_too_large(told, limited):
    client, _, service = limited()
    part = bytes(2**20)
    parts = -(-(BODY_BYTES + 1) // len(part))
    body = part * parts if told else (part for _ in range(parts))
    answer = client.post("/x", content=body)
    assert answer.status_code == 413
    assert answer.json()["detail"].startswith("Too large: at most 16 MB")
    assert service.run_log.counted()["refused_total", '{why="size"}'] == 1
    assert client.post("/x", content=part).text == str(len(part))


def test_a_length_that_is_none(limited):
    client, *_ = limited()
    for wrong in ("-1", "9" * 400, "x", "1e9", "²"):
        assert client.post("/x", headers={"content-length": wrong.encode()}).status_code < 500


def test_metrics_are_there_when_asked_for(limited):
    assert limited()[0].get("/metrics").text == "0"  # the page's own: nothing here
    client, _, service = limited(metrics=True)
    service.run_log.ended("a", None, "done", 1.0, 2.5)
    service.run_log.ended("b", None, 'odd"state', 0.0, 0.5)
    lines = client.get("/metrics").text.splitlines()
    assert 'bwcache_runs_total{state="done"} 1' in lines
    assert "bwcache_run_seconds_total 3" in lines
    assert "# TYPE bwcache_running gauge" in lines
    assert "bwcache_waiting 0" in lines


def test_a_served_page_has_them():
    served = build(FakeBackend(), Host(settings=Settings(auth=(("a", "right"),), metrics=True)))
    _, address, _ = launch(served, quiet=True, auth=[("a", "right")])
    try:
        assert httpx.get(f"{address}health").json()["status"] == "ok"  # without a password
        assert "bwcache_running 0" in httpx.get(f"{address}metrics").text
        given = {"username": "a", "password": "wrong"}
        answers = [httpx.post(f"{address}login", data=given).status_code for _ in range(6)]
        assert answers == [400] * 5 + [429]
        served.service.stop(0)
        assert httpx.get(f"{address}health").status_code == 503
    finally:
        served.close(verbose=False)
