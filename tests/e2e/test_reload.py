"""Nothing is lost: the address holds the form, and a reload or a cut stream brings the run back."""

import re
import socket
import threading
from contextlib import contextmanager, suppress

import pytest

from bwcache.cache.methods.bwcache import BWCacheConfig
from bwcache.runs.record import record
from bwcache.runs.request import Request
from bwcache.testing import FakeBackend
from tests.e2e.conftest import Visit, serving

pytestmark = pytest.mark.e2e
PROMPT = "a blue square bouncing on a gray background"
RECORDED = "a red circle moving right on a white background"
PROMPT_BOX = "document.querySelector('textarea')?.value"


@pytest.fixture(scope="module")
def backend():
    return FakeBackend()


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reload") / "runs"
    request = Request(RECORDED, steps=12, seed=4, config=BWCacheConfig(0.06))
    record(FakeBackend()(request), request, "Title", "About.", folder / "1-first")
    return folder


@pytest.fixture(scope="module")
def address(runs, backend):
    with serving(backend, runs) as address:
        yield address


@pytest.fixture(autouse=True)
def no_pause(backend):
    yield
    backend.pause = 0.0


def query(page) -> str:
    return page.evaluate("location.search")


def wait_for_query(page, part: str) -> None:
    page.wait_for_function(f"location.search.includes({part!r})")


def generate(visit, prompt: str = PROMPT) -> None:
    visit.page.get_by_label("Prompt").fill(prompt)
    visit.set_threshold(0.1)
    wait_for_query(visit.page, "blue+square")
    wait_for_query(visit.page, "threshold=0.1&")
    visit.generate()


def test_the_address_follows_the_form_and_a_reload_finds_it(visit):
    page = visit.page
    wait_for_query(page, "model=tinyworld")
    page.get_by_label("Prompt").fill(PROMPT)
    visit.set_threshold(0.1)
    wait_for_query(page, "blue+square")
    wait_for_query(page, "threshold=0.1&")
    page.reload()
    page.wait_for_function(f"{PROMPT_BOX} === '{PROMPT}'")
    wait_for_query(page, "threshold=0.1&")
    page.wait_for_selector(".bw-differs >> text=threshold 0.1 instead of 0.06")


def test_a_finished_result_is_there_after_a_reload(visit, backend):
    page = visit.page
    generate(visit)
    page.wait_for_selector(".bw-gallery[data-shows=own]")
    visit.phase("done")
    sentence, asked = visit.text(".bw-sentence"), len(backend.requests)
    assert "run=" in query(page)
    page.reload()
    page.wait_for_selector(".bw-gallery[data-shows=own]")
    visit.phase("done")
    assert visit.text(".bw-sentence") == sentence
    assert page.evaluate(PROMPT_BOX) == PROMPT
    assert len(backend.requests) == asked
    assert page.locator(".bw-recorded").is_hidden()
    other = page.context.browser.new_context().new_page()
    other.goto(page.url)  # a link shows it to others, too
    other.wait_for_selector(".bw[data-phase=done]")
    assert other.locator(".bw-sentence").inner_text() == sentence
    other.context.close()


def test_a_reload_during_a_run_goes_on_with_it_and_stop_stops_it(browser, address, backend):
    visit = Visit(browser, address)
    page = visit.page
    backend.pause = 0.15
    asked, closed = len(backend.requests), backend.closed
    generate(visit)
    page.wait_for_selector(".bw-gallery[data-shows=own]")
    page.wait_for_selector(".bw-strip[data-run=baseline] span:nth-child(5)")
    page.reload()
    page.wait_for_selector(".bw-strip[data-run=baseline] span:nth-child(6)")
    assert page.locator(".bw-recorded").is_hidden()
    assert len(backend.requests) == asked + 1
    page.get_by_role("button", name="Stop", exact=True).click()
    visit.phase("stopped")
    backend.pause = 0.0
    page.reload()
    visit.phase("stopped")
    assert backend.closed == closed + 1
    assert page.locator(".bw-recorded").is_hidden()
    assert "Stopped" in visit.text(".bw-status-text")
    visit.close()


def test_a_result_that_is_not_kept_is_said_and_no_other_takes_its_place(browser, address):
    page = browser.new_context().new_page()
    page.goto(f"{address}?prompt={PROMPT.replace(' ', '+')}&run=unknown")
    page.wait_for_selector(".bw-status-text >> text=not kept any more")
    assert page.locator(".bw-recorded").is_hidden()
    assert page.evaluate(PROMPT_BOX) == PROMPT
    page.context.close()


def test_a_recorded_run_s_settings_can_be_taken_over(visit):
    page = visit.page
    page.get_by_role("button", name="Use these settings").click()
    wait_for_query(page, "threshold=0.06&")
    wait_for_query(page, "seed=4")
    assert page.evaluate(PROMPT_BOX) == RECORDED
    page.wait_for_selector(".bw-differs", state="hidden")


def test_two_runs_of_the_visit_can_be_compared_and_shown_again(visit):
    page = visit.page
    generate(visit)
    page.wait_for_selector(".bw-gallery[data-shows=own]")
    visit.phase("done")
    first = visit.text(".bw-sentence")
    visit.set_threshold(0.05)
    visit.generate()
    page.wait_for_selector(".bw-history li:nth-child(2)")
    for box in page.get_by_label("compare").all():
        box.check()
    page.wait_for_selector(".bw-history-pair td >> text=0.05")
    assert page.locator(".bw-history-pair video").count() == 2
    page.locator(".bw-history li button").last.click()
    page.wait_for_function("s => document.querySelector('.bw-sentence').innerText === s", arg=first)
    page.reload()  # which loses neither
    page.wait_for_selector(".bw-history li:nth-child(2)")
    assert page.locator(".bw-history li").count() == 2
    page.route("**/*.mp4", lambda route: route.fulfill(status=404))  # as once they are deleted
    page.reload()
    visit.phase("done")
    page.wait_for_selector(".bw-history li:nth-child(1)")  # the one in the address
    assert page.locator(".bw-history li").count() == 1
    assert all("404" in fault for fault in visit.faults)
    visit.faults.clear()


@contextmanager
def cutting_proxy(target: int):
    """A proxy to a local port that can cut all its connections; yields its port and `cut`."""
    server = socket.create_server(("127.0.0.1", 0))
    pairs = []

    def pump(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def serve():
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            upstream = socket.create_connection(("127.0.0.1", target))
            pairs.append((client, upstream))
            for ends in ((client, upstream), (upstream, client)):
                threading.Thread(target=pump, args=ends, daemon=True).start()

    def cut():
        for pair in list(pairs):
            for each in pair:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield server.getsockname()[1], cut
    finally:
        server.close()
        cut()


def test_a_cut_stream_brings_the_run_back(browser, address, backend):
    port = int(re.search(r":(\d+)", address)[1])
    with cutting_proxy(port) as (own_port, cut):
        visit = Visit(browser, f"http://127.0.0.1:{own_port}/")
        backend.pause = 0.15
        asked = len(backend.requests)
        generate(visit)
        visit.page.wait_for_selector(".bw-strip[data-run=baseline] span:nth-child(5)")
        visit.page.wait_for_selector(".bw-gallery[data-shows=own]")
        with visit.page.expect_navigation():
            cut()
        backend.pause = 0.02
        visit.page.wait_for_selector(".bw-gallery[data-shows=own]")
        visit.phase("done")
        assert visit.page.evaluate(PROMPT_BOX) == PROMPT
        assert len(backend.requests) == asked + 1
        assert visit.text(".bw-sentence").startswith("Saved")
        assert not visit.outside
        visit.close()
