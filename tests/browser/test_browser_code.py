"""The browser's modules in Node: their own tests, and what they look up is what is predicted.

Any Node from 20 on will do: the one on the path, or the one that Playwright brings along.
"""

import json
import random
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import playwright
import pytest

from bwcache.cache.letters import LETTERS
from bwcache.cache.methods.bwcache import BWCacheConfig, parse_interval
from bwcache.cache.predict import predict
from bwcache.cache.trace import StepRecord, Trace
from bwcache.runs import schedule_rows
from bwcache.ui.panel import STATIC

HERE = Path(__file__).parent
NODE = shutil.which("node") or Path(playwright.__file__).parent / "driver" / "node"
LONGEST_LINE = 100


def node(*arguments: object, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [NODE, *map(str, arguments)],
        input=given,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_the_modules_own_tests_pass():
    done = node("--test", *sorted(HERE.glob("*.test.js")))
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert int(re.search(r"^\S pass (\d+)", done.stdout, re.MULTILINE)[1]) > 50


def uncached(seed: int) -> Trace:
    """A run whose indicator falls and rises; its third step measured no finite number."""
    chance = random.Random(seed)
    steps = chance.choice([6, 30, 50])
    values = [
        0.02 + 0.3 * (2 * i / steps - 1) ** 2 * chance.uniform(0.5, 1.5) for i in range(steps)
    ]
    values[3] = float("nan")
    records = (
        StepRecord(i, "compute", "", values[i] if i else None, None, 0.3, 0.2, 0.01)
        for i in range(steps)
    )
    return Trace(steps, 1, {}, tuple(records))


def asked(trace: Trace) -> list[dict[str, object]]:
    """Settings at, just above and between the measurements, for every row of the table."""
    measured = [x for x in trace.indicators if x is not None and x == x]
    thresholds = [0.0, *measured, *(x * (1 + 1e-12) for x in measured), 0.0551, 0.2, 9.0]
    return [
        {"threshold": threshold, "interval": interval, "gate": gate}
        for threshold in thresholds
        for interval in ("0.1", "4")
        for gate in ("once", "recheck")
    ]


def test_what_is_looked_up_is_what_is_predicted():
    config, traces = BWCacheConfig(0.1, 0.1), [uncached(seed) for seed in range(6)]
    cases = [
        {"rows": schedule_rows.schedules(trace, config), "asked": asked(trace)} for trace in traces
    ]
    done = node(HERE / "lookup.js", given=json.dumps(cases, allow_nan=False))
    assert done.returncode == 0, done.stderr
    found, schedules = json.loads(done.stdout), set()
    for trace, case, answers in zip(traces, cases, found, strict=True):
        for settings, answer in zip(case["asked"], answers, strict=True):
            changed = replace(
                config,
                threshold=settings["threshold"],
                reuse_interval=parse_interval(settings["interval"]),
                gate=settings["gate"],
            )
            expected = predict(trace, changed)
            assert answer["letters"] == "".join(LETTERS[one] for one in expected.schedule)
            assert answer["exact"] == expected.exact
            assert answer["seconds"] == pytest.approx(expected.predicted_seconds, rel=1e-3)
            schedules.add(answer["letters"])
    assert len(schedules) > 50  # the cases are worth asking


@pytest.mark.parametrize("kind", ["js", "css", "html"])
def test_no_line_is_too_long(kind):
    long = [
        f"{path.relative_to(STATIC)}:{number}"
        for path in STATIC.rglob(f"*.{kind}")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if len(line) > LONGEST_LINE
    ]
    assert not long


def test_modules_share_nothing_but_what_they_import():
    """None sets a name of the window, and each is imported by another or starts a component."""
    files = {path: path.read_text(encoding="utf-8") for path in STATIC.rglob("*.js")}
    components = ("panel/panel.js", "panel/finder.js", "panel/methods.js", "page/permalink.js")
    starts = {STATIC / name for name in components}
    imported = {
        (path.parent / name).resolve()
        for path, code in files.items()
        for name in re.findall(r'from "(\..*?)"', code)
    }
    assert {path.resolve() for path in files} == imported | starts
    for code in files.values():
        assert re.search(r"^export ", code, re.MULTILINE)
        assert not re.search(r"\b(?:window|globalThis)(?:\.\w+|\[.*?\]) =[^=]", code)
