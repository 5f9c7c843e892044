"""What the buttons do, without a browser and without a model."""

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import gradio as gr
import pytest

from bwcache import models
from bwcache.errors import ConfigError
from bwcache.models import ModelError, find
from bwcache.models.spec import MethodFacts
from bwcache.runs.baselines import BaselineStore, remembering
from bwcache.runs.row_kinds import END
from bwcache.testing import FakeBackend
from bwcache.ui import build, form
from bwcache.ui.advice import Adviser
from bwcache.ui.events import comparison_job
from bwcache.ui.handlers import Handlers
from bwcache.ui.host import Host
from bwcache.ui.languages import CATALOGUE
from bwcache.ui.panel import template
from bwcache.ui.results import Results
from bwcache.ui.sessions import Visitors
from tests.ui.given import PROMPT, given
from tests.ui.jobs import lists_of, only_grow, shown

SAYS = CATALOGUE.say("en")


class Page:
    """Generate and the line of advice, for visitors of one page."""

    def __init__(self, compare=None, folder: Path | None = None, host: Host | None = None):
        def publish(path: Path) -> str:
            return str(path if folder is None else path.replace(folder / path.name))

        self.visitors, host = Visitors(), host or Host()
        job = comparison_job(compare or FakeBackend(), host, publish)
        self.handlers = Handlers(job, self.visitors, Results())
        self.adviser = Adviser(self.visitors, host)

    def generate(self, session: str = "a", **changes):
        asked, *_ = self.handlers.enter(given(**changes), "en")
        yield from self.handlers.run(asked, session, "en")

    def advice(self, session: str = "a", **changes) -> str:
        values = given(**changes)
        return self.adviser.advice(self.adviser.subject(values, None), values, session)


def test_rows_come_one_at_a_time_and_only_grow(tmp_path):
    updates = list(Page(folder=tmp_path).generate())
    assert only_grow(updates)
    lists = lists_of(updates)
    kinds = [row["k"] for row in lists[-1]]
    steps, ending = ["step"] * 24, ["video", "video", "share", "frames", "ruler", "speed", "done"]
    table = ["schedule_table", "thresholds", *["schedules"] * kinds.count("schedules")]
    assert lists[-1][27]["parts"] == len(table) - 1
    assert kinds == ["begin", "start", "start", *steps, *table, *ending]
    assert updates[-1][0] == END


def test_buttons_swap_while_a_run_is_under_way(tmp_path):
    updates = list(Page(folder=tmp_path).generate())
    assert [button["interactive"] for button in updates[0][1:]] == [False, True]
    assert [button["interactive"] for button in updates[-1][1:]] == [True, False]


def test_files_are_published_and_their_folder_is_gone(tmp_path, monkeypatch):
    own = tmp_path / "temporary"  # nobody else's files come and go there
    own.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(own))
    files = shown(Page(folder=tmp_path).generate())[-1]["files"]
    assert set(files) == {"baseline", "cached", "difference", "summary", "trace"}
    assert all(url.startswith("/gradio_api/file=") for url in files.values())
    assert not any("circle" in url for url in files.values())
    assert json.loads((tmp_path / "summary.json").read_text())["prompt"] == PROMPT
    assert not list(own.iterdir())


@pytest.mark.parametrize("method", ["bwcache", "first_block_cache"])
def test_what_is_asked_for_is_read_once_and_handed_on(method, monkeypatch):
    backend, read = FakeBackend(), []
    original = form.read
    monkeypatch.setattr(form, "read", lambda values: read.append(values) or original(values))
    handlers = Page(backend).handlers
    asked, *_ = handlers.enter(given(method=method), "en")
    updates = handlers.run(asked, "a", "en")
    for _ in range(3):
        next(updates)
    updates.close()
    assert backend.requests == [handlers.results.get(asked).asked]
    assert backend.requests[0].config.name == method
    assert len(read) == 1


def test_a_run_that_nobody_asked_for_is_refused():
    with pytest.raises(gr.Error, match="Press the button"):
        next(Page().handlers.run(None, "a", "en"))


def test_a_second_run_finds_the_baseline_and_another_visitor_does_not(tmp_path):
    page = Page(folder=tmp_path)

    def remembered(session, **changes):
        rows = shown(page.generate(session, **changes))
        return [row["remembered"] for row in rows if row["k"] == "start"]

    assert remembered("a") == [False, False]
    assert remembered("a", threshold=0.1) == [True, False]
    assert remembered("a", seed=1) == [False, False]
    assert remembered("b") == [False, False]
    page.visitors.forget("a")
    assert remembered("a") == [False, False]


def test_a_baseline_made_in_another_process_is_remembered_too(tmp_path):
    backend = FakeBackend()
    made_there = remembering(lambda request, baseline, device: backend(request))
    page = Page(made_there, tmp_path)
    list(page.generate())
    assert "Expected" in page.advice()


def test_one_uncached_run_serves_every_method(tmp_path):
    page = Page(folder=tmp_path)
    list(page.generate(method="bwcache"))
    rows = shown(page.generate(method="first_block_cache"))
    assert [row["remembered"] for row in rows if row["k"] == "start"] == [True, False]


def test_a_visitor_whose_turn_has_not_come_is_told():
    _, panel, generate, stop = Page().handlers.enter(given(), "en")
    assert [(row["k"], row["text"]) for row in panel] == [("waiting", SAYS("page.waiting"))]
    assert not generate["interactive"]
    assert stop["interactive"]


def test_stop_says_so_and_frees_the_button():
    panel, generate, stop = Page().handlers.stop("en")
    assert panel == [{"k": "stopped", "text": SAYS("page.stopped")}]
    assert generate["interactive"]
    assert not stop["interactive"]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"prompt": "   "}, "Prompt"),
        ({"method": "fora", "period": 0}, "Period"),
        ({"steps": 1}, "Denoising"),
    ],
)
def test_bad_input_is_one_clear_line_and_starts_nothing(change, word):
    backend = FakeBackend()
    with pytest.raises(gr.Error) as caught:
        next(Page(backend).generate(**change))
    assert caught.value.message.startswith(word)
    assert "Allowed: " in caught.value.message
    assert not backend.requests


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (lambda: ModelError("model: not here"), "model: not here"),
        (lambda: ConfigError("prompt", "xyzzy", "a known word"), "prompt: got 'xyzzy'"),
        (lambda: RuntimeError("secret path"), SAYS("page.failed")),
    ],
)
def test_a_failing_run_says_so_in_the_panel_and_frees_the_button(error, said):
    updates = []
    with pytest.raises(gr.Error) as caught:
        updates.extend(Page(FakeBackend(fail_at=3, error=error)).generate())
    last = updates[-1]
    assert last[0][-1]["k"] == "error"
    assert last[0][-1]["text"].startswith(said)
    assert "secret" not in last[0][-1]["text"] + caught.value.message
    assert last[1]["interactive"]
    assert not last[2]["interactive"]


def test_advice_before_and_after_a_run(tmp_path):
    page = Page(folder=tmp_path)
    assert SAYS("advice.expect_later") in page.advice()
    list(page.generate())
    assert "exact" in page.advice()
    assert "Estimated" in page.advice(gate="recheck")
    assert "nothing is reused" in page.advice(threshold=0.01)
    assert page.advice(threshold=None) == ""
    assert page.advice(prompt=" ") == ""


def test_a_method_that_cannot_be_foretold_says_so_and_shows_no_other_methods_range(tmp_path):
    page = Page(folder=tmp_path)
    for _ in ("before a run", "after one"):
        said = page.advice(method="first_block_cache")
        assert said == SAYS("advice.no_forecast", method="First Block Cache")
        list(page.generate())


def test_while_settings_change_nothing_else_is_read(tmp_path, monkeypatch):
    page = Page(folder=tmp_path)
    list(page.generate())
    subject = page.adviser.subject(given(), None)
    monkeypatch.setattr(form, "read_subject", None)
    monkeypatch.setattr(form, "read", None)
    only = {name: given()[name] for name in ("model", "method", "threshold", "reuse_interval")}
    assert "Expected" in page.adviser.advice(subject, only, "a")
    assert page.adviser.advice(subject, {**only, "model": "other"}, "a") == ""


def test_too_few_computed_steps_are_minded_before_and_after(tmp_path, monkeypatch):
    """The fake's limit: half of the steps must be computed."""
    facts = MethodFacts(pays_from={"residual": (15, 30)})
    limited = replace(find("tinyworld"), caching={"bwcache": facts})
    monkeypatch.setattr(models, "CATALOGUE", {"tinyworld": limited})
    page, few = Page(folder=tmp_path), {"threshold": 1.0, "reuse_interval": "6"}
    updates = list(page.generate(**few))
    assert "uncached steps" in shown(updates)[-1]["warning"]
    assert "Mind" in page.advice(**few)
    assert "Mind" not in page.advice(threshold=1.0, reuse_interval="1")


class Sized(BaselineStore):
    """A memory of so many bytes."""

    def __init__(self, size: int = 0):
        super().__init__()
        self.size = size

    @property
    def nbytes(self) -> int:
        return self.size


def test_the_visitors_together_take_no_more_than_so_much_memory(monkeypatch):
    monkeypatch.setattr("bwcache.ui.sessions.BaselineStore", Sized)
    visitors = Visitors(limit_bytes=250)
    for name in "abc":
        visitors.store(name).size = 100
    visitors.store("d")
    assert len(visitors) == 3
    visitors.store("e").size = 1000
    assert visitors.store("e").size == 1000
    assert len(visitors) == 1


def test_visitors_are_limited_and_kept_apart():
    visitors = Visitors(limit=2)
    first = visitors.store("a")
    assert visitors.store("a") is first
    assert visitors.store("b") is not first
    visitors.store("c")
    assert len(visitors) == 2
    assert visitors.store("a") is not first
    assert visitors.store(None) is not visitors.store(None)


def test_the_panel_has_nothing_that_gradio_would_evaluate():
    for part in ("${", "{{", "`", "<script"):
        assert part not in template()


def test_the_page_offers_nothing_to_strangers():
    page = build(FakeBackend())
    public = {fn.api_name for fn in page.fns.values() if fn.api_visibility != "private"}
    assert public == {"compare", "predict"}
    assert page.delete_cache is not None
