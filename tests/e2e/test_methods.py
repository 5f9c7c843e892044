"""Compare the methods in a real browser, around the fake backend."""

import pytest

from bwcache.explore.families import BEST_KNOWN
from bwcache.testing import FakeBackend
from tests.e2e.conftest import Visit, serving, visiting

pytestmark = pytest.mark.e2e
ROWS = ".bw-methods tbody tr"
POINTS = "document.querySelectorAll('.bw-methods .scatterlayer .point').length"


@pytest.fixture(scope="module")
def backend():
    return FakeBackend(pause=0.002)


@pytest.fixture(scope="module")
def address(backend):
    few = ("bwcache_plus/budget", "teacache", "uncached/fewer")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bwcache.ui.methods_compared.BEST_KNOWN", few)
        with serving(backend) as address:
            yield f"{address}?steps=8"


@pytest.fixture
def visit(browser, address):
    with visiting(Visit(browser, address).unfold("Compare the methods", "Compare")) as visit:
        yield visit


def test_points_appear_as_they_are_measured_and_can_be_looked_at(visit, backend):
    page = visit.page
    backend.pause = 0.1
    visit.button("Compare").click()
    page.wait_for_selector(".bw-methods[data-state=running] tbody tr:nth-child(2)")
    page.wait_for_selector(".bw-methods[data-state=running] .bwf-status >> text=Run ")
    page.wait_for_function(f"{POINTS} >= 2")
    backend.pause = 0.002
    page.wait_for_selector(".bw-methods[data-state=met]", timeout=120_000)
    # of so few steps, two shares are one
    assert page.locator(ROWS).count() == page.evaluate(POINTS) == 8
    said = visit.text(".bw-methods .bwf-sentence")
    assert said.startswith("At ")
    assert "came closest to the uncached video" in said
    legend = page.locator(".bw-methods .legendtext").all_text_contents()
    assert "BWCache+ (budget)" in legend
    assert "fewer uncached steps" in legend
    page.locator(f"{ROWS} button").first.focus()
    assert visit.text(".bw-methods .bwf-detail-title").startswith("BWCache+ (budget) 0.4")
    assert page.locator(".bw-methods .bwf-strips figure:visible img").count() == 2
    found = "[...document.querySelectorAll('.bw-methods .bwf-strips img')]"
    page.wait_for_function(f"{found}.every(i => i.naturalWidth > 200)")
    visit.button("Close the comparison").click()
    assert page.locator(".bw-methods").is_hidden()


def test_stop_keeps_what_was_measured(visit, backend):
    page = visit.page
    backend.pause = 0.1
    visit.button("Compare").click()
    page.wait_for_selector(f"{ROWS}:nth-child(1)")
    visit.button("Stop comparing").click()
    page.wait_for_selector(".bw-methods[data-state=stopped]")
    backend.pause = 0.002
    assert page.locator(ROWS).count() >= 1
    assert "Stopped" in visit.text(".bw-methods .bwf-status")


def test_a_choice_of_ones_own_and_none_at_all(visit):
    page = visit.page
    visit.button("Compare").wait_for()
    page.locator("#bw-methods_compared .remove-all").click()
    visit.button("Compare").click()
    page.wait_for_selector(".bw-refusal >> text=one method at least")
    page.locator("#bw-methods_compared input").fill("FORA (stack)")
    page.get_by_role("option", name="FORA (stack)").click()
    page.keyboard.press("Escape")
    visit.button("Compare").click()
    page.wait_for_selector(".bw-methods[data-state=met]")
    assert page.locator(ROWS).count() == 3
    assert page.locator(".bw-refusal").count() == 0


@pytest.mark.parametrize("width", [390, 1440])
def test_it_fits_the_window_and_is_whole_in_german(browser, address, width):
    options = {"locale": "de-DE", "viewport": {"width": width, "height": 900}}
    with visiting(Visit(browser, address, **options)) as visit:
        page = visit.page
        page.get_by_role("button", name="Verfahren vergleichen").click()
        page.get_by_role("button", name="Vergleichen", exact=True).click()
        page.wait_for_selector(".bw-methods[data-state=met]", timeout=120_000)
        assert visit.text(".bw-methods .bwf-sentence").startswith("Bei ")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert visit.overhang(".bw-methods .bwf-table") <= 0
        page.set_viewport_size({"width": min(width, 360), "height": 900})
        assert visit.overhang(".bw-methods .bwf-table") <= 0
        assert "weniger Schritte ohne Cache" in page.locator(f"{ROWS} th").all_inner_texts()


def test_every_method_is_named_below_a_phones_chart(browser, monkeypatch):
    """None behind a scrollbar, nor under the axis's title."""
    monkeypatch.setattr("bwcache.ui.methods_compared.BEST_KNOWN", BEST_KNOWN)  # not the few
    with (
        serving(FakeBackend(pause=0.001)) as address,
        visiting(Visit(browser, f"{address}?steps=8", viewport={"width": 390, "height": 844})) as v,
    ):
        v.unfold("Compare the methods", "Compare").button("Compare").click()
        v.page.wait_for_selector(".bw-methods[data-state=met]", timeout=120_000)
        names = v.page.locator(".bw-methods .legendtext")
        first, last = (names.nth(at).bounding_box() for at in (0, len(BEST_KNOWN) - 1))
        assert names.count() == len(BEST_KNOWN)
        title = v.page.locator(".bw-methods .xtitle").bounding_box()
        legend = v.page.locator(".bw-methods .legend .bg").bounding_box()
        assert title["y"] + title["height"] <= first["y"]
        assert last["y"] + last["height"] <= legend["y"] + legend["height"]
