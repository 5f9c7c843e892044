"""The frozen page in a real browser, from the disk; and recorded runs with the network gone."""

import pytest

from bwcache.cli import main
from bwcache.cli.record_gallery import GALLERY
from bwcache.runs.recorded import RUNS
from bwcache.testing import FakeBackend
from tests.e2e.conftest import WAIT, Visit, serving

pytestmark = pytest.mark.e2e
PLAYING = "[...document.querySelectorAll('video')].every(v => v.currentTime > 0)"


def test_the_frozen_page_works_from_the_disk(browser, tmp_path):
    assert main(["freeze", str(tmp_path / "page")]) == 0
    folder = tmp_path / "moved"
    (tmp_path / "page").rename(folder)  # nothing in it knows where it lay
    page = browser.new_context(locale="de-DE").new_page()
    page.set_default_timeout(WAIT)
    faults, asked = [], []
    page.on("console", lambda said: said.type == "error" and faults.append(said.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto((folder / "index.html").as_uri())
    page.wait_for_selector(".bw[data-phase=done]")
    page.wait_for_function(PLAYING)
    assert page.locator(".bw-run").count() == len(GALLERY)
    assert "gespart" in page.locator(".bw-sentence").inner_text()
    reused = page.locator(".bw-whatif-reused")
    before = reused.inner_text()
    page.locator(".bw-whatif-slider").fill("5")
    page.wait_for_function(
        "before => document.querySelector('.bw-whatif-reused').innerText !== before", arg=before
    )
    assert page.locator(".bw-whatif-use").is_hidden()
    page.get_by_role("button", name="Unterschied", exact=True).click()
    page.wait_for_function("document.querySelectorAll('video').length >= 3")
    page.locator(".bw-chart").scroll_into_view_if_needed()
    page.wait_for_selector(".bw-chart .main-svg")
    page.locator(".bw-run[data-slug='3-fast']").click()
    page.wait_for_selector(".bw-run[data-slug='3-fast'][aria-pressed=true]")
    page.get_by_role("button", name="Rundgang").click()
    page.wait_for_selector(".bw-tour h2")
    assert not faults
    within = folder.as_uri()
    assert not [url for url in asked if not url.startswith((within, "data:", "blob:"))]
    page.context.close()


def test_recorded_runs_play_with_the_network_gone(browser):
    with serving(FakeBackend(), RUNS) as address:
        visit = Visit(browser, address)
        page = visit.page
        visit.phase("done")
        page.wait_for_selector(".bw[data-fetched]")
        page.route("**/*", lambda route: route.abort())
        for slug in ("4-past-the-cliff", "2-paper"):
            page.locator(f".bw-run[data-slug='{slug}']").click()
            page.wait_for_selector(f".bw-run[data-slug='{slug}'][aria-pressed=true]")
            page.wait_for_selector(".bw[data-phase=done]")
            page.wait_for_function(PLAYING)
        assert not page.locator(".bw-broken p").count()
        visit.close()


def test_the_chart_explains_the_points_that_a_method_has(browser):
    """BWCache+ measures nothing; and the cards have a heading, which is no button then."""
    with serving(FakeBackend(), RUNS) as address:
        visit = Visit(browser, address)
        page = visit.page
        visit.phase("done")
        for slug, kinds in (("2-paper", 3), ("5-bwcache-plus", 2)):
            page.locator(f".bw-run[data-slug='{slug}']").click()
            page.wait_for_function(
                "kinds => document.querySelectorAll('.bw-chart-key-item').length === kinds",
                arg=kinds,
            )
        heading = page.get_by_role("button", name="Recorded runs")
        assert heading.is_visible()
        assert heading.is_disabled()
        visit.close()
