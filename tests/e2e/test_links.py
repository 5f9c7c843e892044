"""Permalink, kiosk, language and progress in a real browser."""

import re

import pytest

from bwcache.testing import FakeBackend
from tests.e2e.conftest import Visit, serving

pytestmark = pytest.mark.e2e
PROMPT = "a blue square bouncing on a gray background"
LINK = (  # of a former version
    "?model=tinyworld&prompt=a+blue+square+bouncing+on+a+gray+background&seed=5&steps=12"
    "&threshold=0.2&interval=3&gate=recheck&reuse=forecast"
)
COPIED = (
    "?model=tinyworld&prompt=a+blue+square+bouncing+on+a+gray+background&method=bwcache"
    "&threshold=0.2&reuse_interval=3&tail_fraction=0.5&reuse=forecast&gate=recheck"
    "&indicator_blocks=all&indicator_tokens=128&warm_up_steps=0&max_consecutive=all&step_mask=&steps=12&seed=5"
    "&control=none&random_weights=false&weights=2"
)
NUMBER = "document.querySelector('#bw-threshold input[type=number]').value"


@pytest.fixture(scope="module")
def backend():
    return FakeBackend()


@pytest.fixture(scope="module")
def address(backend):
    with serving(backend) as address:
        yield address.rstrip("/")


def test_an_address_restores_the_settings(browser, address, backend):
    visit = Visit(browser, f"{address}/{LINK}&control=same-levels")
    visit.page.wait_for_function(f"{NUMBER} === '0.2'")
    assert visit.page.get_by_label("Prompt").input_value() == PROMPT
    visit.generate()
    visit.phase("done", "nothing")
    request = backend.requests[-1]
    assert (request.prompt, request.seed, request.steps) == (PROMPT, 5, 12)
    config = request.config
    assert (config.threshold, config.reuse_interval) == (0.2, 3)
    assert (config.gate, config.reuse) == ("recheck", "forecast")
    assert request.control == "same-levels"
    named = visit.text(".bw-stage[data-run=control] .bw-name"), visit.text(".bw-control-line")
    assert named[0] == "Control: same noise levels"
    assert named[1].startswith("Control (same noise levels): ")
    assert "at the same noise levels" in visit.text(".bw-sentence")
    assert not visit.faults
    visit.close()


def test_bad_values_are_said_once_and_ignored(browser, address):
    visit = Visit(browser, f"{address}/?model=nope&steps=1e9&seed=3&threshold=0.2")
    visit.page.wait_for_selector("text=was ignored: model, steps")
    visit.page.wait_for_function(f"{NUMBER} === '0.2'")
    assert visit.page.get_by_text("was ignored").count() == 1
    assert not visit.faults
    visit.close()


def test_the_button_copies_an_address_that_gives_the_same(browser, address):
    permissions = ["clipboard-read", "clipboard-write"]
    visit = Visit(browser, f"{address}/{LINK}", permissions=permissions)
    visit.page.wait_for_function(f"{NUMBER} === '0.2'")
    assert "made for an earlier version of TinyWorld" in visit.text(".toast-body")
    visit.page.get_by_role("button", name="Copy link").click()
    visit.page.wait_for_selector("#bw-link >> text=Link copied")
    assert visit.page.evaluate("navigator.clipboard.readText()") == f"{address}/{COPIED}"
    visit.close()


def test_without_a_clipboard_the_address_can_be_selected(browser, address):
    visit = Visit(browser, address)
    visit.page.evaluate(
        "const value = {writeText: () => Promise.reject()};"
        "Object.defineProperty(navigator, 'clipboard', {value})"
    )
    visit.page.get_by_role("button", name="Copy link").click()
    field = visit.page.get_by_label("Link to these settings")
    field.wait_for()
    assert "model=tinyworld&prompt=a+red+circle" in field.input_value()
    assert visit.page.evaluate("getSelection().toString()").startswith("http")
    visit.close()


def test_a_german_browser_gets_german(browser, address):
    visit = Visit(browser, address, locale="de-DE")
    page = visit.page
    assert page.evaluate("document.documentElement.lang") == "de"
    assert page.get_by_label("Schwelle").count() >= 1
    assert page.get_by_role("radio", name="Ausgewogen").is_checked()
    assert "Hier treten zwei Videos" in visit.text(".bw-empty")
    page.wait_for_selector("#bw-advice >> text=Der Indikator dieses Modells")
    page.get_by_role("button", name="Erzeugen").click()
    visit.phase("done")
    assert "gespart" in visit.text(".bw-sentence")
    page.wait_for_selector("#bw-advice >> text=Erwartet")
    assert re.search(r"\d,\d", visit.text(".bw-sentence"))
    assert not re.search(r"\d\.\d", visit.text(".bw-live"))
    assert not visit.faults
    visit.close()


def test_another_language_has_english_texts(browser, address):
    visit = Visit(browser, address, locale="fr-FR")
    assert visit.page.locator(".bw").first.get_attribute("lang") == "en"
    visit.page.get_by_role("button", name="Generate").wait_for()
    visit.close()


def test_the_language_of_gradios_settings_is_followed(browser, address):
    """Labels, panel, finder and what the server writes; a page that is loaded anew forgets it."""
    visit = Visit(browser, address)
    page = visit.page
    visit.generate()
    visit.phase("done")
    page.wait_for_selector("#bw-advice >> text=Expected")
    page.get_by_role("button", name="Settings").click()
    page.get_by_role("combobox", name="Language").click()
    page.get_by_role("option", name="Deutsch").click()
    page.wait_for_selector(".bw-tour-start >> text=Rundgang")
    page.wait_for_selector("#bw-advice >> text=Erwartet")
    assert page.get_by_role("button", name="Erzeugen").count() == 1
    assert visit.text(".bw-header p:visible").startswith("Ein Videomodell")
    assert visit.text(".bw-whatif-reused").endswith("wiederverwendet")
    assert "Ohne Cache" in visit.text(".bw-stages")
    page.keyboard.press("Escape")
    page.mouse.click(10, 10)  # beside the settings, which closes them
    page.get_by_role("button", name="Meine Schwelle finden").click()
    page.wait_for_selector(".bw-finder[lang=de]", state="attached")
    page.goto(address)
    page.get_by_role("button", name="Generate").wait_for()
    page.wait_for_selector("#bw-advice >> text=This model's indicator")
    assert page.context.cookies() == []
    assert not visit.faults
    visit.close()


def test_progress_says_how_long_and_speaks_once_a_race(browser, address, backend):
    visit = Visit(browser, address)
    page = visit.page
    page.evaluate("""() => {
      window.spoken = [];
      const line = document.querySelector('.bw-progress ~ .bw-spoken');
      new MutationObserver(() => line.textContent && window.spoken.push(line.textContent))
        .observe(line, {childList: true});
    }""")
    assert page.locator(".bw-progress").is_hidden()
    backend.pause = 0.2
    visit.generate()
    page.wait_for_selector(".bw-progress progress:indeterminate", state="attached")
    page.wait_for_selector(".bw-strip[data-run=baseline] span:nth-child(5)")
    assert re.fullmatch(r"about \d+ s left", visit.text(".bw-progress-left"))
    early = page.evaluate("document.querySelector('.bw-progress progress').value")
    page.wait_for_function(
        "early => document.querySelector('.bw-progress progress').value > early", arg=early
    )
    backend.pause = 0.0
    visit.phase("done")
    assert page.locator(".bw-progress").is_hidden()
    assert page.evaluate("window.spoken") == ["Both runs begin."]
    assert not visit.faults
    visit.close()


def test_the_kiosk_shows_the_essentials_and_starts_afresh(browser, address):
    visit = Visit(browser, f"{address}/?kiosk=1&idle=2")
    page = visit.page
    page.wait_for_selector("body.bw-kiosk .bw[data-kiosk]")
    for seen in ("#bw-examples", "#bw-presets", "#bw-buttons"):
        assert page.locator(seen).is_visible()
    for unseen in ("#bw-model", "#bw-threshold", "#bw-advanced", "#bw-copy-link", "footer"):
        assert page.locator(unseen).is_hidden()
    visit.generate()
    visit.phase("done")
    page.wait_for_selector(".bw[data-phase=empty]")  # left alone
    assert "kiosk=1" in page.url
    assert page.evaluate("Object.keys(localStorage).length") == 0
    assert page.evaluate("history.length") <= 2
    visit.close()


def test_a_kiosk_can_be_started_for_everybody(browser):
    with serving(FakeBackend(), kiosk=True) as address:
        visit = Visit(browser, address)
        visit.page.wait_for_selector("body.bw-kiosk")
        visit.close()
