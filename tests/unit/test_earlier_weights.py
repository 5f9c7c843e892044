"""What the first TinyWorld left behind says so: traces, recorded runs and links."""

import json
from dataclasses import replace

import pytest

from bwcache.cache.trace import TraceFile
from bwcache.cli import main
from bwcache.errors import TraceError
from bwcache.models import earlier_weights, find
from bwcache.runs.events import ComparisonFinished
from bwcache.runs.request import Request
from bwcache.testing import FakeBackend
from bwcache.ui.links import WEIGHTS, is_of_earlier_weights


@pytest.fixture(scope="module")
def trace() -> TraceFile:
    events = FakeBackend()(Request("a red circle still on a white background", steps=12))
    return next(e for e in events if isinstance(e, ComparisonFinished)).trace_file


def test_a_trace_names_its_weights(trace):
    assert json.loads(trace.dumps())["weights"] == find("tinyworld").version == "2"
    assert TraceFile.loads(trace.dumps()) == trace
    without = json.loads(trace.dumps())
    del without["weights"]
    assert TraceFile.loads(json.dumps(without)).weights == "1"
    for bad in (2, None, "x" * 99):
        with pytest.raises(TraceError, match="weights"):
            TraceFile.loads(json.dumps({**without, "weights": bad}))


def test_predict_says_that_a_trace_is_of_earlier_weights(trace, tmp_path, capsys):
    for version in ("2", "1"):
        path = tmp_path / f"{version}.json"
        path.write_text(replace(trace, weights=version).dumps())
        assert main(["predict", str(path), "--threshold", "0.1"]) == 0
        assert ("made with version 1 of TinyWorld" in capsys.readouterr().out) == (version == "1")
        assert main(["predict", str(path), "--threshold", "0.1", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["weights"] == version
        assert bool(told["note"]) == (version == "1")


def test_only_other_weights_of_a_known_model_are_earlier():
    assert earlier_weights("tinyworld", "2") is None
    assert earlier_weights("nobody", "1") is None
    assert earlier_weights("tinyworld", "1")


@pytest.mark.parametrize(
    ("params", "settings", "expected"),
    [
        ({"threshold": "0.1"}, {"threshold": 0.1}, True),
        ({"seed": "1", WEIGHTS: "1"}, {"seed": 1}, True),
        ({"threshold": "0.1", WEIGHTS: "2"}, {"threshold": 0.1}, False),
        ({}, {"prompt": "a red circle"}, False),
        ({}, {}, False),
    ],
)
def test_a_link_with_settings_and_without_weights_is_of_the_first_model(params, settings, expected):
    good = {"model": "tinyworld", "method": "bwcache", **settings}
    assert is_of_earlier_weights(params, good) == expected
