"""The gallery's index: what the browser is told of recorded runs, and what it may fetch."""

from urllib.parse import unquote
from urllib.request import urlopen

import pytest
from gradio.data_classes import _StaticFiles

from bwcache.cache.methods.bwcache import BWCacheConfig
from bwcache.cache.methods.bwcache_plus import BWCachePlusConfig
from bwcache.runs.record import LEFT_OUT, record
from bwcache.runs.recorded import load
from bwcache.runs.request import Request
from bwcache.testing import FakeBackend
from bwcache.ui import Host, build, launch
from bwcache.ui.events import comparison_job
from bwcache.ui.gallery import index
from bwcache.ui.handlers import FILE_ROUTE, Handlers
from bwcache.ui.panel import PLOTLY, STATIC, live_panel
from bwcache.ui.sessions import Visitors
from tests.ui.given import PROMPT, given

REQUEST = Request(PROMPT, steps=12, config=BWCacheConfig(0.06), control=True)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("with space") / "runs"
    for slug in ("1-first", "2-second", "3-third"):
        record(FakeBackend()(REQUEST), REQUEST, f"Title {slug}", "A caption.", folder / slug)
    (folder / "2-second" / "run.json").write_text("{")
    return folder


def test_rows_are_those_of_a_visitor_s_own_run(runs):
    recorded = load(runs / "1-first").rows
    handlers = Handlers(comparison_job(FakeBackend(), Host(), str), Visitors())
    asked, *_ = handlers.enter(given(control=True), "en")
    updates = handlers.run(asked, "a", "en")
    own = max((update[0] for update in updates if isinstance(update[0], list)), key=len)
    assert len(recorded) == len(own)
    for ours, theirs in zip(recorded, own, strict=True):
        left = {key: value for key, value in theirs.items() if key not in (*LEFT_OUT, "id")}
        assert {key: value for key, value in ours["row"].items() if key != "id"} == left


def test_the_card_of_a_method_without_a_threshold_names_the_method(tmp_path):
    request = Request(PROMPT, steps=12, config=BWCachePlusConfig())
    record(FakeBackend()(request), request, "Title", "A caption.", tmp_path / "1-plus")
    (card,) = index(tmp_path)
    assert (card["method"], card["threshold"]) == ("BWCache+", None)


def test_the_index_has_a_card_for_each_run_and_a_sentence_for_a_broken_one(runs):
    first, second, third = index(runs)
    assert (first["slug"], first["title"], first["caption"]) == (
        "1-first", "Title 1-first", "A caption.",
    )  # fmt: skip
    assert (first["prompt"], first["threshold"], first["hardware"]) == (PROMPT, 0.06, "a fake")
    assert first["method"] == "BWCache"
    assert first["speedup"] > 1
    assert first["psnr_db"] > 20
    assert first["words"]["en"]["verdict"].startswith("Saved")
    assert first["words"]["de"]["verdict"] != first["words"]["en"]["verdict"]
    assert second.keys() == {"slug", "title", "error"}
    assert second["error"].startswith("run.json: found no valid JSON")
    assert str(runs) not in second["error"]
    assert third["slug"] == "3-third"
    assert index(None) == index(runs / "nowhere") == []


def test_no_address_leads_outside_the_folder(runs):
    for entry in index(runs)[::2]:
        for url in (entry["folder"], entry["thumbnail"]):
            assert url.startswith(FILE_ROUTE)
            assert " " not in url
            path = unquote(url.removeprefix(FILE_ROUTE))
            assert path.startswith(f"{runs / entry['slug']}/")
            assert ".." not in path


def test_the_panel_carries_the_index_and_serves_that_folder_alone(runs, monkeypatch):
    monkeypatch.setattr(_StaticFiles, "all_paths", [])
    assert live_panel(runs).props["runs"] == index(runs)
    assert _StaticFiles.all_paths == [runs, STATIC, PLOTLY.resolve()]
    _StaticFiles.all_paths.clear()
    assert live_panel().props["runs"] == []
    assert _StaticFiles.all_paths == [STATIC, PLOTLY.resolve()]


def test_what_is_served(runs, tmp_path_factory):
    (runs.parent / "secret.json").write_text("{}")
    page = build(FakeBackend(), runs=runs)
    _, address, _ = launch(page, prevent_thread_lock=True, quiet=True)
    try:
        entry = index(runs)[0]
        with urlopen(f"{address.rstrip('/')}{entry['folder']}run.json") as answer:
            assert answer.read() == (runs / "1-first" / "run.json").read_bytes()
        for path in ("../secret.json", "..%2Fsecret.json", "../../etc/passwd", ""):
            with pytest.raises(OSError, match="403|404"):
                urlopen(f"{address.rstrip('/')}{entry['folder']}../{path}")
    finally:
        page.close(verbose=False)
