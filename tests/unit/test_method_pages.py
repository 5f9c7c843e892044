"""Each method has a page whose frame is made of the method itself, with its idea below."""

import pytest

from bwcache.bench.method_pages import END, INDEX, PAGES, frame, index, with_frame
from bwcache.cache.methods import METHODS


@pytest.mark.parametrize("name", METHODS)
def test_each_page_is_up_to_date_and_tells_the_idea(name):
    text = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    assert with_frame(text, frame(name)) == text, "python -m bwcache.bench.method_pages"
    assert len(text.partition(END)[2].split()) > 25


def test_the_list_is_up_to_date_and_there_is_no_other_page():
    text = INDEX.read_text(encoding="utf-8")
    assert with_frame(text, index()) == text, "python -m bwcache.bench.method_pages"
    assert {path.stem for path in PAGES.glob("*.md")} == {*METHODS, INDEX.stem}
