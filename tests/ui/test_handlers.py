"""What the buttons do, without a browser and without a model."""

import itertools
import json
import math
import tempfile
from dataclasses import replace
from pathlib import Path

import gradio as gr
import pytest

from bwcache import models
from bwcache.errors import ConfigError
from bwcache.models import ModelError, find
from bwcache.models.spec import MethodFacts
from bwcache.runs import panel_rows as rows
from bwcache.runs.baselines import BaselineStore as Store
from bwcache.runs.baselines import remembering
from bwcache.testing import FakeBackend
from bwcache.ui import build, form
from bwcache.ui.handlers import Handlers
from bwcache.ui.languages import CATALOGUE
from bwcache.ui.sessions import Visitors

PROMPT = "a red circle moving right on a white background"
GOOD = {
    "model": "tinyworld", "prompt": PROMPT, "threshold": 0.06, "steps": 12, "seed": 0,
    "interval": "0.1", "gate": "once", "reuse": "residual", "control": False,
    "image": None,
}  # fmt: skip


SAYS = CATALOGUE.say("en")


def fields(**changes):
    return tuple({**GOOD, **changes}[name] for name in form.FIELDS)


def handlers(backend=None, folder: Path | None = None) -> Handlers:
    def publish(path: Path) -> str:
        return str(path if folder is None else path.replace(folder / path.name))

    return Handlers(backend or FakeBackend(), Visitors(Store), "cpu", publish)


def shown(updates) -> list[dict]:
    """The longest list of rows among a run's updates."""
    return max((u[0] for u in updates if isinstance(u[0], list)), key=len)


def test_rows_come_one_at_a_time_and_only_grow(tmp_path):
    updates = list(handlers(folder=tmp_path).generate(*fields(), session="a"))
    lists = [update[0] for update in updates if isinstance(update[0], list)]
    for before, after in itertools.pairwise(lists):
        assert len(after) == len(before) + 1
        assert after[:-1] == before
        assert after is not before
    kinds = [row["k"] for row in lists[-1]]
    steps, ending = ["step"] * 12, ["video", "video", "frames", "done"]
    table = ["schedule_table", "thresholds", *["schedules"] * kinds.count("schedules")]
    assert lists[-1][14]["parts"] == len(table) - 1
    assert kinds == ["begin", "start", *steps, *table, "start", *steps, *ending]
    assert updates[-1][0] == rows.END
    assert "Expected" in updates[-1][-1]


def test_buttons_swap_while_a_run_is_under_way(tmp_path):
    updates = list(handlers(folder=tmp_path).generate(*fields(), session="a"))
    assert [button["interactive"] for button in updates[0][1:3]] == [False, True]
    assert [button["interactive"] for button in updates[-1][1:3]] == [True, False]


def test_files_are_published_and_their_folder_is_gone(tmp_path, monkeypatch):
    own = tmp_path / "temporary"  # nobody else's files come and go there
    own.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(own))
    rows = shown(handlers(folder=tmp_path).generate(*fields(prompt=PROMPT), session="a"))
    files = rows[-1]["files"]
    assert set(files) == {"baseline", "cached", "difference", "summary", "trace"}
    assert all(url.startswith("/gradio_api/file=") for url in files.values())
    assert not any("circle" in url for url in files.values())
    assert json.loads((tmp_path / "summary.json").read_text())["prompt"] == PROMPT
    assert not list(own.iterdir())


def test_a_second_run_finds_the_baseline_and_another_visitor_does_not(tmp_path):
    page = handlers(folder=tmp_path)

    def remembered(session, **changes):
        rows = shown(page.generate(*fields(**changes), session=session))
        return [row["remembered"] for row in rows if row["k"] == "start"]

    assert remembered("a") == [False, False]
    assert remembered("a", threshold=0.1) == [True, False]
    assert remembered("a", seed=1) == [False, False]
    assert remembered("b") == [False, False]
    page.forget("a")
    assert remembered("a") == [False, False]


def test_a_baseline_made_in_another_process_is_remembered_too(tmp_path):
    backend = FakeBackend()
    made_there = remembering(lambda request, baseline, device: backend(request))
    elsewhere = handlers(made_there, tmp_path)
    list(elsewhere.generate(*fields(), session="a"))
    assert "Expected" in elsewhere.advice(*fields(), session="a")


def test_a_visitor_whose_turn_has_not_come_is_told():
    panel, generate, stop = handlers().enter(*fields())
    assert panel == [{"k": "waiting", "text": SAYS("page.waiting")}]
    assert not generate["interactive"]
    assert stop["interactive"]


def test_closing_the_run_closes_the_comparison():
    backend = FakeBackend()
    run = handlers(backend).generate(*fields(), session="a")
    for _ in range(5):
        next(run)
    run.close()
    assert backend.closed == 1


def test_stop_says_so_and_frees_the_button():
    panel, generate, stop = handlers().stop()
    assert panel == [{"k": "stopped", "text": SAYS("page.stopped")}]
    assert generate["interactive"]
    assert not stop["interactive"]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"prompt": ""}, "prompt"),
        ({"prompt": "   "}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"prompt": "red " * 500}, "prompt"),
        ({"threshold": math.nan}, "threshold"),
        ({"threshold": math.inf}, "threshold"),
        ({"threshold": -0.1}, "threshold"),
        ({"threshold": None}, "threshold"),
        ({"threshold": "0.1"}, "threshold"),
        ({"steps": 0}, "steps"),
        ({"steps": 10**6}, "steps"),
        ({"steps": 2.5}, "steps"),
        ({"steps": None}, "steps"),
        ({"seed": -1}, "seed"),
        ({"interval": "often"}, "reuse_interval"),
        ({"interval": "0"}, "reuse_interval"),
        ({"gate": "never"}, "gate"),
        ({"reuse": "blocks"}, "reuse"),
        ({"model": "sora"}, "model"),
        ({"model": None}, "model"),
        ({"model": "../../etc"}, "model"),
    ],
)
def test_bad_input_is_one_clear_line_and_starts_nothing(change, word):
    backend = FakeBackend()
    with pytest.raises(gr.Error) as caught:
        handlers(backend).enter(*fields(**change))
    with pytest.raises(gr.Error, match=word):
        next(handlers(backend).generate(*fields(**change), session="a"))
    assert caught.value.message.startswith(f"{word}: got")
    assert "\n" not in caught.value.message
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
    page = handlers(FakeBackend(fail_at=3, error=error))
    updates = []
    with pytest.raises(gr.Error) as caught:
        updates.extend(page.generate(*fields(), session="a"))
    last = updates[-1]
    assert last[0][-1]["k"] == "error"
    assert last[0][-1]["text"].startswith(said)
    assert "secret" not in last[0][-1]["text"] + caught.value.message
    assert last[1]["interactive"]
    assert not last[2]["interactive"]


def test_advice_before_and_after_a_run(tmp_path):
    page = handlers(folder=tmp_path)
    assert SAYS("advice.expect_later") in page.advice(*fields(), session="a")
    list(page.generate(*fields(), session="a"))
    assert "exact" in page.advice(*fields(), session="a")
    assert "Estimated" in page.advice(*fields(gate="recheck"), session="a")
    assert "nothing is reused" in page.advice(*fields(threshold=0.01), session="a")
    assert page.advice(*fields(threshold=None), session="a") == ""


def test_too_few_computed_steps_are_minded_before_and_after(tmp_path, monkeypatch):
    """The fake's limit: half of the steps must be computed."""
    facts = MethodFacts(pays_from={"residual": (15, 30)})
    limited = replace(find("tinyworld"), caching={"bwcache": facts})
    monkeypatch.setattr(models, "CATALOGUE", {"tinyworld": limited})
    page, few = handlers(folder=tmp_path), fields(threshold=1.0, interval="6")
    updates = list(page.generate(*few, session="a"))
    assert "uncached steps" in shown(updates)[-1]["warning"]
    assert "Mind" in page.advice(*few, session="a")
    assert "Mind" not in page.advice(*fields(threshold=1.0, interval="1"), session="a")


def test_presets_are_recognised():
    spec = find("tinyworld")
    for name, preset in spec.facts().presets.items():
        known = preset.config
        found = form.matching_preset(spec, known.threshold, f" {known.reuse_interval} ")
        assert found == name
        assert known.threshold < form.slider_top(spec)
    assert form.matching_preset(spec, 0.0123, "0.1") is None


def test_the_visitors_together_take_no_more_than_so_much_memory(monkeypatch):
    monkeypatch.setattr("bwcache.ui.sessions.LIMIT_BYTES", 250)

    class Sized(Store):
        nbytes = 0

    visitors = Visitors(Sized)
    for name in "abc":
        visitors.store(name).nbytes = 100
    visitors.store("d")
    assert len(visitors) == 3
    visitors.store("e").nbytes = 1000
    assert visitors.store("e").nbytes == 1000
    assert len(visitors) == 1


def test_visitors_are_limited_and_kept_apart():
    visitors = Visitors(Store, limit=2)
    first = visitors.store("a")
    assert visitors.store("a") is first
    assert visitors.store("b") is not first
    visitors.store("c")
    assert len(visitors) == 2
    assert visitors.store("a") is not first
    assert visitors.store(None) is not visitors.store(None)


def test_the_page_offers_nothing_to_strangers():
    page = build(FakeBackend(), Store)
    public = {fn.api_name for fn in page.fns.values() if fn.api_visibility != "private"}
    assert public == {"compare", "predict"}
    assert page.delete_cache is not None
