"""Recorded runs: their folder, read back, refused where damaged, listed one by one."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from bwcache.cache.methods.bwcache import BWCacheConfig
from bwcache.cache.trace import StepRecord, Trace, TraceFile
from bwcache.cli import main
from bwcache.errors import RecordedError
from bwcache.files import replacing
from bwcache.runs import record as recording
from bwcache.runs.recorded import RUN_FILE, RUNS, RecordedRun, listing, load
from bwcache.runs.request import Request
from bwcache.testing import FakeBackend

STEPS = (
    StepRecord(0, "compute", "first step", seconds=0.2),
    StepRecord(1, "compute", "above", 0.09, (0.08, 0.10), 0.2, 0.15, 0.01),
)
TRACE = Trace(2, 2, BWCacheConfig(0.05).as_dict(), STEPS)
RUN = RecordedRun(
    title="A title",
    caption="One sentence.",
    recorded="2026-11-21T10:00:00+00:00",
    summary={
        "model": "tinyworld", "prompt": "a red circle", "speedup": 1.5, "psnr_db": None,
        "steps_computed": 2, "steps_reused": 0, "device": "cpu: a test", "versions": {},
        "verdict": "Nothing was reused.", "config": BWCacheConfig(0.05).as_dict(),
    },
    trace=TraceFile("tinyworld", "a red circle", 0, TRACE, TRACE),
    rows=[
        {"at": 0, "row": {"k": "begin", "id": "x", "runs": ["baseline", "cached"]}},
        {"at": 0.25, "row": {"k": "step", "run": "baseline", "i": 0, "a": "C"}},
        {"at": 0.5, "row": {"k": "video", "run": "baseline"}},
        {"at": 0.5, "row": {"k": "done"}},
    ],
    files={"baseline": "baseline.mp4", "cached": "cached.mp4", "thumbnail": "thumbnail.webp"},
)  # fmt: skip


STEP, DONE = RUN.rows[1]["row"], RUN.rows[3:]


def written(folder, run=RUN):
    folder.mkdir(parents=True)
    for name in run.files.values():
        (folder / name).write_bytes(b"x")
    (folder / RUN_FILE).write_text(run.dumps(), encoding="utf-8")
    return folder


def changed(**changes) -> str:
    return json.dumps({**json.loads(RUN.dumps()), **changes})


def test_round_trip(tmp_path):
    assert load(written(tmp_path / "1-run")) == RUN


def test_a_number_that_is_not_finite_becomes_null():
    begin, step, *rest = RUN.rows
    odd = {"at": 0.25, "row": {**step["row"], "v": float("nan")}}
    read = RecordedRun.loads(replace(RUN, rows=[begin, odd, *rest]).dumps())
    assert read.rows[1]["row"]["v"] is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "run.json: found no valid JSON"),
        ("{", "run.json: found no valid JSON"),
        ("[" * 100_000, "run.json: found no valid JSON"),
        ("[]", "found list, needed is an object"),
        ("{}", "found None version None, needed is 'bwcache-recorded-run' version 1"),
        (changed(format="bwcache-trace"), "'bwcache-trace' version 1"),
        (changed(version=2), "version 2, needed is 'bwcache-recorded-run' version 1"),
        (changed(title=" "), "run.json title: found  "),
        (changed(caption=None), "run.json caption: found None, needed is a text"),
        (changed(recorded="yesterday"), "run.json recorded: found yesterday"),
        (changed(recorded="2026-11-21"), "run.json recorded: found 2026-11-21"),
        (changed(summary=[]), "run.json summary: found list"),
        (changed(summary={**RUN.summary, "speedup": "fast"}), "summary.speedup: found fast"),
        (changed(summary={**RUN.summary, "speedup": True}), "summary.speedup: found True"),
        (changed(summary={**RUN.summary, "config": {}}), "summary.config.threshold: found nothing"),
        (changed(trace={}), "run.json trace: found trace file"),
        (changed(files={"baseline": "baseline.mp4"}), "files.cached: found nothing"),
        (changed(files={**RUN.files, "cached": "../../x"}), "files.cached: found ../../x"),
        (changed(files={**RUN.files, "cached": ".."}), "files.cached: found .."),
        (changed(rows=[]), "run.json rows"),
        (changed(rows=[*RUN.rows[:3]]), "rows: found 'begin' to 'video'"),
        (changed(rows=[RUN.rows[0], 7]), r"rows\[1\]: found 7"),
        (changed(rows=[RUN.rows[0], {"at": 1, "k": "done"}]), r"rows\[1\]"),
        (changed(rows=[*RUN.rows[::-1]]), r"rows\[2\]"),
        (changed(rows=[RUN.rows[0], {"at": 0, "row": {"k": "video", "run": "x"}}, RUN.rows[3]]),
         r"rows\[1\].row.run: found x, needed is 'baseline', 'cached' or 'control'"),
        (changed(rows=[RUN.rows[0], {"at": 0, "row": {"k": "video", "run": "control"}}, *DONE]),
         "video of 'control': found no file"),
        (changed(rows=[RUN.rows[0], {"at": 0, "row": {"k": "__proto__", "run": "cached"}}, *DONE]),
         r"rows\[1\].row.k: found .*__proto__.*, needed is a row of a known kind"),
        (changed(rows=[RUN.rows[0], {"at": 0, "row": {"k": "video", "run": "__proto__"}}, *DONE]),
         "found __proto__, needed is 'baseline'"),
        (changed(rows=[{"at": 0, "row": {"k": "begin", "id": "x", "runs": ["__proto__"]}}, *DONE]),
         r"rows\[0\].row.runs\[0\]: found __proto__"),
        (changed(rows=[RUN.rows[0], {"at": 0, "row": {**STEP, "v": "much"}}, *DONE]),
         r"rows\[1\].row.v: found much, needed is a number"),
        (changed(files={**RUN.files, "__proto__": "baseline.mp4"}), "a part named __proto__"),
        (changed(files={**RUN.files, "a/b": "baseline.mp4"}), "files.a/b: found a/b, needed is a"),
        (changed(summary={**RUN.summary, "speedup": float("nan")}), "NaN is no number there"),
        (changed(summary={**RUN.summary, "speedup": float("inf")}), "Infinity is no number there"),
        (changed().replace('"speedup": 1.5', '"speedup": 1e400'), "1e400 is too large a number"),
        (changed().replace('"seed": 0', f'"seed": {"9" * 5000}'), "a whole number of 5000 digits"),
        (changed().replace('"at": 0.25', f'"at": -{"9" * 5000}'), "a whole number of 5001 digits"),
        (changed().replace('"versions": {}', f'"versions": {"[" * 500}{"]" * 500}'),
         "more than 32 objects or lists within one another"),
        (changed().replace('"versions": {}', '{"a":' * 50_000), "no valid JSON"),
    ],
)  # fmt: skip
def test_a_damaged_or_foreign_file_is_one_clear_line(text, words):
    with pytest.raises(RecordedError, match=words) as caught:
        RecordedRun.loads(text)
    assert "\n" not in str(caught.value)
    assert ", needed is " in str(caught.value)


def leaves(data: object, path: tuple = ()) -> list[tuple]:
    """The places of all values in nested objects and lists."""
    if not isinstance(data, dict | list):
        return [path]
    pairs = data.items() if isinstance(data, dict) else enumerate(data)
    return [path, *(leaf for name, value in pairs for leaf in leaves(value, (*path, name)))]


@pytest.mark.parametrize("odd", [None, True, -1, 1e308, 10**17, "", "a\nb", "__proto__", [], {}])
def test_whatever_stands_anywhere_is_read_or_refused_in_a_line(odd):
    whole, refusals = json.loads(RUN.dumps()), []
    for path in leaves(whole)[1:]:
        data = json.loads(RUN.dumps())
        *way, name = path
        inner = data
        for step in way:
            inner = inner[step]
        inner[name] = odd
        try:
            RecordedRun.loads(json.dumps(data)).dumps()
        except RecordedError as error:
            refusals.append(str(error))
    assert refusals
    assert not [text for text in refusals if "\n" in text]


def test_the_runs_that_come_with_the_program_are_read_as_they_were_written():
    found = dict(listing(RUNS))
    assert len(found) >= 4
    for name, run in found.items():
        assert isinstance(run, RecordedRun), run
        data = json.loads((RUNS / name / RUN_FILE).read_text(encoding="utf-8"))
        assert (run.summary, run.rows, run.files) == (data["summary"], data["rows"], data["files"])


def test_a_trace_of_another_model_is_refused():
    trace = {**json.loads(RUN.dumps())["trace"], "model": "wan2.1-t2v-1.3b"}
    with pytest.raises(RecordedError, match="trace.model: found wan2.1.*'tinyworld'"):
        RecordedRun.loads(changed(trace=trace))


def test_a_missing_file_is_named(tmp_path):
    folder = written(tmp_path / "1-run")
    (folder / "cached.mp4").unlink()
    with pytest.raises(RecordedError, match=r"^cached.mp4: found nothing"):
        load(folder)
    (folder / RUN_FILE).write_bytes(b"\xff\xfe")
    with pytest.raises(RecordedError, match="no readable text"):
        load(folder)
    (folder / RUN_FILE).unlink()
    with pytest.raises(RecordedError, match=r"^run.json: found nothing"):
        load(folder)


def test_one_broken_run_leaves_the_others(tmp_path):
    for name in ("3-last", "1-first"):
        written(tmp_path / name)
    (written(tmp_path / "2-broken") / RUN_FILE).write_text("{")
    written(tmp_path / ".writing-now")
    (tmp_path / "a-file").write_text("")
    (tmp_path / "4-elsewhere").symlink_to(tmp_path / "1-first")
    found = dict(listing(tmp_path))
    assert list(found) == ["1-first", "2-broken", "3-last"]
    assert isinstance(found.pop("2-broken"), RecordedError)
    assert list(found.values()) == [RUN, RUN]
    assert listing(tmp_path / "nowhere") == []


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path):
    folder = written(tmp_path / "1-run")
    with pytest.raises(FileNotFoundError), replacing(folder) as staging:
        (staging / "nowhere" / "half").write_text("")
    assert load(folder) == RUN
    with replacing(folder) as staging:
        (staging / "new").write_text("")
    assert [path.name for path in folder.iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["1-run"]


def arguments(folder, **changes) -> list[str]:
    given = {
        "prompt": "a red circle moving right on a white background", "threshold": "1e6",
        "reuse-interval": "2", "steps": "6", "title": "A title", "out": str(folder), **changes,
    }  # fmt: skip
    return ["record", *(part for name, value in given.items() for part in (f"--{name}", value))]


@pytest.mark.usefixtures("small_model")
def test_recording_writes_a_run_that_can_be_read(tmp_path, capsys):
    folder = tmp_path / "runs" / "1-run"
    assert main([*arguments(folder), "--control", "--device", "cpu"]) == 0
    assert "3 of 6 steps reused" in capsys.readouterr().out
    run = load(folder)
    assert run.summary == json.loads((folder / "summary.json").read_text())
    assert run.trace == TraceFile.load(folder / "trace.json")
    assert run.caption == "Prompt: a red circle moving right on a white background."
    rows = [row["row"] for row in run.rows]
    kinds = [row["k"] for row in rows]
    assert kinds[:4] == ["begin", "start", "start", "step"]
    assert {row["run"] for row in rows[3:7]} == {"baseline", "cached"}
    assert kinds.count("step") == 6 + 6 + run.summary["steps_computed"]
    videos = [row["run"] for row in rows if row["k"] == "video"]
    assert videos == ["baseline", "cached", "control"]
    assert not any("url" in row or "files" in row for row in rows)
    assert {"baseline", "cached", "control", "thumbnail", "trace", "summary"} <= set(run.files)
    assert set(run.files.values()) | {RUN_FILE} == {path.name for path in folder.iterdir()}
    times = [row["at"] for row in run.rows]
    assert times == sorted(times)
    assert times[-1] >= run.summary["baseline_total_seconds"]
    assert main([*arguments(folder, title="Another"), "--device", "cpu"]) == 0
    assert load(folder).title == "Another"
    assert not (folder / "control.mp4").exists()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"title": " "}, "title"),
        ({"title": "x" * 61}, "title"),
        ({"caption": ""}, "caption"),
        ({"prompt": "a red zyzzyva"}, "prompt"),
        ({"threshold": "-1"}, "threshold"),
    ],
)
def test_a_wrong_value_writes_nothing(tmp_path, capsys, changes, field):
    assert main(arguments(tmp_path / "1-run", **changes)) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"bwcache: {field}: ")
    assert error.count("\n") == 1
    assert not any(tmp_path.iterdir())


def test_only_a_recorded_run_is_replaced(tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("")
    for name in ("mine", "mine/thesis.txt", "with space"):
        assert main(arguments(tmp_path / name)) == 2
        assert capsys.readouterr().err.startswith("bwcache: out: got")
    assert (tmp_path / "mine" / "thesis.txt").exists()


@pytest.mark.usefixtures("small_model")
def test_a_failing_run_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(recording, "save", lambda *a: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main([*arguments(tmp_path / "1-run"), "--device", "cpu"])
    assert not any(tmp_path.iterdir())


def test_the_thumbnail_is_small_and_keeps_the_shape(tmp_path):
    path = tmp_path / "thumbnail.webp"
    recording.write_thumbnail(np.random.default_rng(0).random((5, 48, 64, 3)), path)
    with Image.open(path) as image:
        assert (image.format, image.size) == ("WEBP", (192, 144))
    assert path.stat().st_size < 40_000


def test_reading_and_rows_load_no_model_and_no_page():
    program = (
        "import sys, bwcache.runs.recorded, bwcache.runs.panel_rows, bwcache.runs.consume\n"
        "heavy = {'torch', 'diffusers', 'gradio', 'plotly'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_random_weights_are_said_to_be_so(tmp_path):
    request = Request("a cat", steps=12, config=BWCacheConfig(0.06), random_weights=True)
    run = recording.record(
        FakeBackend()(request), request, "Title", "About it.", tmp_path / "1-random"
    )
    assert run.caption.startswith("Random weights: ")
    assert run.caption.endswith("About it.")
    assert load(tmp_path / "1-random").caption == run.caption
