"""The what-if slider in a real browser: it foretells what a run does, and asks no server."""

import pytest

from bwcache.cache.letters import LETTERS
from bwcache.cache.methods.bwcache import BWCacheConfig
from bwcache.cache.predict import predict, reuse_starts_above
from bwcache.models import find
from bwcache.runs.events import ComparisonFinished
from bwcache.runs.request import Request
from bwcache.runs.rounding import Shown
from bwcache.testing import FakeBackend
from tests.e2e.conftest import Visit, serving

pytestmark = pytest.mark.e2e
SPEC = find("tinyworld")
PRESET = SPEC.default_preset.config
INTERVAL = PRESET.reuse_interval
STEPS = SPEC.steps


@pytest.fixture(scope="module")
def address():
    with serving(FakeBackend()) as address:
        yield address


@pytest.fixture
def visit(browser, address):
    """A visit with a finished run and its videos paused."""
    visit = Visit(browser, address, reduced_motion="reduce")
    visit.generate()
    visit.phase("done")
    visit.page.wait_for_selector(".bw-transport:not([hidden])")
    visit.page.wait_for_selector(".bw-whatif:not([hidden])")
    visit.page.wait_for_function("window.messages.some(m => m.includes('process_completed'))")
    visit.page.wait_for_selector("#bw-advice >> text=Expected")
    yield visit
    visit.close()
    assert not visit.faults
    assert not visit.outside


def run(config: BWCacheConfig):
    """A comparison of the fake's, as the server would make it."""
    *_, finished = FakeBackend()(Request(SPEC.examples[0], steps=STEPS, config=config))
    assert isinstance(finished, ComparisonFinished)
    return finished.trace_file


def slider(visit):
    return visit.page.get_by_label("Threshold to try")


def move(visit, place: int) -> float:
    """Put the slider there; the threshold it stands for, once the strip has followed."""
    slider(visit).fill(str(place))
    visit.page.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
    value = slider(visit).get_attribute("aria-valuetext")
    assert visit.text(".bw-whatif-value") == value
    return float(value)


def foretold(visit) -> list[str]:
    return visit.page.locator(".bw-whatif .bw-cells span").all_inner_texts()


def letters(schedule) -> list[str]:
    return [LETTERS[action] for action in schedule]


def test_ten_thresholds_without_a_request(visit):
    uncached = run(BWCacheConfig(0.0)).baseline
    last = int(slider(visit).get_attribute("max"))
    sent, seen = [], set()
    visit.page.on("request", lambda request: sent.append(request.url))
    for part in range(10):
        config = BWCacheConfig(move(visit, round(part * last / 9)), INTERVAL)
        expected = predict(uncached, config)
        assert foretold(visit) == letters(expected.schedule)
        assert "exact" in visit.text(".bw-whatif-kind")
        if expected.steps_reused:
            said = f"{expected.steps_reused} of {STEPS} steps reused"
            assert visit.text(".bw-whatif-reused") == said
            assert f"about {Shown(expected.predicted_seconds):seconds} s" in visit.text(
                ".bw-whatif-seconds"
            )
            assert "own step times" in visit.text(".bw-whatif-kind")
        else:
            assert visit.text(".bw-whatif-reused") == "Nothing reused"
        if part % 3 == 0:
            assert foretold(visit) == letters(run(config).cached.schedule)
        seen.add(tuple(foretold(visit)))
    assert len(seen) > 3
    box = slider(visit).bounding_box()
    visit.page.mouse.move(box["x"] + 10, box["y"] + box["height"] / 2)
    visit.page.mouse.down()
    visit.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=15)
    visit.page.mouse.up()
    visit.page.wait_for_timeout(300)
    assert sent == []


def test_interval_and_gate(visit):
    uncached, page = run(BWCacheConfig(0.0)).baseline, visit.page
    threshold = move(visit, int(slider(visit).get_attribute("max")) // 3)
    page.locator(".bw-whatif-interval").select_option("6")
    expected = predict(uncached, BWCacheConfig(threshold, 6))
    page.wait_for_selector(f".bw-whatif-reused >> text=/^{expected.steps_reused} of/")
    assert foretold(visit) == letters(expected.schedule)
    page.locator(".bw-whatif-gate").select_option("recheck")
    page.wait_for_selector(".bw-whatif-kind >> text=an estimate")
    assert foretold(visit) == letters(
        predict(uncached, BWCacheConfig(threshold, 6, gate="recheck")).schedule
    )


def test_it_starts_at_the_run_and_returns_to_it(visit):
    page = visit.page
    assert float(slider(visit).get_attribute("aria-valuetext")) == PRESET.threshold
    assert foretold(visit) == visit.letters("cached", STEPS)
    lowest = reuse_starts_above(run(BWCacheConfig(0.0)).baseline, BWCacheConfig())
    assert f"{lowest:.3g} and below reuses nothing" in visit.text(".bw-whatif-starts")
    slider(visit).press("ArrowRight")
    page.wait_for_selector(".bw-chart .annotation-text >> text=what if")
    assert float(slider(visit).get_attribute("aria-valuetext")) > PRESET.threshold
    page.get_by_role("button", name="Back to this run").click()
    page.wait_for_selector(".bw-chart .annotation-text >> text=/^threshold/")
    assert foretold(visit) == visit.letters("cached", STEPS)


def test_what_the_form_cannot_take_is_said(visit):
    interval = visit.page.locator(".bw-whatif-interval")
    interval.evaluate("node => node.append(new Option('many', 'many'))")
    interval.select_option("many")
    visit.page.get_by_role("button", name="Use this threshold").click()
    visit.page.wait_for_selector("text=reuse_interval: got 'many'")
    visit.page.wait_for_function("document.querySelector('#bw-presets input:checked')")


def test_its_button_fills_the_form_and_the_run_is_as_foretold(visit):
    page = visit.page
    page.evaluate("window.same = true")
    threshold = move(visit, int(slider(visit).get_attribute("max")) // 2)
    page.locator(".bw-whatif-interval").select_option("8")
    page.locator(".bw-whatif-gate").select_option("once")
    page.get_by_role("button", name="Use this threshold").click()
    number = "document.querySelector('#bw-threshold input[type=number]').value"
    page.wait_for_function(f"Number({number}) === {threshold}")
    page.wait_for_selector("#bw-advice >> text=Expected")
    assert page.locator("#bw-presets input:checked").count() == 0
    expected = foretold(visit)
    assert expected == letters(run(BWCacheConfig(threshold, 8)).cached.schedule)
    visit.generate()
    page.wait_for_selector(f".bw-whatif-value >> text='{threshold}'")
    visit.phase("done")
    page.wait_for_function(
        "n => [...document.querySelectorAll('.bw-strip[data-run=cached] .bw-cells span')]"
        ".map(c => c.innerText).join('') === n",
        arg="".join(expected),
    )
    assert page.evaluate("window.same") is True
