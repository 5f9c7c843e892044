"""A server that is started anew under an open page: the page says so and can be used again."""

import signal

import pytest

from tests.faults.servers import Server, unused_port
from tests.ui.serving import wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.faults]
STATUS = ".bw-status-text"
WAIT = 120_000  # ms: importing takes long under load
unused_port = unused_port  # a fixture


@pytest.fixture
def start(unused_port):
    started = []

    def served(pause: float) -> Server:
        started.append(Server(unused_port, pause=pause))
        assert any(wait_for(started[-1].is_up) for _ in range(5))
        return started[-1]

    yield served
    for server in started:
        if server.process.poll() is None:
            server.process.kill()
            server.process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_restart_in_a_run_is_said_and_the_next_run_works(browser, start, number):
    server = start(pause=0.2)
    page = browser.new_context().new_page()
    page.set_default_timeout(WAIT)
    page.goto(server.address)
    page.wait_for_selector(".bw[data-phase], .bw-empty")
    page.get_by_label("Prompt").fill("a green square still on a white background")
    page.get_by_role("button", name="Generate").click()
    page.wait_for_selector(".bw-strip[data-run=baseline] span:nth-child(3)")
    page.wait_for_function("location.search.includes('run=')")
    server.process.send_signal(number)
    server.process.communicate(timeout=60)
    if number == signal.SIGTERM:  # it says so itself, or is gone before that arrives
        page.wait_for_selector(f"{STATUS} >> text=/being stopped|connection .* is lost/")
    start(pause=0.0)
    if number == signal.SIGKILL:
        page.wait_for_selector(f"{STATUS} >> text=not kept any more")
    assert page.evaluate("document.querySelector('textarea').value").startswith("a green square")
    page.get_by_role("button", name="Generate").click()
    page.wait_for_selector(".bw[data-phase=done], .bw[data-phase=nothing]")
    page.context.close()


def test_an_idle_page_goes_on_with_the_new_server(browser, start):
    server = start(pause=0.0)
    page = browser.new_context().new_page()
    page.set_default_timeout(WAIT)
    page.goto(server.address)
    page.wait_for_selector(".bw[data-phase], .bw-empty")
    server.process.kill()
    server.process.communicate()
    start(pause=0.0)
    page.get_by_role("button", name="Generate").click()
    page.wait_for_selector(".bw[data-phase=done], .bw[data-phase=nothing]")
    page.context.close()
