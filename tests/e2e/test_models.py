"""Choosing a model in the browser: what does not run and why, and how loading looks."""

import threading

import pytest

from bwcache.models.progress import Loading
from bwcache.runs.baselines import BaselineStore as Store
from bwcache.runs.events import StepDone
from bwcache.testing import FakeBackend
from tests.e2e.conftest import WAIT, Visit, serving, visiting

pytestmark = pytest.mark.e2e
NOTE = "The memory ran out; once more, lighter."
# Keeps every text that the status line has shown.
WATCH = """() => {
  const line = document.querySelector(".bw-status-text");
  window.said = [];
  new MutationObserver(() => window.said.push(line.textContent)).observe(line, { childList: true });
}"""


def test_what_does_not_run_here_is_listed_with_its_reason(browser):
    phone = {"viewport": {"width": 390, "height": 844}}
    with (
        serving(FakeBackend()) as address,
        visiting(Visit(browser, address, **phone)) as visit,
    ):
        page = visit.page
        note = page.locator("#bw-note .bw-in-en")
        note.locator("summary").focus()
        page.keyboard.press("Enter")
        (row,) = note.locator("li").all_inner_texts()
        assert "Wan 2.1 T2V 1.3B" in row
        assert "Needs a CUDA GPU, and this machine has none." in row
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_generate_is_in_sight_on_a_laptop(browser):
    laptop = {"viewport": {"width": 1440, "height": 900}}
    with (
        serving(FakeBackend()) as address,
        visiting(Visit(browser, address, **laptop)) as visit,
    ):
        box = visit.page.get_by_role("button", name="Generate").bounding_box()
        assert box["y"] + box["height"] <= 900


def test_loading_is_told_and_a_retry_starts_afresh(browser):
    backend = FakeBackend(pause=0.02)
    told = threading.Event()

    def with_a_retry(request, store, device):
        yield Loading("download", 1_500_000_000, 3_000_000_000)
        told.wait(WAIT)
        yield Loading("warm_up")
        for event in backend(request, Store()):
            yield event
            if isinstance(event, StepDone) and event.record.step_index == 3:
                break
        yield Loading("retry", note=NOTE)
        yield from backend(request, store)

    with (
        serving(with_a_retry) as address,
        visiting(Visit(browser, address)) as visit,
    ):
        visit.page.evaluate(WATCH)
        visit.generate()
        visit.page.wait_for_selector(".bw-status-text >> text=Downloading the model: 1.5 of 3 GB")
        told.set()
        visit.phase("done")
        said = visit.page.evaluate("window.said")
        assert any("Warming up" in text for text in said)
        assert visit.text(".bw-loading-note") == NOTE
        assert visit.letters("baseline", 30) == ["C"] * 30
        assert visit.page.locator(".bw-strip[data-run=baseline] .bw-cells span").count() == 30
