"""The browser's policy against the real one, in Node: the same rows must give the same schedule."""

import json
import math
import random
import shutil
import subprocess
from pathlib import Path

import playwright
import pytest

from bwcache.cache.methods.bwcache import BWCacheConfig
from bwcache.cache.predict import predict, reuse_starts_above
from bwcache.cache.trace import StepRecord, Trace
from bwcache.runs import panel_rows as rows
from bwcache.runs.events import StepDone
from bwcache.runs.request import Request
from bwcache.runs.verdict import warning
from bwcache.ui import texts
from bwcache.ui.panel import STATIC

PROMPT = "a red circle moving right on a white background"
CASES = 600
PLAYWRIGHTS_NODE = Path(playwright.__file__).parent / "driver" / "node"
ODD = (math.nan, math.inf, None)  # measured and not finite, or nothing to compare with
SHARES = (0.01, 0.05, 0.1, 0.2, 0.29, 0.3, 0.57, 0.7, 0.9)
TAILS = (0.0, 0.1, 0.3, 0.5, 0.7, 1.0)


def node(code: str, data: object) -> object:
    """What the code prints as JSON, with whatif.js before it and `data` in reach."""
    path = shutil.which("node") or PLAYWRIGHTS_NODE
    helpers = (STATIC / "scale.js").read_text() + (STATIC / "whatif.js").read_text()
    read = "const data = JSON.parse(require('fs').readFileSync(0, 'utf8'));"
    done = subprocess.run(
        [path, "-e", f"{helpers}\n{read}\nconsole.log(JSON.stringify({code}));"],
        input=json.dumps(data, allow_nan=False),
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def uncached(chance: random.Random) -> Trace:
    """A run of 1-60 steps whose indicator falls and rises, with a few odd measurements."""
    steps, odd = chance.randint(1, 60), chance.choice([0.0, 0.0, 0.1])
    records = []
    for i in range(steps):
        at = i / steps
        value = 0.02 + 0.3 * (2 * at - 1) ** 2 * chance.uniform(0.5, 1.5)
        value = chance.choice(ODD) if chance.random() < odd else value
        value = None if i == 0 else value
        distances = None if value is None else (value,)
        times = chance.uniform(0.2, 0.4), chance.uniform(0.05, 0.15), chance.uniform(0, 0.05)
        records.append(StepRecord(i, "compute", "", value, distances, *times))
    return Trace(steps, 1, {}, tuple(records))


def settings(chance: random.Random, trace: Trace) -> BWCacheConfig:
    seen = [x for x in trace.indicators if x is not None and math.isfinite(x)]
    threshold = chance.choice([0.0, chance.uniform(0.01, 0.4), *seen[:5]])
    interval = chance.choice([chance.randint(1, 12), chance.choice(SHARES)])
    gate = chance.choice(["once", "recheck"])
    return BWCacheConfig(threshold, interval, chance.choice(TAILS), gate=gate)


def panel_run(trace: Trace, config: BWCacheConfig) -> dict[str, object]:
    """What the panel has of a run: its rows and settings, as they came over the wire."""
    request = Request(PROMPT, steps=max(trace.num_steps, 2), config=config)
    made = [rows.step(StepDone("baseline", record), 0.0) for record in trace.steps]
    return {"rows": made, "settings": rows.settings(request)}


@pytest.fixture(scope="module")
def cases():
    chance = random.Random(20250917)
    traces = [uncached(chance) for _ in range(CASES)]
    return [(trace, settings(chance, trace)) for trace in traces]


def test_the_schedule_is_the_policys_own(cases):
    code = "data.map(({ rows, settings }) => predictSchedule(rows, settings))"
    answers = node(code, [panel_run(*case) for case in cases])
    reused = exact = 0
    for (trace, config), answer in zip(cases, answers, strict=True):
        found = predict(trace, config)
        assert answer["letters"] == [rows.LETTERS[action] for action in found.schedule], config
        assert answer["trigger"] == found.trigger_step
        assert answer["reused"] == found.steps_reused
        assert answer["exact"] == found.exact
        assert answer["seconds"] == pytest.approx(found.predicted_seconds, rel=1e-3)
        assert answer["whole"] == pytest.approx(trace.net_seconds, rel=1e-3)
        reused, exact = reused + (found.steps_reused > 0), exact + found.exact
    assert CASES / 4 < reused < CASES  # the cases are worth comparing
    assert CASES / 4 < exact < CASES


def test_where_reuse_starts_is_the_same(cases):
    code = "data.map(({ rows, settings }) => reuseStartsAbove(rows, settings))"
    answers = node(code, [panel_run(*case) for case in cases])
    assert answers == [reuse_starts_above(*case) for case in cases]
    assert any(answer is None for answer in answers)


def test_an_interval_is_the_same_number_of_steps(cases):
    code = "data.map(({ settings, steps }) => intervalSteps(settings.interval, steps))"
    runs = [(trace.num_steps, config) for trace, config in cases if trace.num_steps > 1]
    data = [
        {"settings": rows.settings(Request(PROMPT, steps=steps, config=config)), "steps": steps}
        for steps, config in runs
    ]
    assert node(code, data) == [run["settings"]["interval_steps"] for run in data]


@pytest.mark.parametrize(
    "measured", [[0.028, 0.247], [0.0009, 0.004], [0.31, 2.5], [0.1], [1e-7, 1.0]]
)
@pytest.mark.parametrize("own", [0, 0.045, 0.1234567, 3.0])
def test_the_sliders_places_span_the_measured_range(measured, own):
    stops = node("thresholdStops(data.measured, data.own)", {"measured": measured, "own": own})
    assert stops == sorted(set(stops))
    assert own in stops
    assert 2 < len(stops) < 1500
    assert min(stops) < min(measured)
    assert max(stops) > max(measured)


@pytest.mark.parametrize(("computed", "reused"), [(9, 21), (3, 57)])
def test_the_note_on_too_few_steps_is_the_verdicts(computed, reused):
    counts = {"steps_computed": computed, "steps_reused": reused, "config": {"reuse": "output"}}
    values = {"computed": computed, "steps": computed + reused, "least": 14, "of": 30}
    data = {"text": texts.PANEL["whatif_pays"], "values": values}
    said = node("fill(data.text, data.values)", data)
    assert said == warning(counts, {"output": (14, 30)})
