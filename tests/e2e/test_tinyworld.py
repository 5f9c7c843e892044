"""The page around the real thing: TinyWorld on the CPU."""

import pytest

from bwcache.models import find
from tests.e2e.conftest import Visit, serving

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def test_tinyworld_from_prompt_to_verdict(browser):
    from bwcache.runs.compare import compare

    with serving(compare) as address:
        visit = Visit(browser, address)
        visit.page.set_default_timeout(300_000)
        visit.generate()
        visit.phase("done", "nothing")
        assert set(visit.letters("baseline", find("tinyworld").steps)) == {"C"}
        assert visit.letters("cached", find("tinyworld").steps)
        assert visit.text(".bw-sentence")
        playing = "[...document.querySelectorAll('video')].every(v => v.currentTime > 0)"
        visit.page.wait_for_function(playing)
        visit.page.get_by_label("Prompt").fill("a red zyzzyva moving right")
        visit.generate()
        visit.page.wait_for_selector("text=zyzzyva")
        assert all("422" in fault for fault in visit.faults)  # a browser notes every refusal
        assert not visit.outside
        visit.close()
