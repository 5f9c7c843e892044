"""Recorded runs in a real browser: the landing, playing without a server's help, the kiosk."""

import json
import shutil

import pytest

from bwcache.cache.methods.bwcache import BWCacheConfig
from bwcache.cache.methods.bwcache_plus import BWCachePlusConfig
from bwcache.models import ModelError
from bwcache.runs.record import record
from bwcache.runs.recorded import load
from bwcache.runs.request import Request
from bwcache.testing import FakeBackend
from tests.e2e.conftest import Visit, serving, visiting

pytestmark = pytest.mark.e2e
PROMPT = "a red circle moving right on a white background"
STEPS = 12
CELLS = ".bw-strips .bw-cells span"
PLAYING = "[...document.querySelectorAll('video')].every(v => v.currentTime > 0)"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gallery") / "runs"
    for slug, threshold in (("1-first", 0.06), ("2-second", 0.2)):
        request = Request(PROMPT, steps=STEPS, config=BWCacheConfig(threshold))
        backend = FakeBackend(pause=0.05)
        record(backend(request), request, f"Title {slug}", f"About {slug}.", folder / slug)
    return folder


@pytest.fixture
def runs(recorded, tmp_path):
    """A copy that a test may damage."""
    return shutil.copytree(recorded, tmp_path / "runs")


@pytest.fixture(scope="module")
def backend():
    return FakeBackend(pause=0.03)


@pytest.fixture(scope="module")
def address(recorded, backend):
    with serving(backend, recorded) as address:
        yield address


def pick(visit, slug: str) -> None:
    visit.page.locator(f".bw-run[data-slug='{slug}']").click()
    visit.page.wait_for_selector(f".bw-run[data-slug='{slug}'][aria-pressed=true]")


def test_the_landing_is_a_finished_recorded_run_and_says_so(visit):
    visit.phase("done")
    assert visit.page.locator(".bw-empty").is_hidden()
    label = visit.text(".bw-recorded")
    assert "Recorded run" in label
    assert "a fake" in label
    assert "202" in label
    assert PROMPT in visit.text(".bw-recorded-caption")
    assert visit.text(".bw-recorded-caption").endswith("About 1-first.")
    assert visit.text(".bw-sentence").startswith("Saved")
    assert visit.letters("baseline", STEPS) == ["C"] * STEPS
    assert len(visit.letters("cached", STEPS)) == STEPS
    assert visit.page.evaluate("scrollY") == 0
    visit.chart()
    assert visit.page.locator(".bw-heats canvas").count() == 2
    visit.page.wait_for_function(PLAYING)
    card = visit.page.locator(".bw-run").first
    assert card.get_attribute("aria-pressed") == "true"
    assert "δ 0.06" in card.inner_text()
    assert "recorded on" in card.inner_text()


def test_played_fast_it_shows_every_step_and_asks_no_queue(visit):
    visit.phase("done")
    asked = []
    visit.page.on("request", lambda request: asked.append(request.url))
    visit.passes(visit.page.get_by_role("button", name="Play fast").click, "running", "done")
    assert "Recorded run" in visit.text(".bw-recorded")
    all_there = f"document.querySelectorAll('{CELLS}').length === {2 * STEPS}"
    visit.page.wait_for_function(all_there)
    visit.phase("done")
    visit.page.wait_for_function(PLAYING)
    assert not [url for url in asked if "queue" in url or "/run/" in url]


def test_a_recorded_run_of_a_method_without_a_threshold_plays_and_is_called_by_it(
    browser, backend, tmp_path
):
    request = Request(PROMPT, steps=STEPS, config=BWCachePlusConfig())
    record(FakeBackend()(request), request, "Plus", "About it.", tmp_path / "runs" / "1-plus")
    with serving(backend, tmp_path / "runs") as address, visiting(Visit(browser, address)) as visit:
        visit.phase("done")
        assert "δ" not in visit.text(".bw-run")
        assert "BWCache+" in visit.text(".bw-run")
        assert len(visit.letters("cached", STEPS)) == STEPS
        visit.page.wait_for_function(PLAYING)
        visit.generate()
        visit.phase("running")
        visit.phase("done")


def test_played_as_it_happened_it_can_be_cut_short(visit, recorded):
    visit.phase("done")
    seconds = load(recorded / "1-first").rows[-1]["at"]
    before = visit.page.evaluate("performance.now()")
    as_it_happened = visit.page.get_by_role("button", name="Play as it happened")
    visit.passes(as_it_happened.click, "running", "done")
    assert visit.page.evaluate("performance.now()") - before >= 1000 * seconds
    visit.page.get_by_role("button", name="Play as it happened").click()
    visit.phase("running")
    visit.page.get_by_role("button", name="Skip to the end").click()
    visit.phase("done")
    visit.page.wait_for_selector("[data-replay=skip]", state="hidden")
    assert visit.letters("cached", STEPS)


def test_another_card_is_shown_by_keyboard(visit):
    visit.phase("done")
    card = visit.page.locator(".bw-run[data-slug='2-second']")
    card.focus()
    visit.page.keyboard.press("Enter")
    visit.page.wait_for_selector(".bw-run[data-slug='2-second'][aria-pressed=true]")
    assert visit.text(".bw-recorded-caption").endswith("About 2-second.")
    assert visit.page.evaluate("document.activeElement.dataset.slug") == "2-second"
    visit.phase("done")


def test_a_visitor_s_own_run_takes_its_place(visit):
    visit.phase("done")
    visit.generate()
    visit.page.wait_for_selector(".bw-gallery[data-shows=own]")
    assert visit.page.locator(".bw-recorded").is_hidden()
    assert visit.page.locator(".bw-run").first.is_hidden()
    assert len(visit.letters("baseline", 30)) == 30
    visit.phase("done")
    assert len(visit.letters("cached", 30)) == 30
    visit.page.get_by_role("button", name="Recorded runs").click()
    pick(visit, "1-first")
    assert "Recorded run" in visit.text(".bw-recorded")
    assert len(visit.letters("cached", STEPS)) == STEPS


def test_a_run_under_way_is_not_disturbed(visit, backend):
    quick, backend.pause = backend.pause, 1.0  # time enough to look
    visit.phase("done")
    visit.page.get_by_role("button", name="Play as it happened").click()
    visit.phase("running")
    visit.generate()
    visit.page.wait_for_selector(".bw-gallery[data-shows=own]")
    visit.page.get_by_role("button", name="Recorded runs").click()
    assert visit.page.locator(".bw-run").first.is_disabled()
    backend.pause = quick
    visit.phase("done")
    assert len(visit.letters("baseline", 30)) == 30
    assert visit.page.locator(".bw-recorded").is_hidden()
    assert visit.page.locator(".bw-run").first.is_enabled()


def test_it_works_with_the_weights_gone(browser, recorded, tmp_path, monkeypatch):
    from bwcache.models import loading
    from bwcache.runs.compare import compare

    monkeypatch.setattr(loading, "ASSETS", tmp_path)
    loading.unload_all()
    with serving(compare, recorded) as address:
        visit = Visit(browser, address)
        visit.phase("done")
        visit.passes(visit.page.get_by_role("button", name="Play fast").click, "running", "done")
        visit.generate()
        visit.phase("error")
        assert "TinyWorld (embedded) is missing" in visit.text(".bw-status-text")
        assert visit.page.locator(".bw-recorded").is_hidden()
        pick(visit, "2-second")
        visit.phase("done")
        assert not visit.outside
        visit.close()


def test_a_failing_model_leaves_the_gallery(browser, recorded):
    backend = FakeBackend(fail_at=0, error=lambda: ModelError("model: not here"))
    with serving(backend, recorded) as address:
        visit = Visit(browser, address)
        visit.generate()
        visit.phase("error")
        assert visit.text(".bw-status-text") == "model: not here"
        assert visit.page.locator(".bw-run").first.is_visible()
        visit.close()


def test_a_run_broken_from_the_start_is_said_and_the_others_work(browser, runs):
    (runs / "1-first" / "run.json").write_text("{", encoding="utf-8")
    with serving(FakeBackend(), runs) as address:
        visit = Visit(browser, address)
        visit.phase("done")
        said = visit.text(".bw-broken")
        assert "“1-first” cannot be shown: run.json: found no valid JSON" in said
        assert visit.page.locator(".bw-run").count() == 1
        assert visit.text(".bw-recorded-caption").endswith("About 2-second.")
        assert not visit.faults
        visit.close()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.write_text("{"), "not valid JSON"),
        (lambda path: path.write_text('{"format": "x", "version": 3}'), "x version 3"),
        (lambda path: path.unlink(), "status 403"),
        (lambda path: path.write_text(json.dumps(
            {"format": "bwcache-recorded-run", "version": 1, "rows": [], "files": {}}
        )), "a whole run"),
    ],
)  # fmt: skip
def test_a_run_broken_later_is_said_in_the_panel(browser, runs, spoil, words):
    with serving(FakeBackend(), runs) as address:
        spoil(runs / "1-first" / "run.json")
        visit = Visit(browser, address)
        visit.phase("done")
        said = visit.text(".bw-broken")
        assert "“Title 1-first” cannot be shown" in said
        assert words in said
        assert visit.text(".bw-recorded-caption").endswith("About 2-second.")
        visit.close()


def test_with_no_run_that_can_be_shown_the_page_is_not_empty(browser, runs):
    for path in runs.glob("*/run.json"):
        path.write_text("{", encoding="utf-8")
    with serving(FakeBackend(), runs) as address:
        visit = Visit(browser, address)
        assert visit.page.locator(".bw-empty").is_visible()
        assert visit.text(".bw-broken").count("cannot be shown") == 2
        visit.close()


def test_an_idle_kiosk_cycles_and_a_touch_stops_it(visit):
    visit.phase("done")
    visit.page.evaluate("document.querySelector('.bw[data-phase]').dataset.kiosk = 1")
    pressed = ".bw-run[data-slug='{}'][aria-pressed=true]"
    visit.page.wait_for_selector(pressed.format("2-second"))
    visit.phase("done")
    visit.page.wait_for_selector(pressed.format("1-first"))
    visit.phase("done")
    visit.page.keyboard.press("Shift")
    visit.page.wait_for_timeout(2000)  # twice as long as it would take
    assert visit.page.locator(pressed.format("1-first")).count() == 1
    visit.page.wait_for_selector(pressed.format("2-second"))
    assert visit.page.evaluate("history.length") <= 2


@pytest.mark.parametrize("width", [390, 768, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_sticks_out_at_any_width(browser, address, width, scheme):
    visit = Visit(browser, address, viewport={"width": width, "height": 900}, color_scheme=scheme)
    visit.phase("done")
    visit.chart()
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
    for button in visit.page.locator(".bw-replay button:visible").all():
        assert button.bounding_box()["height"] >= 34
    visit.close()
