"""QuantCache on 8-bit weights: its page says what its file says."""

import json

from bwcache.bench.method_pages import PAGES
from bwcache.bench.quantized import EIGHT, FULL, RESULTS, sentence


def test_the_page_says_what_was_measured():
    recorded = json.loads(RESULTS.read_text(encoding="utf-8"))
    page = " ".join((PAGES / "quantcache.md").read_text(encoding="utf-8").split())
    assert sentence(recorded) in page
    kinds = {(each["weights"], each["cached"]) for each in recorded["points"]}
    assert kinds == {(FULL, True), (EIGHT, False), (EIGHT, True)}
    assert len(recorded["prompts"]) >= 6
