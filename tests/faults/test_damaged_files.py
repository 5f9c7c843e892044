"""One bad file stops nothing else: it is left out, with its reason."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bwcache import ConfigError, TraceError
from bwcache.cache import calibration
from bwcache.cache.trace import TraceFile
from bwcache.cli import main
from bwcache.errors import CacheError, ModelError, RecordedError, plain
from bwcache.explore.results_file import ResultsFile
from bwcache.files import parse_json, read_bytes, read_text
from bwcache.runs.recorded import RUN_FILE, RUNS, RecordedRun, listing
from bwcache.space import quota
from bwcache.ui import api, gallery
from bwcache.ui.freeze import freeze
from tests.unit.test_recorded import RUN, written

pytestmark = pytest.mark.faults
DEEP = "[" * 100_000 + "]" * 100_000
DIGITS = "7" * 5000
GOOD = RUN.dumps()


def put(path: str, value: object) -> str:
    """The good run's text with a value at a place such as "summary.speedup" or "rows.1.row.i"."""
    data = json.loads(GOOD)
    *parts, last = path.split(".")
    inside = data
    for part in parts:
        inside = inside[int(part)] if isinstance(inside, list) else inside[part]
    inside[int(last) if isinstance(inside, list) else last] = "@HERE@"
    return json.dumps(data).replace('"@HERE@"', value if isinstance(value, str) else repr(value))


NUMBERS = ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1e300", DIGITS, f"-{DIGITS}", "1e19"]
PLACES = ["summary.speedup", "summary.steps_computed", "rows.1.at", "rows.1.row.i", "trace.seed"]
OTHERS = {
    "steps that sum to nothing": put("summary.steps_computed", 0),
    "steps below none": put("summary.steps_computed", -2),
    "a gain below none": put("summary.speedup", -1.5),
    "a step before the first": put("rows.1.row.i", -3),
    "a step far away": put("rows.1.row.i", 10**15),
    "a row named __proto__": put("rows.1.row", '{"__proto__": {"k": "step"}, "k": "step"}'),
    "a run named __proto__": put("rows.1.row.run", '"__proto__"'),
    "a part named __proto__": put("files.baseline", '"baseline.mp4", "__proto__": "x"'),
    "a kind named __proto__": put("rows.1.row.k", '"__proto__"'),
    "a kind named constructor": put("rows.1.row.k", '"constructor"'),
    "letters without an end": put(
        "rows.1.row", '{"k": "step", "run": "baseline", "i": 0, "a": "C", "blocks": "C99999999"}'
    ),
    "deep nesting": put("summary.versions", DEEP),
    "nesting that Python can read": put("summary.versions", '{"a":' * 50 + "1" + "}" * 50),
    "a title that steers": put("title", '"\\u001b[2J\\u0007"'),
    "half a letter": put("title", '"\\ud800"'),
    "a title without an end": put("title", json.dumps("long " * 10_000)),
    "no text": "\0\1\2",
    "nothing": "",
    "a list": "[]",
    "half of it": GOOD[: len(GOOD) // 2],
    "a file elsewhere": put("files.baseline", '"../../../etc/passwd"'),
}  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("number", NUMBERS, ids=lambda text: text[:9])
def test_numbers_that_are_none(number, place):
    with pytest.raises(RecordedError) as caught:
        RecordedRun.loads(put(place, number))
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("what", OTHERS)
def test_other_damage(what):
    with pytest.raises(RecordedError) as caught:
        RecordedRun.loads(OTHERS[what])
    assert len(str(caught.value)) < 300
    assert plain(caught.value) == str(caught.value)


def test_a_byte_order_mark_is_no_damage(tmp_path):
    folder = written(tmp_path / "run")
    (folder / RUN_FILE).write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert [run for _, run in listing(tmp_path) if isinstance(run, RecordedError)] == []
    assert len(gallery.index(tmp_path)) == 1
    trace = tmp_path / "trace.json"
    trace.write_bytes(b"\xef\xbb\xbf" + RUN.trace.dumps().encode())
    assert TraceFile.load(trace) == RUN.trace
    assert freeze(tmp_path / "frozen", tmp_path) == 1


@pytest.fixture
def damaged(tmp_path) -> Path:
    """A folder with one good run in the middle of all that can be wrong with one."""
    written(tmp_path / "m-good")
    everything = {**OTHERS, **{f"number {n[:9]}": put("summary.speedup", n) for n in NUMBERS}}
    for at, text in enumerate(everything.values()):
        folder = written(tmp_path / f"{'a' if at % 2 else 'z'}-{at}")
        (folder / RUN_FILE).write_bytes(text.encode("utf-8", "surrogatepass"))
    (written(tmp_path / "latin") / RUN_FILE).write_bytes(b"\xff\xfe" + GOOD.encode("utf-16-le"))
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    os.mkfifo(written(tmp_path / "fifo") / "x")
    (tmp_path / "fifo" / RUN_FILE).unlink()
    os.mkfifo(tmp_path / "fifo" / RUN_FILE)
    (tmp_path / "device").mkdir()
    (tmp_path / "device" / RUN_FILE).symlink_to("/dev/zero")
    elsewhere = written(tmp_path / "elsewhere")
    (elsewhere / "baseline.mp4").unlink()
    (elsewhere / "baseline.mp4").symlink_to("/etc/passwd")
    (tmp_path / "round").symlink_to(tmp_path / "round")
    os.rename(written(tmp_path / "odd"), os.fsencode(tmp_path) + b"/\xff\xfename")
    written(tmp_path / "steering\x1b[31m")
    return tmp_path


def test_each_is_left_out_and_listed_with_its_reason(damaged, caplog):
    with caplog.at_level(logging.WARNING):
        entries = gallery.index(damaged)
    good = [entry for entry in entries if "error" not in entry]
    assert [entry["slug"] for entry in good] == ["m-good"]
    assert len(entries) - 1 == len(caplog.records) > 30
    json.dumps(entries, allow_nan=False).encode()
    for entry in entries:
        assert plain(str(entry)) == str(entry)
        assert str(damaged) not in str(entry.get("error"))  # a visitor may read it
    assert any("\\udcff" in str(entry["slug"]) for entry in entries)


def test_a_card_that_cannot_be_drawn_takes_nothing_along(tmp_path, monkeypatch):
    for name in ("a", "b", "c"):
        written(tmp_path / name)
    drawn = gallery._speedup
    calls = []

    def failing(summary):
        calls.append(1)
        return 1 / 0 if len(calls) == 2 else drawn(summary)

    monkeypatch.setattr(gallery, "_speedup", failing)
    assert ["error" in entry for entry in gallery.index(tmp_path)] == [False, True, False]


def test_a_page_starts_beside_damaged_runs(damaged):
    """In a process of its own: what it logs is for the host to read, line by line."""
    program = (
        "from bwcache.testing import FakeBackend\nfrom bwcache.ui import build\n"
        "from pathlib import Path\nimport sys\n"
        "page = build(FakeBackend(), runs=Path(sys.argv[1]))\n"
        "import json; text = json.dumps(page.get_config_file(), default=str)\n"
        "assert 'm-good' in text\nprint('built')"
    )
    command = [sys.executable, "-c", program, str(damaged)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.stdout == "built\n", done.stderr
    told = [line for line in done.stderr.splitlines() if "is left out" in line]
    assert len(told) > 30


def test_the_gallery_that_ships_is_whole():
    assert all(isinstance(run, RecordedRun) for _, run in listing(RUNS))


# -- the same door elsewhere ----------------------------------------------------------------------


@pytest.mark.parametrize("number", NUMBERS, ids=lambda text: text[:9])
def test_a_trace_is_read_through_the_same_door(number, tmp_path, capsys):
    text = RUN.trace.dumps().replace('"seed": 0', f'"seed": {number}')
    with pytest.raises(TraceError, match="not valid JSON"):
        TraceFile.loads(text)
    (tmp_path / "trace.json").write_text(text)
    assert main(["predict", str(tmp_path / "trace.json"), "--threshold", "0.1"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert len(err) < 400
    with pytest.raises(TraceError):
        api.forecast({"trace": text, "threshold": 0.1, "method": "bwcache"})


@pytest.mark.parametrize("text", [DEEP, '{"format": ' * 5000, f'{{"num_steps": {10**17}}}'])
def test_a_trace_without_a_bottom(text):
    with pytest.raises(TraceError):
        TraceFile.loads(text)


def test_steps_without_an_end_are_refused():
    data = json.loads(RUN.trace.dumps())
    data["baseline"]["num_steps"] = 10**12
    with pytest.raises(TraceError, match="num_steps: a whole number from 1 to 100000"):
        TraceFile.loads(json.dumps(data))


@pytest.mark.parametrize("line", ['{"prompt": NaN, "config": {}}', DEEP, DIGITS, '"\\ud800'])
def test_rows_are_read_through_it_too(line, tmp_path):
    file = ResultsFile(tmp_path / "rows.jsonl")
    file.path.write_text(f"{line}\n")
    with pytest.raises(ConfigError, match="its line 1 is none"):
        file.rows()
    file.path.write_bytes(b'\xef\xbb\xbf{"prompt": "a", "config": {}}\n')
    assert [row["prompt"] for row in file.rows()] == ["a"]


@pytest.mark.parametrize("text", [DEEP, "NaN", DIGITS, "[]", "", '{"by_steps": NaN}', "\udcff"])
def test_a_calibration_is_read_through_it_too(text, tmp_path, capsys):
    path = tmp_path / "magcache.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError, match="^calibration: got "):
        calibration.find(str(path), "magcache")
    given = ["compare", "--prompt", "a", "--out", str(tmp_path / "out"), "--method", "magcache"]
    assert main([*given, "--calibration", str(path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_visitors_token_is_read_through_it_too():
    for claims in (DEEP, "NaN", DIGITS, "[]", "{"):
        import base64

        token = f"a.{base64.urlsafe_b64encode(claims.encode()).decode()}.b"
        assert quota._claims({quota.TOKEN_HEADER: token}) == {}


def test_what_has_no_end_is_read_to_a_limit():
    with pytest.raises(OSError, match="more than 1000 bytes"):
        read_bytes(Path("/dev/zero"), 1000)


def test_texts(tmp_path):
    path = tmp_path / "text"
    path.write_bytes(b"\xef\xbb\xbfa\nb")
    assert read_text(path) == "a\nb"
    assert parse_json(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}
    with pytest.raises(ValueError, match="UTF-8"):
        parse_json(b"\xff\xfe")
    assert parse_json('{"constructor": 1, "a": [1e17, -5, true, null, "x"]}')


STEERING = "\x1b]0;title\x07\x9b31m\r\n\u202e\u2028\ud800"


@pytest.mark.parametrize(
    "error",
    [
        ConfigError("field", STEERING, f"something {STEERING}"),
        TraceError(f"trace {STEERING}"),
        RecordedError(STEERING, STEERING, STEERING),
    ],
)
def test_no_message_steers_a_terminal(error):
    assert plain(error) == str(error)
    str(error).encode()


def test_the_command_line_prints_nothing_that_steers(monkeypatch, capsys, tmp_path):
    for kind in (ModelError, lambda text: CacheError(text, "not-a-pipeline")):
        monkeypatch.setattr(
            "bwcache.cli.predict.TraceFile.load",
            lambda _, kind=kind: (_ for _ in ()).throw(kind(f"no {STEERING}")),
        )
        assert main(["predict", "x", "--threshold", "0.1"]) == 2
        err = capsys.readouterr().err
        assert plain(err.rstrip("\n")) == err.rstrip("\n")


def test_a_name_on_standard_output_steers_nothing(monkeypatch, capsys, tmp_path):
    out = tmp_path / STEERING.replace("/", "").replace("\ud800", "")
    assert main(["freeze", str(out), "--runs", str(written(tmp_path / "runs" / "a").parent)]) == 0
    said = capsys.readouterr().out
    assert "\\x1b]0;title" in said
    for line in said.splitlines():
        assert plain(line) == line


def test_a_number_that_python_does_not_spell_out():
    assert "thousands of digits" in str(ConfigError("seed", 10**5000, "less"))
