"""Ways to look at the two videos, in a real browser: wipe, difference, blind test, curve."""

import pytest

from bwcache.models import find
from bwcache.runs.metrics import NOT_ASKED
from bwcache.testing import FRAMES, FakeBackend
from bwcache.ui.panel import panel_texts
from tests.e2e.conftest import Visit, serving, visiting

pytestmark = pytest.mark.e2e
FPS = 16
USUAL = find("tinyworld").default_preset.config
NAME = panel_texts()["en"][f"method_{USUAL.reuse}"]
VIEWS = ("Side by side", "Wipe", "Difference", "Blind test")
VIDEOS = "[...document.querySelectorAll('.bw-stage video')]"
# Pixels between the mark of the present frame and the first frame of the curve below.
BESIDE = """(() => {
  const middle = node => { const b = node.getBoundingClientRect(); return b.x + b.width / 2; };
  const point = document.querySelectorAll(".bw-plot .scatterlayer .trace")[1]
    .querySelector("path.point");
  return Math.abs(middle(document.querySelector(".bw-now-line")) - middle(point));
})()"""
SETTLED = f"{VIDEOS}.every(v => v.paused && !v.seeking && v.readyState >= 2)"


@pytest.fixture(scope="module")
def backend():
    return FakeBackend()


@pytest.fixture(scope="module")
def address(backend):
    with serving(backend) as address:
        yield address


def finished(browser, address, **options) -> Visit:
    """A visit with both videos finished and paused."""
    visit = Visit(browser, address, **options)
    visit.generate()
    visit.phase("done", "nothing")
    visit.page.wait_for_selector(".bw-transport:not([hidden])")
    visit.page.get_by_label("Position in both videos").fill("3")
    visit.page.wait_for_function(SETTLED)
    return visit


@pytest.fixture
def visit(browser, address):
    with visiting(finished(browser, address)) as visit:
        yield visit


def look(visit: Visit, view: str) -> None:
    button = visit.page.get_by_role("button", name=view, exact=True)
    button.focus()
    visit.page.keyboard.press("Enter")
    assert button.get_attribute("aria-pressed") == "true"
    assert visit.page.locator(".bw-switch [aria-pressed=true]").count() == 1


def times(visit: Visit) -> list[float]:
    visit.page.wait_for_function(SETTLED)
    return visit.page.evaluate(f"{VIDEOS}.map(v => v.currentTime)")


def middle(frame: int) -> float:
    return pytest.approx((frame + 0.5) / FPS, abs=0.01)


def left_edge(visit: Visit, run: str) -> float:
    return visit.page.locator(f".bw-stage[data-run={run}] .bw-screen").bounding_box()["x"]


def test_only_side_by_side_is_on_offer_while_a_run_is_under_way(visit, backend):
    look(visit, "Wipe")
    backend.pause = 0.1
    visit.generate()
    visit.phase("running")
    backend.pause = 0.0
    switch = visit.page.locator(".bw-switch")
    assert switch.locator("button:disabled").all_inner_texts() == list(VIEWS[1:])
    assert switch.locator("[aria-pressed=true]").inner_text() == "Side by side"
    assert visit.page.locator(".bw-wipe").is_hidden()
    visit.phase("done")
    visit.page.wait_for_function("!document.querySelector('.bw-switch button:disabled')")
    look(visit, "Wipe")
    assert visit.page.locator(".bw-wipe").is_visible()


def test_the_wipe_moves_by_keyboard_and_by_pointer(visit):
    look(visit, "Wipe")
    assert left_edge(visit, "baseline") == left_edge(visit, "cached")
    assert visit.page.locator(".bw-tag").all_inner_texts() == ["Uncached", NAME]
    divider = visit.page.get_by_role("slider", name="Divider between the videos")
    divider.focus()
    for _ in range(10):
        visit.page.keyboard.press("ArrowRight")
    clip = "getComputedStyle(document.querySelector('[data-run=cached] video')).clipPath"
    assert visit.page.evaluate(clip) == "inset(0px 0px 0px 60%)"
    assert divider.get_attribute("aria-valuetext") == f"60 % Uncached, 40 % {NAME}"
    visit.page.keyboard.press("Home")
    assert visit.page.evaluate(clip) in ("inset(0px)", "inset(0px 0px 0px 0%)")
    box = divider.bounding_box()
    visit.page.mouse.move(box["x"] + 5, box["y"] + 40)
    visit.page.mouse.down()
    visit.page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 60, steps=4)
    visit.page.mouse.up()
    assert abs(int(divider.input_value()) - 30) <= 1
    look(visit, "Side by side")
    assert visit.page.evaluate(clip) == "none"
    assert left_edge(visit, "baseline") < left_edge(visit, "cached")


def test_the_difference_plays_along_and_states_its_gain(visit):
    look(visit, "Difference")
    third = "document.querySelector('[data-run=difference] video')"
    visit.page.wait_for_function(f"{third}.readyState >= 2 && !{third}.error")
    visit.page.get_by_role("button", name="One frame forward").click()
    assert times(visit) == [middle(4)] * 3
    url = visit.page.locator(".bw-files a", has_text="Summary").get_attribute("href")
    summary = visit.page.evaluate("async url => (await fetch(url)).json()", url)
    gain = summary["difference_gain"]
    assert visit.text(".bw-gain") == f"Difference × {gain}"
    end = f"{float(f'{100 / gain:.2g}'):g} %"
    assert visit.text(".bw-legend-end") == (end if gain == 1 else f"{end} and more")
    visit.page.get_by_role("button", name="Play", exact=True).click()
    near = "(([a, b, c]) => Math.abs(a - c) < 0.1 && Math.abs(a - b) < 0.1)"
    visit.page.wait_for_function(
        f"{VIDEOS}.every(v => !v.paused && v.currentTime > 0) && "
        f"{near}({VIDEOS}.map(v => v.currentTime))"
    )
    look(visit, "Side by side")
    assert visit.page.evaluate(f"{third}.paused")
    assert visit.page.locator("[data-run=difference]").is_hidden()
    assert visit.page.evaluate(f"!{VIDEOS}[0].paused")
    look(visit, "Difference")
    visit.page.wait_for_function(f"!{third}.paused")


def test_the_blind_test_hides_the_names_counts_and_reveals(visit):
    page = visit.page
    page.evaluate("() => { window.chance = Math.random; Math.random = () => 0.1; }")
    look(visit, "Blind test")
    page.evaluate("() => { Math.random = window.chance; }")
    assert left_edge(visit, "cached") < left_edge(visit, "baseline")
    shown = visit.text(".bw-theatre")
    assert "Uncached" not in shown
    assert "BWCache" not in shown
    assert " s\n" not in visit.text(".bw-stages")
    assert page.locator(".bw-race").is_hidden()
    assert page.locator(".bw-files").is_hidden()
    labels = f"{VIDEOS}.map(v => v.getAttribute('aria-label')).sort()"
    assert page.evaluate(labels) == ["The left video", "The right video"]

    page.get_by_role("button", name="The left one was cached").press("Enter")
    assert visit.text(".bw-answer") == f"Right. The left one was made with {NAME}."
    assert visit.text(".bw-score") == "1 of 1 right on this visit."
    assert "Uncached" in visit.text(".bw-stages")
    assert page.locator(".bw-race").is_visible()
    assert page.evaluate(labels) == [f"{NAME}: the video", "Uncached: the video"]

    page.evaluate("() => { Math.random = () => 0.9; }")
    page.keyboard.press("Enter")  # on "Again", where the focus is now
    assert left_edge(visit, "baseline") < left_edge(visit, "cached")
    page.keyboard.press("Enter")  # on "The left one was cached"
    assert visit.text(".bw-answer") == f"Wrong. The right one was made with {NAME}."
    assert visit.text(".bw-score") == "1 of 2 right on this visit."
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Can't tell").click()
    assert visit.text(".bw-score") == "1 of 2 right on this visit; 1 × can't tell."
    page.evaluate("() => { Math.random = window.chance; }")
    look(visit, "Side by side")
    assert page.locator(".bw-side").first.is_hidden()
    assert left_edge(visit, "baseline") < left_edge(visit, "cached")


def test_the_curve_seeks_both_videos_and_follows_them(visit):
    page, plot = visit.page, visit.page.locator(".bw-plot")
    plot.scroll_into_view_if_needed()
    dots = plot.locator(".scatterlayer .trace >> nth=0 >> path.point")
    dots.first.wait_for()
    assert dots.count() == FRAMES - 1  # the first frame is identical in both
    box, first, last = plot.bounding_box(), dots.first.bounding_box(), dots.last.bounding_box()
    column = (last["x"] - first["x"]) / (FRAMES - 2)
    middle_of_second = first["x"] + first["width"] / 2 - box["x"]
    plot.click(position={"x": middle_of_second + 9 * column, "y": 60})
    assert times(visit) == [middle(10)] * 2
    assert visit.text(".bw-frame") == f"frame 11 / {FRAMES}"
    assert visit.text(".bw-frames-value").startswith(f"Frame 11 / {FRAMES}: PSNR ")
    plot.press("ArrowRight")
    assert times(visit) == [middle(11)] * 2
    assert plot.get_attribute("aria-valuenow") == "12"
    plot.press("End")
    assert times(visit) == [middle(32)] * 2
    plot.press("Home")
    assert times(visit) == [middle(0)] * 2
    alike = f"Frame 1 / {FRAMES}: identical in both videos"
    assert plot.get_attribute("aria-valuetext") == visit.text(".bw-frames-value") == alike
    assert plot.locator(".annotation-text", has_text="=").count() == 1
    assert page.evaluate(BESIDE) < 1
    assert "identical in both videos (1 of 33)" in visit.text(".bw-alike")
    page.locator(".bw-worst").click()
    assert times(visit)[0] > 1
    plot.press("Home")
    page.get_by_role("button", name="Play", exact=True).click()
    page.wait_for_function("document.querySelector('.bw-plot').ariaValueNow > 3")
    plot.press("Enter")  # stops where it is
    page.wait_for_function(SETTLED)


def test_the_page_says_why_there_is_no_lpips(visit):
    assert visit.text(".bw-no-score") == f"No LPIPS here: {NOT_ASKED}."


def test_identical_videos_are_said_to_be_identical(visit):
    visit.set_threshold(0.01)
    visit.page.wait_for_selector("#bw-advice >> text=nothing is reused")
    visit.generate()
    visit.phase("nothing")
    assert visit.text(".bw-alike").startswith(f"All {FRAMES} frames are identical")
    assert visit.page.locator(".bw-plot").is_hidden()
    look(visit, "Difference")
    assert "identical in every pixel" in visit.text(".bw-legend-note")
    look(visit, "Blind test")
    assert "nobody can tell" in visit.text(".bw-answer")
    assert visit.page.locator(".bw-votes").is_hidden()


@pytest.mark.parametrize("width", [390, 1440])
def test_no_view_sticks_out_and_nothing_moves_unasked(browser, address, width):
    options = {"viewport": {"width": width, "height": 900}, "reduced_motion": "reduce"}
    visit = finished(browser, address, **options)
    for view in VIEWS:
        look(visit, view)
        visit.page.wait_for_function(SETTLED)
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= width, view
    visit.close()
    assert not visit.faults
    assert not visit.outside
