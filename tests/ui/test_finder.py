"""Find my threshold, without a browser and without a model."""

import base64
import json
import math

import gradio as gr
import pytest

from bwcache.cache.methods.bwcache import BWCacheConfig
from bwcache.models import ModelError
from bwcache.runs.baselines import BaselineStore
from bwcache.runs.request import Request
from bwcache.runs.rounding import rounded
from bwcache.runs.row_kinds import END, size
from bwcache.testing import FakeBackend
from bwcache.ui.finder import search_job
from bwcache.ui.handlers import Handlers
from bwcache.ui.host import Host
from bwcache.ui.languages import CATALOGUE, LABELS
from bwcache.ui.sessions import Visitors
from tests.ui.given import PROMPT, given
from tests.ui.jobs import SMALL, only_grow, shown

SAYS = CATALOGUE.say("en")


def finder(backend=None, visitors: Visitors | None = None) -> Handlers:
    return Handlers(
        search_job(backend or FakeBackend(), Host()), Visitors() if visitors is None else visitors
    )


def find(handlers: Handlers, session: str = "a", **changes):
    asked, *_ = handlers.enter(given(**{"goal": "psnr", "goal_value": 40, **changes}), "en")
    yield from handlers.run(asked, session, "en")


def test_rows_come_one_at_a_time_and_only_grow():
    updates = list(find(finder()))
    assert only_grow(updates)
    kinds = [row["k"] for row in shown(updates)]
    trials = kinds.count("result")
    each = ["try", *["at"] * 12, "result"]
    assert kinds == ["begin", "uncached", *["at"] * 12, "known", *each * trials, "done"]
    assert updates[-1][0] == END


def test_rows_are_small_and_strict_json():
    for row in shown(find(finder())):
        json.dumps(row, allow_nan=False)
        assert size(row) <= SMALL
        if row["k"] in ("result", "known"):
            assert base64.b64decode(row["p"])[8:12] == b"WEBP"


def test_a_trial_says_what_it_did():
    found = [r for r in shown(find(finder())) if r["k"] == "result"]
    for trial in found:
        config = BWCacheConfig(trial["t"], int(trial["r"]))
        *_, again = FakeBackend()(Request(PROMPT, steps=12, config=config), BaselineStore())
        assert trial["psnr"] == rounded(again.summary.psnr_db)
        assert trial["x"] == rounded(1 / again.summary.compute_share)
        assert trial["clock"] == rounded(again.summary.speedup)
        assert trial["w"].count("r") == again.summary.steps_reused
        assert trial["ok"] == (trial["psnr"] >= 40)


@pytest.mark.parametrize(("kind", "value"), [("psnr", 40), ("psnr", 45.5), ("speedup", 1.5)])
def test_a_search_ends_with_a_setting_that_meets_the_goal(kind, value):
    all_rows = shown(find(finder(), goal=kind, goal_value=value))
    done, trials = all_rows[-1], [row for row in all_rows if row["k"] == "result"]
    assert done["ok"]
    assert done["text"].startswith("Use threshold")
    (chosen, *_) = [t for t in trials if (t["t"], t["r"]) == (done["t"], done["r"])]
    assert chosen[{"psnr": "psnr", "speedup": "x"}[kind]] >= value


def test_a_goal_out_of_reach_gets_a_sentence():
    done = shown(find(finder(), goal="speedup", goal_value=90))[-1]
    assert not done["ok"]
    assert done["text"].startswith("No setting tried is 90× as fast.")
    assert {"t", "r"} <= set(done)


def test_nothing_to_choose_from_offers_no_setting():
    done = shown(find(finder(), steps=2))[-1]
    assert not done["ok"]
    assert "t" not in done


def test_the_uncached_run_is_shared_with_generate_and_with_nobody_else():
    visitors, backend = Visitors(), FakeBackend()
    page = finder(backend, visitors)

    def remembered(session, **changes):
        found = shown(find(page, session, **changes))
        return next(row["remembered"] for row in found if row["k"] == "known")

    assert not remembered("a")
    assert remembered("a", goal_value=50, control=True)
    assert not remembered("b")
    request = Request(PROMPT, steps=12)
    assert visitors.store("a").get(request) is not None
    assert not any(request.control for request in backend.requests)


def test_buttons_swap_while_a_search_is_under_way():
    updates = list(find(finder()))
    assert [button["interactive"] for button in updates[0][1:]] == [False, True]
    assert [button["interactive"] for button in updates[-1][1:]] == [True, False]
    _, panel, start, stop = finder().enter(given(goal="psnr", goal_value=40), "en")
    assert [(row["k"], row["text"]) for row in panel] == [("waiting", SAYS("page.finder_waiting"))]
    assert (start["interactive"], stop["interactive"]) == (False, True)
    panel, start, stop = finder().stop("en")
    assert panel == [{"k": "stopped", "text": SAYS("page.finder_stopped")}]
    assert (start["interactive"], stop["interactive"]) == (True, False)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"goal": "ssim"}, "goal"),
        ({"goal": None}, "goal"),
        ({"goal_value": None}, "goal"),
        ({"goal_value": "30"}, "goal"),
        ({"goal_value": True}, "goal"),
        ({"goal_value": math.nan}, "goal"),
        ({"goal_value": math.inf}, "goal"),
        ({"goal_value": 0}, "goal"),
        ({"goal_value": 10**400}, "goal"),
        ({"goal_value": -3}, "goal"),
        ({"prompt": "  "}, "prompt"),
        ({"steps": 10**6}, "steps"),
        ({"model": "../../etc"}, "model"),
        ({"method": "first_block_cache"}, "method"),
    ],
)
def test_bad_input_is_one_clear_line_and_starts_nothing(change, word):
    backend = FakeBackend()
    with pytest.raises(gr.Error) as caught:
        next(find(finder(backend), **change))
    labels = {"goal": "finder_title"}
    assert caught.value.message.startswith(f"{LABELS['en'][labels.get(word, word)]}: ")
    assert "\n" not in caught.value.message
    assert not backend.requests


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (lambda: ModelError("model: not here"), "model: not here"),
        (lambda: RuntimeError("secret path"), SAYS("page.finder_failed")),
    ],
)
def test_an_error_is_said_in_words_and_frees_the_button(error, said):
    updates = []
    with pytest.raises(gr.Error) as caught:
        updates.extend(find(finder(FakeBackend(fail_at=4, error=error))))
    assert caught.value.message == said


def test_the_rows_before_an_error_say_it_too():
    updates = []
    with pytest.raises(gr.Error):
        updates.extend(find(finder(FakeBackend(fail_at=4))))
    assert updates[-1][0][-1] == {"k": "error", "text": SAYS("page.finder_failed")}
    assert updates[-1][1]["interactive"]
