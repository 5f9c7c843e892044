"""The page in a real browser, around the fake backend: what a visitor sees and does."""

import json

import pytest

from bwcache.models import find
from bwcache.testing import FakeBackend
from bwcache.tinyworld.grammar import parse
from tests.e2e.conftest import Visit, serving

pytestmark = pytest.mark.e2e
LIMIT = 1500  # bytes of a live update
APART = "() => {const [a, b] = document.querySelectorAll('video');" + (
    "return Math.abs(a.currentTime - b.currentTime)}"
)


@pytest.fixture(scope="module")
def backend():
    return FakeBackend(pause=0.03)


@pytest.fixture(scope="module")
def address(backend):
    with serving(backend) as address:
        yield address


def test_a_comparison_from_empty_to_verdict(visit):
    assert visit.page.locator(".bw-live").is_hidden()
    visit.generate()
    visit.phase("running")
    visit.page.wait_for_selector(".bw-strip[data-run=baseline] span:nth-child(2)")
    assert visit.page.locator(".bw-stage[data-run=baseline] img").is_visible()
    visit.phase("done")
    assert visit.letters("baseline", 30) == ["C"] * 30
    assert set(visit.letters("cached", 30)) == {"C", "r"}
    assert visit.text(".bw-sentence").startswith("Saved")
    assert "steps reused" in visit.text(".bw-numbers")
    assert "not quality" in visit.text(".bw-caveat")
    visit.chart()
    assert visit.page.locator(".bw-heats canvas").count() == 2


def test_steps_arrive_one_by_one_in_small_updates(visit):
    visit.generate()
    visit.phase("done")
    visit.page.wait_for_function("window.messages.some(m => m.includes('process_completed'))")
    messages = visit.page.evaluate("window.messages")
    updates = [m for m in messages if '"process_generating"' in m]
    with_step = [m for m in updates if '"k":"step"' in m]
    assert len(with_step) == 60
    assert all(m.count('"k":"step"') == 1 for m in with_step)
    # the form's own messages grow with the methods' settings, once a load
    assert max(len(m.encode()) for m in updates) <= LIMIT


def test_plotly_is_fetched_once_and_only_when_a_chart_is_in_sight(browser, address):
    visit = Visit(browser, address, viewport={"width": 1024, "height": 600})
    asked = []
    visit.page.on("request", lambda request: asked.append(request.url.rsplit("/", 1)[-1]))
    visit.page.reload()
    visit.page.wait_for_selector(".bw-empty:visible")
    visit.page.wait_for_selector("#bw-advice >> text=indicator")
    assert "panel.js" in asked
    assert "plotly.min.js" not in asked
    visit.generate()
    visit.phase("done")
    visit.chart()
    visit.page.locator(".bw-plot").scroll_into_view_if_needed()
    visit.page.wait_for_selector(".bw-plot .main-svg")
    assert asked.count("plotly.min.js") == 1
    assert not visit.faults
    visit.close()


def test_a_module_that_cannot_be_loaded_is_said(browser, address):
    context = browser.new_context()
    page = context.new_page()
    page.route("**/panel/panel.js", lambda route: route.abort())
    page.goto(address)
    page.wait_for_selector("#bw-panel >> text=scripts could not be loaded")
    context.close()


def test_browsers_ask_whether_a_module_has_changed(visit):
    url = (
        "() => performance.getEntriesByType('resource').find(e => e.name.endsWith('panel.js')).name"
    )
    answer = visit.page.request.get(visit.page.evaluate(url))
    assert answer.headers["cache-control"] == "no-cache"
    assert "javascript" in answer.headers["content-type"]


def test_the_videos_play_together_and_obey_one_transport(visit):
    page = visit.page
    visit.generate()
    visit.phase("done")
    page.wait_for_selector(".bw-transport:not([hidden])")
    ready = "[...document.querySelectorAll('video')].every(v => v.readyState >= 2 && !v.error)"
    page.wait_for_function(ready)
    page.wait_for_function("[...document.querySelectorAll('video')].every(v => v.currentTime > 0)")
    frame = 1 / find("tinyworld").shape.fps
    page.wait_for_function(f"({APART})() < {frame}")
    page.get_by_role("button", name="Pause").click()
    page.get_by_label("Position in both videos").fill("10")
    settled = "[...document.querySelectorAll('video')].every(v => v.paused && !v.seeking)"
    page.wait_for_function(settled)
    assert page.evaluate(APART) < 0.01
    assert visit.text(".bw-frame") == "frame 11 / 33"
    page.get_by_role("button", name="One frame forward").click()
    page.wait_for_function(settled)
    assert visit.text(".bw-frame") == "frame 12 / 33"
    page.get_by_role("button", name="One frame back").click()
    page.wait_for_function(settled)
    assert visit.text(".bw-frame") == "frame 11 / 33"
    assert page.evaluate(APART) < 0.01
    page.get_by_role("button", name="Restart").click()
    page.wait_for_function("[...document.querySelectorAll('video')].every(v => !v.paused)")


def test_stopping_midway_closes_the_run_and_the_next_one_works(visit, backend):
    closed, quick = backend.closed, backend.pause
    backend.pause = 2.0  # time enough to press Stop
    visit.generate()
    visit.page.wait_for_selector(".bw-strip[data-run=baseline] span:nth-child(2)")
    visit.page.get_by_role("button", name="Stop").click()
    visit.phase("stopped")
    backend.pause = quick
    assert "Stopped" in visit.text(".bw-status-text")
    visit.page.wait_for_function("() => !document.querySelector('#bw-buttons button').disabled")
    visit.generate()
    visit.phase("done")
    assert backend.closed == closed + 1


def test_another_threshold_reuses_the_remembered_baseline(visit):
    visit.generate()
    visit.phase("done")
    visit.page.wait_for_selector("#bw-advice >> text=Expected")
    visit.set_threshold(0.01)
    visit.page.wait_for_selector("#bw-advice >> text=nothing is reused")
    visit.generate()
    visit.phase("nothing")
    assert visit.text(".bw-sentence").startswith("Nothing was reused")
    note = visit.text(".bw-stage[data-run=baseline] .bw-note")
    assert "remembered from before" in note
    assert visit.letters("cached", 30) == ["C"] * 30


SEGMENTS = "document.querySelectorAll('.bw-lane[data-run={run}] .bw-bar i').length"


def test_both_runs_denoise_on_one_clock_and_a_remembered_one_races_along(visit, backend):
    quick, backend.pause = backend.pause, 0.2
    lengths = [SEGMENTS.format(run=run) for run in ("baseline", "cached")]
    for remembered in (False, True):
        visit.generate()
        visit.page.wait_for_function(f"[16, 17, 18].includes({lengths[1]})")
        uncached, cached = visit.page.evaluate(f"[{lengths[0]}, {lengths[1]}]")
        assert 5 < uncached < cached  # the cached one is ahead, for some of its steps were short
        assert visit.page.locator(".bw-stage.active").count() == 2 - remembered
        note = visit.page.locator(".bw-stage[data-run=baseline] .bw-note")
        assert ("remembered" in note.inner_text()) == remembered
        visit.phase("done")
    backend.pause = quick
    assert "at most" in visit.text(".bw-measure")


def test_a_preset_sets_the_threshold_and_the_slider_unsets_the_preset(visit):
    page = visit.page
    page.get_by_role("radio", name="Fast").check()
    value = "document.querySelector('#bw-threshold input[type=number]').value"
    page.wait_for_function(
        f"{value} === '{find('tinyworld').facts().presets['Fast'].config.threshold}'"
    )
    visit.set_threshold(0.1)
    page.wait_for_function("!document.querySelector('#bw-presets input:checked')")


def test_bad_input_is_said_and_the_page_goes_on(visit, backend):
    before = len(backend.requests)
    visit.page.get_by_label("Prompt").fill("   ")
    visit.generate()
    visit.page.wait_for_selector("#bw-prompt + .bw-refusal >> text=Prompt: please fill it in.")
    assert visit.page.locator(".toast-body").count() == 0
    assert len(backend.requests) == before
    visit.page.get_by_label("Prompt").fill("a blue square bouncing on a gray background")
    visit.page.wait_for_selector(".bw-refusal", state="detached")
    visit.page.get_by_role("button", name="Advanced").click()
    steps = visit.page.locator("#bw-steps input")
    steps.wait_for()
    steps.fill("1")
    visit.page.get_by_role("button", name="Advanced").click()
    visit.generate()
    visit.page.wait_for_selector("#bw-steps + .bw-refusal >> text=1 is not possible here")
    steps.fill("30")
    visit.generate()
    visit.phase("done")


def test_what_a_visitor_types_is_never_markup(visit, backend):
    attack = "<img src=x onerror=window.hit=1> a red circle"
    visit.page.get_by_label("Prompt").fill(attack)
    visit.generate()
    said = visit.page.locator("#bw-form").get_by_text("Prompt: TinyWorld does not know")
    said.wait_for()
    assert said.count() == 1  # at its field
    assert visit.page.locator(".toast-body").count() == 0
    assert all("422" in fault for fault in visit.faults)  # a browser notes every refusal
    visit.faults.clear()
    assert visit.page.evaluate("window.hit") is None


def test_a_failing_run_is_said_and_the_page_goes_on(browser):
    backend = FakeBackend(fail_at=4)
    with serving(backend) as address:
        visit = Visit(browser, address)
        visit.generate()
        visit.phase("error")
        assert "went wrong" in visit.text(".bw-status-text")
        backend.fail_at = None
        visit.generate()
        visit.phase("done")
        assert not visit.outside
        visit.close()


def test_two_visitors_share_nothing(browser, address):
    one, other = Visit(browser, address), Visit(browser, address)
    one.generate()
    one.phase("done")
    assert other.page.locator(".bw-live").is_hidden()
    other.generate()
    other.phase("done")
    assert other.text(".bw-stage[data-run=baseline] .bw-note") == ""
    one.close()
    other.close()


def test_the_files_can_be_fetched(visit):
    visit.generate()
    visit.phase("done")
    links = visit.page.locator(".bw-files a")
    names = [links.nth(i).get_attribute("href").rsplit("/", 1)[-1] for i in range(links.count())]
    videos = ["baseline.mp4", "cached.mp4", "difference.mp4", "share.mp4"]
    assert names == [*videos, "trace.json", "summary.json"]
    with visit.page.expect_download() as download:
        links.nth(4).click()
    assert json.loads(download.value.path().read_text())["format"] == "bwcache-trace"


@pytest.mark.parametrize("width", [390, 768, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_sticks_out_at_any_width(browser, address, width, scheme):
    visit = Visit(browser, address, viewport={"width": width, "height": 900}, color_scheme=scheme)
    visit.generate()
    visit.phase("done")
    visit.chart()
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
    assert not visit.faults
    assert not visit.outside
    visit.close()


def test_a_number_beyond_a_slider_is_said_to_be_moved_to_its_end(visit):
    visit.set_threshold(7)
    visit.page.wait_for_selector("#bw-threshold + .bw-refusal >> text=7 is beyond this slider")
    visit.set_threshold(0.05)
    visit.page.wait_for_selector(".bw-refusal", state="detached")


def test_menus_and_dice_write_the_prompt_and_text_stays_free(visit, backend):
    page, prompt = visit.page, visit.page.get_by_label("Prompt", exact=True)
    page.get_by_role("button", name="Build a prompt").click()
    page.get_by_label("Colour", exact=True).click()
    page.get_by_role("option", name="purple").click()
    page.wait_for_function(
        "document.querySelector('#bw-prompt textarea').value.startsWith('a purple circle')"
    )
    prompt.fill("a gray triangle growing on a black background")
    prompt.press("Tab")
    page.wait_for_function("document.querySelector('#bw-menu-grid input').value === 'gray'")
    prompt.fill("a fox")
    prompt.press("Tab")
    before = prompt.input_value()
    page.get_by_role("button", name="Dice").click()
    page.wait_for_function(f"document.querySelector('#bw-prompt textarea').value !== {before!r}")
    parse(prompt.input_value())
    visit.generate()
    visit.phase("done")
    assert backend.requests[-1].prompt == prompt.input_value()
