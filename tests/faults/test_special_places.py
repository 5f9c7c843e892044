"""Odd places to write to, and a standard output that takes nothing: one line, before the work."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bwcache import ConfigError
from bwcache.cli import main
from bwcache.explore.results_file import ResultsFile
from bwcache.files import check_file, check_folder, write
from bwcache.runs.result_files import NAMES
from tests.unit.test_recorded import RUN

pytestmark = pytest.mark.faults
ROOT = Path(__file__).parents[2]
PROMPT = "a red circle moving right on a white background"


def places(folder: Path) -> dict[str, Path]:
    """Where no results file can lie."""
    os.mkfifo(folder / "fifo")
    (folder / "folder").mkdir()
    (folder / "to-device").symlink_to("/dev/zero")
    (folder / "round").symlink_to(folder / "round")
    (folder / "to-nothing").symlink_to(folder / "nothing" / "here")
    (folder / "plain").write_text("x")
    return {
        "a device without an end": Path("/dev/zero"),
        "a device that is full": Path("/dev/full"),
        "nothing's device": Path("/dev/null"),
        "a FIFO": folder / "fifo",
        "a folder": folder / "folder",
        "a link to a device": folder / "to-device",
        "a link to itself": folder / "round",
        "a link to nowhere": folder / "to-nothing",
        "below a file": folder / "plain" / "below",
        "in no folder": folder / "missing" / "file",
        "a file of the kernel": Path("/proc/self/mem"),
        "a long name": folder / ("a" * 300),
    }


WHERE = (
    *("a device without an end", "a device that is full", "nothing's device"),
    *("a FIFO", "a folder", "a link to a device", "a link to itself", "a link to nowhere"),
    *("below a file", "in no folder", "a file of the kernel", "a long name"),
)


@pytest.mark.parametrize("where", WHERE)
def test_no_results_file_there(where, tmp_path, capsys, monkeypatch):
    path = places(tmp_path)[where]
    with pytest.raises(ConfigError, match="^out: got"):
        check_file(path)
    monkeypatch.setattr("bwcache.runs.compare.compare", lambda *_, **__: 1 / 0)
    sweep = ["sweep", "--prompt", PROMPT, "--thresholds", "0.1", "--out", str(path)]
    bench = ["bench", "memory", "--prompt", PROMPT, "--out", str(path)]
    for command in (sweep, bench):
        assert main(command) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)


@pytest.mark.parametrize("name", ["share.mp4", "summary.json"])
@pytest.mark.parametrize("what", ["folder", "fifo", "to-device", "round"])
def test_no_comparison_over_what_cannot_be_replaced(name, what, tmp_path, capsys, monkeypatch):
    places(tmp_path)
    out = tmp_path / "out"
    out.mkdir()
    os.rename(tmp_path / what, out / name)
    with pytest.raises(ConfigError, match=f"whose {name}"):
        check_folder(out, NAMES)
    monkeypatch.setattr("bwcache.runs.compare.compare", lambda *_, **__: 1 / 0)
    assert main(["compare", "--prompt", PROMPT, "--out", str(out)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("where", ["/dev/null", "/dev/full", "/proc/x", "fifo", "round", "a" * 300])
def test_no_folder_there(where, tmp_path, capsys):
    places(tmp_path)
    given = ["compare", "--prompt", PROMPT, "--out", str(tmp_path / where)]
    assert main(given) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.skipif(os.name != "posix", reason="POSIX's modes")
def test_a_file_that_may_not_be_changed(tmp_path, monkeypatch):
    """As an immutable one answers, or any other user's: the system says no to opening it."""
    path = tmp_path / "rows.jsonl"
    path.write_text("{}")
    opened = Path.open

    def refusing(self, mode="r", *given, **more):
        if self == path and mode != "r":
            raise PermissionError(1, "Operation not permitted", str(path))
        return opened(self, mode, *given, **more)

    monkeypatch.setattr(Path, "open", refusing)
    with pytest.raises(ConfigError, match="a plain one that can be changed"):
        check_file(path)


def test_a_link_to_a_file_stays_one(tmp_path):
    (tmp_path / "there").write_text("{}")
    (tmp_path / "link").symlink_to(tmp_path / "there")
    check_file(tmp_path / "link")
    write({"a": 1}, tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert '"a": 1' in (tmp_path / "there").read_text()


def test_a_large_file_is_not_read(tmp_path):
    path = tmp_path / "rows.jsonl"
    with path.open("wb") as file:
        file.truncate(10**12)  # takes no room
    with pytest.raises(ConfigError, match="which can be read"):
        ResultsFile(path).rows()


def test_two_searches_on_one_file(tmp_path, capsys):
    path, link = tmp_path / "rows.jsonl", tmp_path / "link"
    link.symlink_to(path)
    path.write_text("")
    for given in (path, link):
        with ResultsFile(path).alone():
            goal = ["--prompt", PROMPT, "--goal", "psnr=30", "--out", str(given)]
            assert main(["sweep", *goal]) == 2
            assert "no other command is writing" in capsys.readouterr().err
    with ResultsFile(path).alone():
        pass  # it was let go of


def test_no_row_is_written_twice(tmp_path):
    first, second = ResultsFile(tmp_path / "rows.jsonl"), ResultsFile(tmp_path / "rows.jsonl")
    for file in (first, second, first):
        file.append({"prompt": "a", "config": {"threshold": 0.1}, "speedup": 2.0})
    assert len(first.rows()) == 1


# -- standard output ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trace(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("trace") / "trace.json"
    path.write_text(RUN.trace.dumps(), encoding="utf-8")
    return str(path)


def predict(trace: str, redirected: str, **variables: str) -> subprocess.CompletedProcess:
    """`predict`, which loads no torch, with its output redirected by a shell."""
    command = f"{sys.executable} -m bwcache predict {trace} --threshold 0.1 {redirected}"
    kept = {name: x for name, x in os.environ.items() if name != "PYTHONUNBUFFERED"}
    environment = {**kept, "PYTHONPATH": str(ROOT), **variables}
    return subprocess.run(
        ["bash", "-c", command], capture_output=True, env=environment, check=False, text=True
    )


@pytest.mark.parametrize("more", ["", "--json"])
def test_standard_output_that_is_full(more, trace):
    done = predict(trace, f"{more} >/dev/full")
    assert done.returncode == 1
    assert done.stderr.startswith("bwcache: the disk is full")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("more", ["", "--json"])
def test_standard_output_that_is_a_closed_pipe(more, trace):
    program = (
        "import os, sys\n"
        "from bwcache.cli import main\n"
        "reads, writes = os.pipe(); os.close(reads); os.dup2(writes, 1)\n"
        f"sys.exit(main(['predict', {trace!r}, '--threshold', '0.1', *{[more] if more else []!r}]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == "bwcache: standard output was closed before all was said\n"


def test_standard_output_that_is_not_there(trace):
    done = predict(trace, ">&-")
    assert (done.returncode, done.stderr) == (1, "bwcache: standard output is closed\n")


def test_standard_output_that_knows_ascii_alone(trace):
    done = predict(trace, "", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert (done.returncode, done.stderr) == (0, "")
    program = "from bwcache.cli import main; import bwcache.cli.predict as p\n"
    program += "p.run = lambda args: print('2.50× – \\ud800') or 0; main(['predict', 'x', "
    program += "'--threshold', '0.1'])"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "2.50\\xd7 \\u2013 \\ud800\n"


def test_standard_error_that_takes_nothing(trace):
    assert predict("/nowhere", "2>/dev/full").returncode == 2
    assert predict("--unknown", "2>/dev/full").returncode == 2
    assert predict("/nowhere", "2>&-").returncode == 2


def test_help_that_nobody_takes():
    done = predict("--help", ">/dev/full")
    assert done.returncode == 1
    assert "No space left" in done.stderr
    assert done.stderr.count("\n") == 1
    assert predict("--help", ">/dev/null").returncode == 0
