"""Accessibility: axe-core finds nothing serious of ours, and the keyboard reaches everything."""

import pytest

from bwcache.testing import FakeBackend
from tests.e2e.conftest import Visit, serving

axe_module = pytest.importorskip("axe_playwright_python.sync_playwright")
pytestmark = pytest.mark.e2e
SETTLED = 700  # ms: colours fade while a button comes back to life
GRAVE = ("serious", "critical")
STANDARDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]
OPTIONS = {"resultTypes": ["violations"], "runOnly": STANDARDS}
HEADINGS = ("heading-order", "page-has-heading-one", "empty-heading")  # rated lower, held as well
# Findings in Gradio's own markup, which a page cannot change: (rule, part of the selector, why).
GRADIOS = [
    ("nested-interactive", "toast-header", "the header of Gradio's error message is a button with "
     "the closing button in it; the same text stands in the panel"),
]  # fmt: skip


def grave(page) -> list[str]:
    """Serious and critical findings that are ours, as readable lines."""
    page.wait_for_selector("#bw-examples .gallery-item:has-text('circle')")
    page.wait_for_timeout(SETTLED)
    results = axe_module.Axe().run(page, options=OPTIONS).response
    found = []
    for violation in results["violations"]:
        if violation["impact"] not in GRAVE and violation["id"] not in HEADINGS:
            continue
        for node in violation["nodes"]:
            target = " ".join(map(str, node["target"]))
            known = any(
                rule == violation["id"] and part in f"{target} {node['html']}"
                for rule, part, _ in GRADIOS
            )
            if not known:
                found.append(f"{violation['id']}: {target} {node['html'][:160]}")
    return found


@pytest.fixture(scope="module")
def backend():
    return FakeBackend(pause=0.0)


@pytest.fixture(scope="module")
def address(backend):
    with serving(backend) as address:
        yield address


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_grave(browser, address, backend, width, scheme):
    options = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme}
    visit = Visit(browser, address, reduced_motion="reduce", **options)
    found = {"empty": grave(visit.page)}
    backend.pause = 1.5  # time enough to look
    visit.generate()
    visit.page.wait_for_selector(".bw-strip[data-run=baseline] span:nth-child(2)")
    found["running"] = grave(visit.page)
    backend.pause = 0.0
    visit.phase("done")
    visit.chart()
    visit.page.wait_for_selector(".bw-transport:not([hidden])")
    found["finished"] = grave(visit.page)
    backend.fail_at = 3
    visit.page.wait_for_selector("#bw-buttons button.primary:enabled")
    visit.generate()
    visit.phase("error")
    visit.page.wait_for_selector("#bw-buttons button.primary:enabled")
    found["error"] = grave(visit.page)
    backend.fail_at = None
    visit.close()
    assert found == {state: [] for state in found}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nor_in_the_kiosk(browser, address, scheme):
    options = {"viewport": {"width": 1920, "height": 1080}, "color_scheme": scheme}
    options |= {"locale": "de-DE", "reduced_motion": "reduce"}
    visit = Visit(browser, f"{address}?kiosk=1", **options)
    visit.page.get_by_role("button", name="Erzeugen").click()
    visit.phase("done")
    visit.page.wait_for_selector("#bw-buttons button.primary:enabled")
    assert grave(visit.page) == []
    visit.close()


def test_the_keyboard_suffices(browser, address):
    visit = Visit(browser, address)
    page = visit.page
    page.evaluate("document.activeElement.blur()")

    def tab_to(condition: str, most: int = 150) -> None:
        for _ in range(most):
            page.keyboard.press("Tab")
            if page.evaluate(f"(e => {condition})(document.activeElement)"):
                return
        pytest.fail(f"Tab never reached {condition}")

    tab_to("e.tagName === 'TEXTAREA'")
    tab_to("e.textContent.trim() === 'Generate'")
    page.keyboard.press("Enter")
    visit.phase("done")
    page.wait_for_selector(".bw-transport:not([hidden])")
    tab_to("e.matches('.bw-play')")
    playing = "[...document.querySelectorAll('.bw-stage video')].every(v => !v.paused)"
    page.wait_for_function(playing)
    page.keyboard.press("Enter")
    page.wait_for_function("[...document.querySelectorAll('.bw-stage video')].every(v => v.paused)")
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.evaluate(outline) != "none"
    page.keyboard.press("Space")
    page.wait_for_function(playing)
    tab_to("e.matches('.bw-seek')")
    page.keyboard.press("Home")
    page.wait_for_function("document.querySelector('.bw-frame').textContent === 'frame 1 / 33'")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("document.querySelector('.bw-frame').textContent === 'frame 2 / 33'")
    tab_to("e.matches('.bw-files a')")
    assert not visit.faults
    visit.close()
