"""Compare the methods, without a browser and without a model."""

import base64
import json

import gradio as gr
import pytest

from bwcache.errors import CacheError
from bwcache.explore.compare_methods import Point
from bwcache.explore.families import BEST_KNOWN, find_families
from bwcache.runs.row_kinds import size
from bwcache.testing import FakeBackend
from bwcache.ui.handlers import Handlers
from bwcache.ui.host import Host
from bwcache.ui.methods_compared import CHOSEN, methods_job, sentence
from bwcache.ui.phrases import translated
from bwcache.ui.sessions import Visitors
from tests.ui.given import given
from tests.ui.jobs import SMALL, only_grow, shown

TWO = ["steps_mask", "uncached/same-levels"]


def compared(backend=None, language="en", **changes) -> list[dict]:
    """The rows of a comparison, which only grow."""
    handlers = Handlers(methods_job(backend or FakeBackend(), Host()), Visitors())
    asked, *_ = handlers.enter(given(**{CHOSEN: TWO, **changes}), language)
    updates = list(handlers.run(asked, "a", language))
    assert only_grow(updates)
    return shown(updates)


def test_rows_are_small_strict_and_tell_all_of_it():
    found = compared()
    for row in found:
        json.dumps(row, allow_nan=False)
        assert size(row) <= SMALL
    kinds = [row["k"] for row in found]
    each = ["try", *["at"] * 12, "result"]
    assert kinds == ["begin", "uncached", *["at"] * 12, "known", *each * 6, "done"]
    assert [family["n"] for family in found[0]["f"]] == TWO
    points = [row for row in found if row["k"] == "result"]
    assert {row["f"] for row in points} == set(TWO)
    assert all(base64.b64decode(row["p"])[8:12] == b"WEBP" for row in points)
    assert all((row["ssim"] is None) == row["f"].startswith("uncached") for row in points)


def test_the_usual_choice_runs_on_the_model():
    found = compared(**{CHOSEN: list(BEST_KNOWN)})
    assert {row["f"] for row in found if row["k"] == "result"} == set(BEST_KNOWN)
    assert found[-1]["text"].startswith("At ")


def test_a_method_that_cannot_run_here_is_said_in_the_visitors_language():
    inner = FakeBackend()

    def compare(request, store=None, device=None):
        if request.config.name == "fora":
            raise CacheError("it has no such blocks; use another method", "other-methods")
        yield from inner(request, store, device)

    found = compared(compare, "de", **{CHOSEN: ["fora/stack", *TWO]})
    (out,) = [row for row in found if row["k"] == "out"]
    assert out == {"k": "out", "f": "fora/stack", "why": "it has no such blocks"}
    assert found[-1]["text"].startswith("Bei ")


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ([], "one method at least"),
        (None, "names of methods"),
        ("bwcache", "names of methods"),
        ([1], "names of methods"),
        (["nonsense"], "nonsense is not"),
        (["bwcache", "x" * 500], "is not"),
    ],
)
def test_a_choice_that_cannot_be_used_is_refused_at_its_field(chosen, said):
    with pytest.raises(gr.Error, match=said) as raised:
        compared(**{CHOSEN: chosen})
    assert raised.value.row["field"] in (CHOSEN, "methods")
    assert len(str(raised.value)) < 1200


def test_what_is_said_at_the_end():
    ours, other = find_families(["bwcache_plus/budget", "fora/stack"])

    def point(family, speedup, psnr_db):
        return Point(1, family, None, speedup, 0.5, psnr_db, None, None)

    two = [point(ours, 2.2, 57.1), point(other, 2.0, 41.0)]
    said = sentence(two)
    assert said == (
        "At 2× or faster, BWCache+ (budget) came closest to the uncached video: "
        "PSNR 57.1 dB; then FORA (stack): PSNR 41.0 dB."
    )
    assert translated(said, "de") == (
        "Bei 2× Tempo oder mehr kam BWCache+ (budget) dem Video ohne Cache am nächsten: "
        "PSNR 57,1 dB; dann FORA (stack): PSNR 41,0 dB."
    )
    assert sentence([point(ours, 1.6, None), point(other, 1.5, 41.0)]).startswith("At 1.5× or fas")
    assert "no difference" in sentence([point(ours, 1.6, None), point(other, 1.5, 41.0)])
    for few in ([], [point(ours, 3, 50.0)]):
        assert translated(sentence(few), "de") != sentence(few)
