"""A served page and a browser for the tests that drive it.

Without a browser they are skipped, saying why; where `CI=true` they fail instead.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

WAIT = int(os.environ.get("BWCACHE_E2E_WAIT", 120)) * 1000  # ms; generous, for slow machines
ARGUMENTS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-quic",
]
# Nothing yet, or a recorded run in its place
LANDED = ".bw-empty:visible, .bw-gallery[data-shows=recorded]:visible"
# Keeps a copy of every message that the server streams, and of every phase of the panel.
LISTEN = r"""
window.phases = [];
new MutationObserver((all) => {
  for (const { target } of all) if (target.matches(".bw")) window.phases.push(target.dataset.phase);
}).observe(document, { subtree: true, attributeFilter: ["data-phase"] });
const original = window.fetch;
window.messages = [];
window.fetch = async (...all) => {
  const response = await original(...all);
  if (String(all[0]?.url || all[0]).includes("queue/data")) {
    const reader = response.clone().body.getReader(), decoder = new TextDecoder();
    let text = "";
    (async () => {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        const parts = (text + decoder.decode(value, { stream: true })).split("\n\n");
        text = parts.pop();
        window.messages.push(...parts);
      }
    })().catch(() => {});
  }
  return response;
};
"""


@pytest.fixture(scope="session")
def browser():
    """Chromium: the one named by BWCACHE_CHROMIUM, on the path, or Playwright's own."""
    from playwright.sync_api import Error, sync_playwright

    named = os.environ.get("BWCACHE_CHROMIUM")
    path = named or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        try:
            started = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        except Error as error:
            reason = f"no browser to drive: {str(error).splitlines()[0]}"
            if os.environ.get("CI") == "true":
                pytest.fail(reason)
            pytest.skip(reason)
        yield started
        started.close()


@contextmanager
def serving(compare, runs: Path | None = None, kiosk: bool = False) -> Iterator[str]:
    """The page around a compare function, on a free port; yields its address.

    Args:
        compare: As `bwcache.runs.compare.compare`.
        runs: A folder of recorded runs, for the landing; None for the empty page.
        kiosk: Whether every visitor gets the kiosk.
    """
    from bwcache.ui import build, launch

    page = build(compare, runs=runs, kiosk=kiosk)
    _, address, _ = launch(page, prevent_thread_lock=True, quiet=True)
    try:
        yield address
    finally:
        page.close(verbose=False)


class Visit:
    """A page in the browser, and what went wrong in it."""

    def __init__(self, browser, address: str, **options):
        self.address, self.faults, self.outside = address, [], []
        self.page = browser.new_context(**options).new_page()
        self.page.set_default_timeout(WAIT)
        self.page.add_init_script(LISTEN)
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", self._on_request)
        self.page.goto(address)
        self.page.wait_for_selector(LANDED)

    def _on_console(self, message) -> None:
        if message.type == "error":
            self.faults.append(message.text)

    def _on_request(self, request) -> None:
        if not request.url.startswith((self.address.split("?")[0], "data:", "blob:")):
            self.outside.append(request.url)

    def button(self, name: str):
        """The button of exactly this name."""
        return self.page.get_by_role("button", name=name, exact=True)

    def unfold(self, section: str, first: str) -> "Visit":
        """Open a section beside the form; its button of this name is there then."""
        self.page.get_by_role("button", name=section).click()
        self.button(first).wait_for()
        return self

    def generate(self) -> None:
        self.page.get_by_role("button", name="Generate").click()

    def phase(self, *names: str) -> None:
        """Wait until the panel is in one of these phases."""
        self.page.wait_for_selector(",".join(f".bw[data-phase={name}]" for name in names))

    def passes(self, start: Callable[[], None], *names: str) -> None:
        """Start something and wait until the panel has gone through these phases, however fast."""
        self.page.evaluate("window.phases.length = 0")
        start()
        self.page.wait_for_function(
            "names => { let at = 0; for (const phase of window.phases) at += phase === names[at];"
            " return at >= names.length; }",
            arg=names,
        )

    def letters(self, run: str, steps: int) -> list[str]:
        """The strip of a run, once it has so many steps."""
        cells = f".bw-strip[data-run={run}] .bw-cells span"
        self.page.wait_for_selector(f"{cells}:nth-child({steps})")
        return self.page.locator(cells).all_inner_texts()

    def chart(self) -> None:
        """Scroll to the indicator's curve, which is drawn when it is first in sight."""
        self.page.locator(".bw-chart").scroll_into_view_if_needed()
        self.page.wait_for_selector(".bw-chart .main-svg")

    def text(self, selector: str) -> str:
        return self.page.locator(selector).inner_text()

    def overhang(self, selector: str) -> int:
        """How many pixels of what an element holds stick out of it to the right."""
        return self.page.eval_on_selector(selector, "node => node.scrollWidth - node.clientWidth")

    def set_threshold(self, value: float) -> None:
        box = self.page.locator("#bw-threshold input[type=number]")
        box.fill(str(value))
        box.press("Tab")

    def close(self) -> None:
        self.page.context.close()


@contextmanager
def visiting(visit: Visit) -> Iterator[Visit]:
    """A visit in which nothing goes wrong and no other host is asked."""
    try:
        yield visit
    finally:
        visit.close()
    assert not visit.faults
    assert not visit.outside


@pytest.fixture
def visit(browser, address):
    """A visit of the page that a module's `address` serves."""
    with visiting(Visit(browser, address)) as visit:
        yield visit
