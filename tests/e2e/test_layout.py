"""One screen: what is in sight without scrolling, the stage and its keys, in a real browser."""

import pytest

from bwcache.testing import BLOCKS, FakeBackend
from tests.e2e.conftest import Visit, serving, visiting

pytestmark = pytest.mark.e2e
SIZES = ((1920, 1080), (1440, 900), (1280, 720))
STEPS = 30
ALWAYS = {
    ".bw-stage[data-run=baseline] .bw-screen": 100,  # and how high it is at least, in pixels
    ".bw-stage[data-run=cached] .bw-screen": 100,
    ".bw-lane[data-run=baseline]": 18,
    ".bw-lane[data-run=cached]": 18,
    ".bw-axis": 12,
    ".bw-chart .main-svg >> nth=0": 80,
    ".bw-heats canvas >> nth=0": 20,
    ".bw-net[data-run=cached]": 20,
    "#bw-buttons button.primary": 30,
}
RUNNING = {**ALWAYS, ".bw-status": 20, ".bw-progress": 10}
FINISHED = {**ALWAYS, ".bw-big b": 30, ".bw-sentence": 18, ".bw-transport": 30}
# Texts that are seen and whose letters are smaller than so many pixels.
SMALL = """(least) => {
  const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode());) {
    const { parentElement: parent, textContent } = node;
    if (!textContent.trim() || parent.closest("script, style, .bw-spoken")) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const box = range.getBoundingClientRect();
    const looks = { opacityProperty: true, visibilityProperty: true };
    if (!box.width || !box.height || !parent.checkVisibility(looks)) continue;
    const size = parseFloat(getComputedStyle(parent).fontSize);
    if (size < least) found.push(`${size} px: ${textContent.trim().slice(0, 40)}`);
  }
  return found;
}"""
# Controls that a message lies on.
COVERED = """() => {
  const message = document.querySelector(".toast-wrap").getBoundingClientRect();
  return [...document.querySelectorAll("button, input, textarea, select, a, summary")]
    .filter((node) => !node.closest(".toast-wrap") && node.checkVisibility())
    .map((node) => [node, node.getBoundingClientRect()])
    .filter(([, box]) => box.width && box.left < message.right && box.right > message.left
      && box.top < message.bottom && box.bottom > message.top)
    .map(([node]) => node.outerHTML.slice(0, 120));
}"""


@pytest.fixture(scope="module")
def backend():
    return FakeBackend()


@pytest.fixture(scope="module")
def address(backend):
    with serving(backend) as address:
        yield address


@pytest.fixture
def visit(browser, address):
    size = {"width": 1280, "height": 720}
    with visiting(Visit(browser, address, viewport=size, reduced_motion="reduce")) as visit:
        yield visit


@pytest.fixture
def stage(browser, address):
    size = {"width": 1280, "height": 720}
    options = {"viewport": size, "reduced_motion": "reduce"}
    with visiting(Visit(browser, f"{address}?stage=1", **options)) as visit:
        yield visit


def all_in_view(visit: Visit, parts: dict[str, int]) -> None:
    """Every part lies in the window, at every size and in both schemes."""
    for dark in (False, True):
        visit.page.evaluate("dark => document.body.classList.toggle('dark', dark)", dark)
        for width, height in SIZES:
            visit.page.set_viewport_size({"width": width, "height": height})
            visit.page.wait_for_timeout(300)  # the charts take the new size
            for part, least in parts.items():
                box = visit.page.locator(part).bounding_box()
                assert box, part
                where = (part, width, height, dark, box)
                assert box["height"] >= least, where
                assert 0 <= box["x"] <= width + 0.5 - box["width"], where
                assert 0 <= box["y"] <= height + 0.5 - box["height"], where
    assert visit.page.evaluate("scrollY") == 0


def done(visit: Visit) -> None:
    visit.generate()
    visit.phase("done")
    visit.page.wait_for_selector(".bw-transport:not([hidden])")
    visit.page.wait_for_selector(".bw-chart .main-svg")


@pytest.mark.parametrize("query", ["", "?stage=1", "?kiosk=1"])
def test_all_is_in_sight_during_a_run_and_after_it(browser, address, backend, query):
    options = {"viewport": {"width": 1280, "height": 720}, "reduced_motion": "reduce"}
    with visiting(Visit(browser, address + query, **options)) as visit:
        backend.pause = 1.0  # time enough to look
        visit.generate()
        visit.page.wait_for_selector(".bw-lane[data-run=baseline] i:nth-child(3)")
        visit.page.wait_for_selector(".bw-chart .main-svg")
        all_in_view(visit, RUNNING)
        backend.pause = 0.0
        visit.phase("done")
        visit.page.wait_for_selector(".bw-transport:not([hidden])")
        all_in_view(visit, FINISHED)
        if query:
            visit.page.wait_for_selector("#bw-buttons button.primary:enabled")
            assert visit.page.evaluate(SMALL, 18) == []


def test_the_page_is_centred_and_the_form_stays_in_sight(visit):
    done(visit)
    for width in (390, 1280, 1920, 2560):
        visit.page.set_viewport_size({"width": width, "height": 900})
        visit.page.evaluate("scrollTo(0, 0)")
        box = visit.page.locator("main").bounding_box()
        assert abs(box["x"] - (width - box["x"] - box["width"])) <= 1, width
        visit.page.evaluate("scrollTo(0, 1e6)")
        assert visit.page.evaluate("scrollY") > 0
        if width > 1000:
            form, button = (visit.page.locator(f"#bw-{name}") for name in ("form", "buttons"))
            assert 0 <= form.bounding_box()["y"] < 40
            assert button.bounding_box()["y"] + button.bounding_box()["height"] <= 900


def test_no_number_sticks_out_of_its_tile(visit):
    done(visit)
    visit.page.eval_on_selector_all(
        ".bw-numbers dd", "all => all.forEach(each => (each.textContent = '61.7 dB'))"
    )
    for width in (360, 390, 1000, 1280, 1440, 1920, 2560):
        visit.page.set_viewport_size({"width": width, "height": 900})
        out = "all => Math.max(...all.map(each => each.scrollWidth - each.clientWidth))"
        assert visit.page.eval_on_selector_all(".bw-numbers dd", out) <= 0, width


@pytest.mark.parametrize("widths", [(390,), (844, 390)])  # as it is held, and after it was turned
def test_the_clocks_numbers_lie_apart(browser, address, widths):
    options = {"viewport": {"width": widths[0], "height": 844}}
    with visiting(Visit(browser, address + "?steps=29", **options)) as visit:
        visit.generate()  # 3.48 pretended seconds: 0.0, 0.5, 1.0 … where there is room
        visit.phase("done")
        for width in widths:
            visit.page.set_viewport_size({"width": width, "height": 844})
            visit.page.wait_for_function(
                "() => { const boxes = [...document.querySelectorAll('.bw-ticks > span')]"
                ".map((each) => each.getBoundingClientRect());"
                "return boxes.length > 1"
                " && boxes.every((box, i) => !i || box.left > boxes[i - 1].right + 6); }"
            )


def test_generate_brings_the_race_into_view(visit):
    done(visit)
    visit.page.evaluate("scrollTo(0, 1e6)")
    visit.page.wait_for_selector("#bw-buttons button.primary:enabled")
    visit.page.keyboard.press("Control+Enter")
    visit.page.wait_for_function(
        "(() => { const box = document.querySelector('.bw-overview').getBoundingClientRect();"
        " return box.top >= 0 && box.bottom <= innerHeight + 1; })()"
    )
    visit.phase("done")


def test_enter_starts_a_run_and_letters_in_the_prompt_are_letters(stage, backend):
    prompt = stage.page.get_by_label("Prompt")
    before = len(backend.requests)
    prompt.fill("a blue square bouncing on a gray background")
    prompt.press("Shift+Home")
    prompt.press("g")
    prompt.press("f")
    assert len(backend.requests) == before
    prompt.fill("a blue square bouncing on a gray background")
    prompt.press("Enter")
    stage.phase("done")
    assert backend.requests[-1].prompt == "a blue square bouncing on a gray background"


def test_the_stage_obeys_keys(stage):
    page = stage.page
    page.locator("h1").click()
    page.keyboard.press("g")
    stage.phase("done")
    page.wait_for_selector(".bw-transport:not([hidden])")
    videos = "[...document.querySelectorAll('.bw-stage video')]"
    page.keyboard.press("Space")
    page.wait_for_function(f"{videos}.every(video => !video.paused)")
    page.keyboard.press("Space")
    page.wait_for_function(f"{videos}.every(video => video.paused)")
    page.keyboard.press("2")
    assert page.locator(".bw-wipe").is_visible()
    page.keyboard.press("1")
    assert page.locator(".bw-wipe").is_hidden()
    page.keyboard.press("f")
    page.wait_for_function("document.fullscreenElement !== null")
    page.keyboard.press("f")
    page.wait_for_function("document.fullscreenElement === null")


def test_elsewhere_a_single_key_does_nothing(visit, backend):
    before = len(backend.requests)
    visit.page.locator("h1").click()
    visit.page.keyboard.press("g")
    visit.page.wait_for_timeout(300)
    assert visit.page.locator(".bw[data-phase=empty]").count() == 1
    assert len(backend.requests) == before
    visit.page.get_by_role("button", name="Stage view").click()
    visit.page.locator("h1").click()
    visit.page.keyboard.press("g")
    visit.phase("done")


def test_back_through_the_denoising_of_both_runs(visit):
    done(visit)
    page, slider = visit.page, visit.page.get_by_label("Back through the denoising")
    pictures = "[...document.querySelectorAll('.bw-stage img')].map(one => one.src)"
    last = page.evaluate(pictures)
    assert visit.text(".bw-scrubber-value") == "finished"
    replayed = visit.letters("cached", STEPS).index("r")
    slider.fill(str(replayed + 1))
    assert visit.text(".bw-scrubber-value") == f"step {replayed + 1} / {STEPS}"
    earlier = page.evaluate(pictures)
    assert all(now != then for now, then in zip(last, earlier, strict=True))
    assert (
        page.locator(".bw-stage[data-run=cached] img").evaluate(
            "node => getComputedStyle(node).opacity"
        )
        == "1"
    )
    # What that step did: all blocks of the one run, and a bridge over those of the other.
    assert page.locator(".bw-net[data-run=baseline] .bw-ran").count() == BLOCKS
    assert page.locator(".bw-net[data-run=baseline] .bw-bridge").count() == 0
    assert page.locator(".bw-net[data-run=cached] .bw-replayed").count() == BLOCKS
    assert page.locator(".bw-net[data-run=cached] .bw-bridge").count() == 1
    slider.press("End")
    assert visit.text(".bw-scrubber-value") == "finished"
    assert page.locator(".bw[data-scrubbed]").count() == 0
    slider.press("Home")
    page.get_by_role("button", name="Play", exact=True).click()
    assert page.locator(".bw[data-scrubbed]").count() == 0


def test_light_and_dark_are_one_click_apart_and_remembered(visit):
    dark = "document.body.classList.contains('dark')"
    before = visit.page.evaluate(dark)
    visit.page.get_by_role("button", name="Light or dark").click()
    assert visit.page.evaluate(dark) != before
    visit.page.reload()
    visit.page.wait_for_function(f"{dark} === {str(not before).lower()}")


def test_a_message_covers_no_control(browser, address):
    with visiting(Visit(browser, f"{address}?threshold=often")) as visit:  # which is left out
        visit.page.wait_for_selector(".toast-body")
        visit.page.wait_for_function("document.body.style.getPropertyValue('--toast-room') !== ''")
        assert visit.page.evaluate(COVERED) == []
