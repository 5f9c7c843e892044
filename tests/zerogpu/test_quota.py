"""What a comparison is said to cost, against sums done by hand."""

import base64
import json
from math import inf
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
from starlette.datastructures import Headers

from bwcache import BWCacheConfig, ConfigError
from bwcache.cache.trace import StepRecord, Trace
from bwcache.models import CATALOGUE, timings
from bwcache.models.timings import Timing
from bwcache.runs.events import RunFinished
from bwcache.runs.request import Request
from bwcache.space import quota
from bwcache.space.quota import DAILY, LEAST, cost, visitor_of

BIG = "wan2.1-t2v-1.3b"


@pytest.fixture(autouse=True)
def plain_sums(monkeypatch):
    """No second beside the steps that are reckoned with, and nothing learnt by other tests."""
    for name, value in {"START": 0, "MARGIN": 1, "READ_GB": inf, "PACKED_GB": inf}.items():
        monkeypatch.setattr(quota, name, value)
    timings.clear()
    yield
    timings.clear()


def request(**changes) -> Request:
    return Request(**{"prompt": "a cat", "model": BIG, "steps": 20, **changes})


def timed(monkeypatch, step_seconds: float, around_seconds: float = 0.0) -> None:
    timing = Timing(step_seconds, around_seconds, 0.5, "none")
    known = {(BIG, "cuda"): timing}
    monkeypatch.setattr(quota, "last_timing", lambda spec, device: known.get((spec.name, device)))


def remembered(step_seconds: float, steps: int = 20, around: float = 0.0) -> RunFinished:
    """An uncached run whose indicator is 0.1 from the second step on; half a step is blocks."""
    records = tuple(
        StepRecord(i, "compute", "", None if i == 0 else 0.1, None, step_seconds, step_seconds / 2)
        for i in range(steps)
    )
    trace = Trace(steps, 2, {}, records)
    return RunFinished("baseline", trace, np.zeros(1), trace.seconds + around, 0)


def test_both_runs_and_the_warm_up_are_counted(monkeypatch):
    timed(monkeypatch, 1.0)
    found = cost(request(), "pro")
    assert found.needed_seconds == found.seconds == 20 + 20 + 2
    assert found.quota_seconds == 63  # times 1.5
    assert found.basis == "measured"


def test_a_control_run_and_what_surrounds_each_run_count(monkeypatch):
    timed(monkeypatch, 1.0, around_seconds=5.0)
    assert cost(request(), "pro").seconds == 42 + 3 * 5
    assert cost(request(control=True), "pro").seconds == 62 + 4 * 5


def test_a_remembered_run_is_not_made_again_and_tells_what_the_cached_one_takes():
    """Triggered at step 1, tail 0: two of three steps are reused, at half a second each."""
    config = BWCacheConfig(0.2, 2, tail_fraction=0.0)
    found = cost(request(config=config), "pro", remembered(1.0))
    reused = 12
    assert found.seconds == 20 - reused / 2 + 2
    control = cost(request(config=config, control=True), "pro", remembered(1.0))
    assert control.seconds == found.seconds + 20 - reused
    assert found.basis == control.basis == "measured"


def test_what_is_only_likely_to_be_reused_is_not_counted_on():
    config = BWCacheConfig(0.2, 2, tail_fraction=0.0, gate="recheck")
    assert cost(request(config=config), "pro", remembered(1.0)).seconds == 22


def test_weights_that_a_worker_has_to_read_cost_more(monkeypatch):
    timed(monkeypatch, 1.0)
    monkeypatch.setattr(quota, "READ_GB", 0.5)
    monkeypatch.setattr(quota, "PACKED_GB", 4.0)
    weights = CATALOGUE[BIG].weights.total_gb
    assert cost(request(), "pro").seconds == pytest.approx(42 + weights / 0.5, abs=1)
    assert cost(request(), "pro", ready=True).seconds == pytest.approx(42 + weights / 4, abs=1)


@pytest.mark.parametrize(
    ("visitor", "most"), [("anonymous", 80), ("free", 200), ("signed in", 1600), ("pro", 1600)]
)
def test_nobody_asks_for_more_than_a_day_holds(monkeypatch, visitor, most):
    timed(monkeypatch, 100.0)
    found = cost(request(), visitor)
    assert found.seconds == most
    assert found.needed_seconds == 4200
    assert not found.enough
    assert found.daily_seconds == DAILY[visitor]
    assert found.quota_seconds <= DAILY["pro" if visitor == "signed in" else visitor]


@pytest.mark.parametrize(("factor", "most"), [(1.0, 120), (1.5, 80), (2.0, 60)])
def test_the_factor_counts_against_the_quota(monkeypatch, factor, most):
    timed(monkeypatch, 100.0)
    found = cost(request(), factor=factor)
    assert (found.seconds, found.quota_seconds) == (most, 120)


def test_a_short_one_asks_for_a_few_seconds_all_the_same(monkeypatch):
    timed(monkeypatch, 0.001)
    found = cost(request())
    assert found.seconds == LEAST
    assert found.enough


def test_an_untimed_model_is_guessed_by_its_size_and_said_to_be():
    found = {name: cost(request(model=name), "pro") for name in CATALOGUE}
    assert {one.basis for one in found.values()} == {"estimated"}
    assert found["tinyworld"].needed_seconds == LEAST
    smaller, larger = found[BIG], found["wan2.1-t2v-14b"]
    assert LEAST < smaller.needed_seconds < larger.needed_seconds
    assert cost(request(steps=40), "pro").needed_seconds > smaller.needed_seconds


def test_an_unknown_model():
    with pytest.raises(ConfigError, match="model: got 'nothing'"):
        cost(request(model="nothing"))


def token(claims: object) -> str:
    return f"e.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.s"


@pytest.mark.parametrize(
    ("headers", "visitor"),
    [
        ({}, "anonymous"),
        ({"X-IP-Token": token({"ip": "::1"})}, "anonymous"),
        ({"X-IP-Token": token({"user": None})}, "anonymous"),
        ({"X-IP-Token": token({"user": "someone"})}, "signed in"),
        ({"X-IP-Token": token({"user": "someone", "error": "Expired"})}, "anonymous"),
        ({"X-IP-Token": token(["user"])}, "anonymous"),
        ({"X-IP-Token": "no token"}, "anonymous"),
        ({"X-IP-Token": "e.???.s"}, "anonymous"),
        ({"X-IP-Token": "e.AAAA.s"}, "anonymous"),
    ],
)
def test_a_visitor_is_known_by_the_token(headers, visitor):
    assert visitor_of(gr.Request(headers=Headers(headers))) == visitor


@pytest.mark.parametrize(("is_pro", "visitor"), [(True, "pro"), (False, "free")])
def test_a_visitor_who_signed_in_on_the_page_is_known_better(is_pro, visitor):
    headers = Headers({"x-ip-token": token({"user": "someone"})})
    session = {"oauth_info": {"userinfo": {"isPro": is_pro}}}
    assert visitor_of(gr.Request(headers=headers, session=session)) == visitor
    assert visitor_of(SimpleNamespace(headers=headers, session={})) == "signed in"


def test_nobody_is_asking():
    assert visitor_of(None) == "anonymous"
