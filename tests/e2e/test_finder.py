"""Find my threshold in a real browser, around the fake backend."""

import pytest

from bwcache.models import find
from bwcache.testing import FakeBackend
from tests.e2e.conftest import Visit, serving, visiting

pytestmark = pytest.mark.e2e
STEPS = find("tinyworld").steps
ROWS = ".bw-finder tbody tr"
OVER = ".bw-finder[data-state=met], .bw-finder[data-state=missed]"


@pytest.fixture(scope="module")
def backend():
    return FakeBackend(pause=0.005)


@pytest.fixture(scope="module")
def address(backend):
    with serving(backend) as address:
        yield address


@pytest.fixture
def visit(browser, address):
    with visiting(Visit(browser, address).unfold("Find my threshold", "Find")) as visit:
        yield visit


def search(visit: Visit, value: float, speed: bool = False) -> None:
    if speed:
        visit.page.get_by_role("radio", name="this much faster").check()
        visit.page.get_by_label("Times as fast").wait_for()
    visit.page.locator("#bw-find-value input").fill(str(value))
    visit.button("Find").click()


def over(visit: Visit) -> str:
    """Wait for the end; what it says."""
    visit.page.wait_for_selector(OVER)
    return visit.text(".bw-finder .bwf-sentence")


@pytest.mark.parametrize(("value", "speed"), [(40, False), (2, True)])
def test_a_rerun_of_what_is_recommended_meets_the_goal(visit, value, speed):
    page = visit.page
    search(visit, value, speed)
    page.wait_for_selector(ROWS)  # before the end: trials appear as they land
    said = over(visit)
    assert said.startswith("Use threshold")
    best = page.locator(f"{ROWS}.best td").all_inner_texts()
    assert f"threshold {best[0]} with reuse interval {best[1]}" in said
    assert "met" in best[-1]
    page.wait_for_selector(".bw-finder .bwf-chart .main-svg")
    visit.button("Use this setting").click()
    page.wait_for_selector(".bw-finder .bwf-used >> text=Generate")
    shown = "document.querySelector('#bw-threshold input[type=number]').value"
    page.wait_for_function(f"Number({shown}) === {best[0]}")
    visit.generate()
    visit.phase("done")
    if speed:  # decided by the work done, whatever the clock says
        assert float(best[2].removesuffix("×")) >= value
    else:
        lines = visit.text(".bw-numbers").splitlines()
        place = lines.index("PSNR")
        near = next(text for text in (lines[place - 1], lines[place + 1]) if text.endswith(" dB"))
        assert float(near.removesuffix(" dB")) >= value
    assert "remembered from before" in visit.text(".bw-stage[data-run=baseline] .bw-note")


@pytest.mark.parametrize(("value", "speed"), [(95, False), (60, True)])
def test_a_goal_out_of_reach_gets_a_clear_sentence(visit, value, speed):
    search(visit, value, speed)
    said = over(visit)
    assert said.startswith("No setting tried")
    assert str(value) in said
    assert visit.page.locator(".bw-finder").get_attribute("data-state") == "missed"
    assert "best" in visit.page.locator(f"{ROWS}.best").get_attribute("class")


def test_a_trial_can_be_looked_at_with_the_keyboard(visit):
    search(visit, 40)
    over(visit)
    visit.page.mouse.move(0, 0)  # away from the table, which has grown under it
    visit.page.wait_for_timeout(100)
    second = visit.button("Look at trial 2")
    second.focus()
    threshold = visit.page.locator(f"{ROWS}:nth-child(2) td").first.inner_text()
    assert visit.text(".bw-finder .bwf-detail-title").startswith(f"Trial 2: threshold {threshold}")
    pictures = visit.page.locator(".bw-finder .bwf-detail figure:visible img")
    assert pictures.count() == 2
    found = "[...document.querySelectorAll('.bw-finder .bwf-detail img')]"
    loaded = f"{found}.every(i => i.naturalWidth > 200)"
    visit.page.wait_for_function(loaded)
    assert all("frames" in pictures.nth(i).get_attribute("alt") for i in range(2))
    assert visit.page.locator(".bw-finder .bwf-schedule i").count() == STEPS


def test_stopping_and_searching_again(visit, backend):
    quick, backend.pause = backend.pause, 0.5
    visit.page.get_by_label("Prompt").fill("a green circle moving up on a white background")
    search(visit, 40)
    visit.page.wait_for_selector(".bw-finder .bwf-status >> text=step 2 of")
    visit.button("Stop search").click()
    visit.page.wait_for_selector(".bw-finder[data-state=stopped]")
    backend.pause = quick
    assert "Stopped" in visit.text(".bw-finder .bwf-status")
    visit.page.wait_for_function(
        "() => ![...document.querySelectorAll('button')].find(b => b.innerText === 'Find').disabled"
    )
    visit.button("Find").click()
    assert over(visit).startswith("Use threshold")


def test_bad_input_is_said_and_starts_nothing(visit, backend):
    before = len(backend.requests)
    search(visit, 0)
    visit.page.wait_for_selector(".bw-refusal >> text=0 is not possible here")
    assert len(backend.requests) == before


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_sticks_out_at_any_width(browser, address, width, scheme):
    options = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme}
    visit = Visit(browser, address, **options).unfold("Find my threshold", "Find")
    search(visit, 40)
    over(visit)
    visit.page.wait_for_selector(".bw-finder .bwf-chart .main-svg")
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
    assert visit.overhang(".bw-finder .bwf-table") <= 0
    visit.page.set_viewport_size({"width": min(width, 360), "height": 900})
    assert visit.overhang(".bw-finder .bwf-table") <= 0
    assert not visit.faults
    assert not visit.outside
    visit.close()
