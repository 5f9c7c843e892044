"""Comparisons of TinyWorld through the real `spaces`, on a Space without the hardware.

Not with an own process for each test: what a worker keeps from one call to the next is the point.
"""

import numpy as np
import pytest

from bwcache import BWCacheConfig
from bwcache.models import ModelError
from bwcache.models.progress import Loading
from bwcache.runs.compare import compare
from bwcache.runs.events import ComparisonFinished, RunFinished, StepDone
from bwcache.runs.request import Request
from bwcache.space.quota import FACTOR

from .space import Space
from .stub import Answer, DeviceAPI

PROMPT = "a red circle moving right on a white background"
RECORDED = "The recorded runs play without a GPU."

pytestmark = pytest.mark.slow


def request(**changes) -> Request:
    config = BWCacheConfig(1e6, 2)  # reuses whatever the indicator
    return Request(**{"prompt": PROMPT, "steps": 6, "config": config, **changes})


@pytest.fixture(scope="module")
def api():
    with DeviceAPI() as api:
        yield api


@pytest.fixture(scope="module")
def space(api, tmp_path_factory):
    with Space(api.url, tmp_path_factory.mktemp("home")) as space:
        yield space


@pytest.fixture
def asked(api):
    """The device API's record, of this test alone."""
    api.asked.clear()
    api.next_answers.clear()
    return api.of


def shape(events: list) -> list[tuple]:
    """What two comparisons of the same thing have in common, whatever the clock says.

    Run by run: which of two runs takes the next step is the clocks' business.
    """
    events = sorted(events, key=lambda event: getattr(event, "run", "~"))
    found = []
    for event in events:
        match event:
            case StepDone(record=step):
                found.append((event.run, step.step_index, step.action, step.reason))
            case RunFinished():
                found.append((event.run, event.frames.shape, event.frames.dtype, event.remembered))
            case ComparisonFinished():
                found.append(sorted(event.summary.as_dict()))
            case Loading():
                pass
            case _:
                found.append(event)
    return found


def frames(events: list, run: str) -> np.ndarray:
    (found,) = [e.frames for e in events if isinstance(e, RunFinished) and e.run == run]
    return found


def test_a_worker_yields_the_events_that_the_comparison_yields(space, asked):
    there = space.call("events", "real", request(control=True))
    here = list(compare(request(control=True), device="cpu"))
    assert shape(there) == shape(here)
    for run in ("baseline", "cached", "control"):
        np.testing.assert_allclose(frames(there, run), frames(here, run), atol=1e-3)
    assert all(type(step.preview) is bytes for step in there if isinstance(step, StepDone))
    assert len(asked("/allow")) == len(asked("/schedule")) == 1  # a worker, and it said so
    assert [release["fail"] for release in asked("/release")] == ["false"]


def test_seconds_asked_for_are_those_that_are_shown(space, asked):
    price = space.call("asked_for", request())
    space.call("events", "real", request())
    assert price.quota_seconds == round(FACTOR * price.seconds)
    assert [int(one["durationSeconds"]) for one in asked("/schedule")] == [price.quota_seconds]
    assert "gpuSize" not in asked("/schedule")[0]
    assert space.call("asked_for", request()).basis == "measured"  # learnt from the worker's run


def test_a_visitor_is_told_and_asks_by_their_own_quota(space, asked):
    """Too long for any: 80 s of a card are the day's 120 s of quota."""
    long = request(model="wan2.1-t2v-1.3b", steps=200)
    prices = {who: space.call("asked_for", long, who) for who in ("nobody", "stranger", "member")}
    assert prices["nobody"].seconds == prices["stranger"].seconds == 80
    assert prices["nobody"].quota_seconds == prices["nobody"].daily_seconds == 120
    assert prices["member"].seconds > 80
    for who, token in (("nobody", False), ("member", True)):
        with pytest.raises(ModelError, match="needs a CUDA GPU"):
            space.call("events", "real", long, who)
        last = asked("/schedule")[-1]
        assert int(last["durationSeconds"]) == prices[who].quota_seconds
        assert ("token" in last) == token


def test_the_uncached_run_is_remembered_outside_the_worker(space, asked):
    first = space.call("events", "real", request(seed=1), "nobody", "store")
    kept = space.call("in_the_store", "store", request(seed=1))
    assert kept.trace == first[-1].trace_file.baseline
    again = request(seed=1, config=BWCacheConfig(0.0))
    price = space.call("asked_for", again, "nobody", "store")
    second = space.call("events", "real", again, "nobody", "store")
    assert second[0].remembered
    assert second[-1].summary.baseline_remembered
    assert second[-1].summary.identical
    assert int(asked("/schedule")[-1]["durationSeconds"]) == price.quota_seconds
    assert price.basis == "measured"


def test_the_page_shows_a_comparison_and_remembers_it_for_its_visitor(space, asked):
    def starts(session):
        rows = space.call("page", request(seed=2), session)
        assert rows[-1]["k"] == "done"
        return [bool(row.get("remembered")) for row in rows if row["k"] == "start"]

    assert starts("one") == [False, False]
    assert starts("one") == [True, False]
    assert starts("other") == [False, False]
    assert len(asked("/allow")) <= 1  # one worker did it all


def test_a_gate_that_a_call_left_is_gone_in_the_next_one_on_the_same_worker(space, asked):
    with pytest.raises(ModelError, match="cut short"):
        space.call("events", "cut_short", request(seed=13))
    events = space.call("events", "cut_short", request(seed=3))
    right = space.call("events", "real", request(seed=3))
    assert len(asked("/allow")) <= 2  # no second worker for the first two calls
    assert shape(events) == shape(right)
    np.testing.assert_array_equal(frames(events, "cached"), frames(right, "cached"))


def test_a_gate_that_a_worker_inherits_is_gone(space, asked):
    space.call("open_gate")
    try:
        events = space.call("events", "inheriting", request(seed=3))
    finally:
        space.call("close_gate")
    assert isinstance(events[-1], ComparisonFinished)


def test_closing_stops_the_worker_which_makes_the_next_comparison(space, asked):
    long = request(steps=100, seed=4)
    assert space.call("stopped", "counted", long, 4) == 4
    assert space.call("made") < 100  # of 204
    events = space.call("events", "counted", request(seed=3))
    assert len(asked("/allow")) == 1
    assert [release["fail"] for release in asked("/release")] == ["false", "false"]
    assert shape(events) == shape(space.call("events", "real", request(seed=3)))


@pytest.mark.parametrize("changes", [{"prompt": "a red zyzzyva"}, {"model": "wan2.1-t2v-1.3b"}])
def test_a_refusal_in_the_worker_arrives_with_its_text(space, asked, changes):
    with pytest.raises(Exception) as here:  # noqa: PT011
        list(compare(request(**changes), device="cpu"))
    with pytest.raises(ModelError) as there:
        space.call("events", "real", request(**changes))
    assert str(there.value) == str(here.value)
    assert [release["fail"] for release in asked("/release")] == ["false"]


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("failing", r"failed on the GPU \(ZeroDivisionError\)"),
        ("dying", "taken back before the comparison was complete"),
    ],
)
def test_a_worker_that_fails_is_a_sentence(space, asked, kind, says):
    with pytest.raises(ModelError, match=says) as error:
        space.call("events", kind, request())
    assert str(error.value).endswith(RECORDED)
    assert "secret" not in str(error.value)
    assert isinstance(space.call("events", "real", request())[-1], ComparisonFinished)


HOUR = 3600
PENDING = (("X-Approve-Result", "pending-overquota-exceeded"),)


@pytest.mark.parametrize(
    ("visitor", "answer", "says"),
    [
        ("member", Answer(429, {"left": 12, "wait": HOUR}), r"12 s of it are left.* 1:00:00\. The"),
        ("member", Answer(429, {"left": 0, "wait": 0}), "as many runs on a GPU as a day allows"),
        ("member", Answer(429, {"left": 9, "wait": 9}, PENDING), "Too many of your runs"),
        ("member", Answer(429, {"left": 0, "wait": -1}), r"asks for \d+ s of a GPU, more than"),
        ("nobody", Answer(429, {"left": 0, "wait": HOUR}), "sign in to Hugging Face"),
        ("nobody", Answer(503), "Every GPU is busy"),
        ("nobody", Answer(body="event: failed\n\n"), "Every GPU is busy"),
        ("member", Answer(body="event: failed\n\n"), "Every GPU is busy"),
        ("member", Answer(401), "Reload it"),
        ("member", Answer(500), "could not be reached"),
    ],
)
def test_what_zerogpu_refuses_is_a_sentence(space, api, asked, visitor, answer, says):
    api.next_answers.append(answer)
    with pytest.raises(ModelError, match=says) as error:
        space.call("events", "real", request(), visitor)
    assert str(error.value).endswith(RECORDED)
    assert not asked("/allow")


def test_a_model_loaded_beforehand_is_not_loaded_by_a_worker(api, tmp_path):
    with Space(api.url, tmp_path) as space:
        assert space.call("preloaded", ["nothing", "tinyworld"]) == [("tinyworld", "cpu")]
        events = space.call("events", "real", request())
        stages = [event.stage for event in events if isinstance(event, Loading)]
        assert "load" not in stages
        assert isinstance(events[-1], ComparisonFinished)


def test_files_are_fetched_before_a_card_is_asked_for(space, asked):
    hub_model = request(model="wan2.1-t2v-1.3b")
    fetched = Loading("download", 1, 2)
    assert space.call("first_of_a_download", "real", hub_model, fetched) == fetched
    assert not asked("/schedule")


def test_the_app_gives_spaces_its_comparison_and_reports_for_duty(api, asked, tmp_path):
    with Space(api.url, tmp_path) as space:
        assert space.call("launched") == ["in_worker.<locals>.work"]
    assert len(asked("/startup-report")) == 1
