"""What a chat shows of a link to the page, and the page's icon."""

import re
from urllib.request import Request, urlopen

import pytest
from PIL import Image

from bwcache.ui.languages import TITLE
from bwcache.ui.link_preview import PICTURE, SIZE
from tests.ui.serving import serving


@pytest.fixture(scope="module")
def address():
    with serving() as served:
        yield served.address


def fetch(address: str, **headers: str) -> str:
    with urlopen(Request(address, headers=headers), timeout=30) as answer:
        return answer.read().decode()


def tags(page: str) -> dict[str, str]:
    found = re.findall(r'<meta\s+(?:property|name)="(.*?)"\s+content="(.*?)"', page)
    names = [name for name, _ in found]
    assert len(names) == len(set(names))
    return dict(found)


def test_a_link_shows_the_project_and_a_picture_that_is_there(address):
    page = fetch(address)
    found = tags(page)
    assert found["og:title"] == TITLE
    assert "video" in found["og:description"]
    assert found["og:url"] == address
    assert not [name for name, text in found.items() if "gradio.app" in text or text == "Gradio"]
    with urlopen(found["og:image"], timeout=30) as answer:
        assert answer.headers["content-type"] == "image/jpeg"
        assert len(answer.read()) == PICTURE.stat().st_size
    assert Image.open(PICTURE).size == SIZE


def test_behind_a_proxy_the_addresses_are_those_that_a_visitor_sees(address):
    page = fetch(address, **{"X-Forwarded-Proto": "https", "X-Forwarded-Host": "films.example"})
    assert tags(page)["og:url"] == "https://films.example/"
    assert tags(page)["og:image"].startswith("https://films.example/gradio_api/file=")


def test_a_host_s_name_is_never_markup(address):
    page = fetch(address, **{"X-Forwarded-Host": 'a"><script>hit()</script>'})
    assert "<script>hit" not in page


def test_the_page_has_an_icon(address):
    (icon,) = re.findall(r'<link rel="icon" type="image/svg.xml" href="(.*?)"', fetch(address))
    for place in (icon, f"{address}favicon.ico"):
        with urlopen(place, timeout=30) as answer:
            assert "svg" in answer.headers["content-type"]
