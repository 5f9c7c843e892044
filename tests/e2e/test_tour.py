"""The tour in a real browser: every step points at a part in sight, with this run's numbers."""

import pytest

from bwcache.testing import FakeBackend
from tests.e2e.conftest import Visit, serving

pytestmark = pytest.mark.e2e
STEPS = 7
# Whether the outlined part's top is in the window and above the dialog.
IN_SIGHT = """() => {
  const part = document.querySelector(".bw-toured").getBoundingClientRect();
  const dialog = document.querySelector(".bw-tour").getBoundingClientRect();
  return part.top >= 0 && Math.min(part.bottom, part.top + 120) <= dialog.top;
}"""


@pytest.fixture(scope="module")
def address():
    with serving(FakeBackend()) as address:
        yield address


def visit_after_a_run(browser, address, width=1440, threshold=None) -> Visit:
    size = {"width": width, "height": 844 if width < 700 else 900}
    visit = Visit(browser, address, viewport=size, reduced_motion="reduce")
    if threshold is not None:
        visit.set_threshold(threshold)
    assert visit.page.locator(".bw-tour-start").is_hidden()
    visit.generate()
    visit.phase("done", "nothing")
    visit.chart()
    return visit


def close(visit) -> None:
    visit.close()
    assert not visit.faults
    assert not visit.outside


@pytest.mark.parametrize("width", [390, 768, 1440])
def test_every_step_points_at_a_part_in_sight(browser, address, width):
    visit = visit_after_a_run(browser, address, width)
    page = visit.page
    page.get_by_role("button", name="Take the tour").click()
    dialog, said, parts = page.get_by_role("dialog"), [], set()
    for at in range(STEPS):
        assert visit.text(".bw-tour-count") == f"{at + 1} of {STEPS}"
        assert page.locator(".bw-toured").count() == 1
        assert page.evaluate(IN_SIGHT)
        parts.add(page.locator(".bw-toured").get_attribute("class"))
        assert dialog.get_attribute("aria-labelledby") == "bw-tour-title"
        said.append(dialog.inner_text())
        page.get_by_role("button", name="Done" if at == STEPS - 1 else "Next", exact=True).click()
    assert dialog.is_hidden()
    assert len(parts) == STEPS
    text = "\n".join(said)
    assert "{" not in text
    assert "undefined" not in text
    assert "NaN" not in text
    assert "2509.13789" in text
    speedup = page.locator(".bw-numbers dd").nth(1).inner_text()
    assert speedup in said[5]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    close(visit)


def test_keys_and_focus(browser, address):
    visit = visit_after_a_run(browser, address)
    page = visit.page
    start = page.get_by_role("button", name="Take the tour")
    start.focus()
    page.keyboard.press("Enter")
    inside = "document.querySelector('.bw-tour').contains(document.activeElement)"
    for key in ("Tab", "Tab", "Shift+Tab", "Tab", "Tab", "Shift+Tab", "Shift+Tab"):
        page.keyboard.press(key)
        assert page.evaluate(inside)
    page.get_by_role("button", name="Next", exact=True).press("Enter")
    assert visit.text(".bw-tour-count") == f"2 of {STEPS}"
    page.get_by_role("button", name="Back", exact=True).press("Enter")
    assert visit.text(".bw-tour-count") == f"1 of {STEPS}"
    assert page.evaluate(inside)
    page.keyboard.press("Escape")
    assert page.get_by_role("dialog").is_hidden()
    assert page.locator(".bw-toured").count() == 0
    assert start.evaluate("node => node === document.activeElement")
    close(visit)


def test_a_run_that_reused_nothing_has_its_own_words(browser, address):
    visit = visit_after_a_run(browser, address, threshold=0.01)
    page = visit.page
    page.get_by_role("button", name="Take the tour").click()
    for _ in range(3):
        page.get_by_role("button", name="Next", exact=True).click()
    assert "In this run none was" in page.get_by_role("dialog").inner_text()
    for _ in range(2):  # nothing is said of a gain
        page.get_by_role("button", name="Next", exact=True).click()
    assert visit.text(".bw-tour-count") == f"{STEPS - 1} of {STEPS - 1}"
    assert "identical in every pixel" in page.get_by_role("dialog").inner_text()
    visit.generate()
    page.wait_for_selector(".bw-tour", state="hidden")  # what it spoke of is gone
    visit.phase("nothing")
    close(visit)
