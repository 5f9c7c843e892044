"""A file counts as written when it has been read back; all of a result or none of it."""

import errno
import json
import os
import shutil
from dataclasses import replace

import gradio as gr
import imageio.v3 as iio
import numpy as np
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from PIL import Image

from bwcache import files
from bwcache.cli import main
from bwcache.cli import record as record_command
from bwcache.errors import MachineError
from bwcache.explore.results_file import ResultsFile
from bwcache.files import write
from bwcache.runs import record as recording
from bwcache.runs import video
from bwcache.runs.baselines import BaselineStore
from bwcache.runs.consume import told
from bwcache.runs.recorded import load
from bwcache.runs.request import Request
from bwcache.runs.result_files import save
from bwcache.runs.video import check_encoder, write_frames
from bwcache.testing import FakeBackend
from bwcache.ui import Host
from bwcache.ui.events import comparison_job, whole
from bwcache.ui.handlers import Handlers
from bwcache.ui.line import Line
from bwcache.ui.results import Results
from bwcache.ui.sessions import Visitors
from tests.faults.ffmpegs import WAYS, stand_in
from tests.ui.given import given
from tests.ui.serving import serving

pytestmark = pytest.mark.faults
PICTURES = [np.full((64, 64, 3), shade) for shade in np.linspace(0, 1, 9)]
PROMPT = "a red circle moving right on a white background"


@pytest.fixture(scope="module")
def finished():
    *_, last = FakeBackend()(Request(PROMPT, steps=6), BaselineStore())
    return last


def content(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("way", WAYS)
def test_a_failing_encoder_leaves_no_file(way, tmp_path, monkeypatch):
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", stand_in(tmp_path, way))
    with pytest.raises(MachineError, match="video could not be written"):
        write_frames(PICTURES, tmp_path / "out.mp4", 8)
    assert not (tmp_path / "out.mp4").exists()


def test_what_is_written_is_all_there(tmp_path):
    write_frames(PICTURES, tmp_path / "out.mp4", 8)
    read = iio.imread(tmp_path / "out.mp4")
    assert read.shape == (9, 64, 64, 3)
    assert np.allclose(read.mean((1, 2, 3)) / 255, np.linspace(0, 1, 9), atol=0.02)


@pytest.mark.parametrize("after", [0, 3])
def test_all_of_a_comparison_or_none(after, finished, tmp_path, monkeypatch):
    """Whichever of the four videos fails, `share.mp4` last, the folder is as it was."""
    folder = tmp_path / "out"
    save(finished, folder)
    (folder / "mine.txt").write_text("mine")
    before = content(folder)
    way = "writes seven bytes and is content"
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", stand_in(tmp_path, way, after))
    other = replace(finished, summary=replace(finished.summary, seed=7))
    with pytest.raises(MachineError):
        save(other, folder)
    assert content(folder) == before
    with pytest.raises(MachineError):
        save(other, tmp_path / "new")
    assert not (tmp_path / "new").exists() or content(tmp_path / "new") == {}


def test_a_file_that_cannot_be_replaced_leaves_all_as_it_was(finished, tmp_path):
    save(finished, tmp_path)
    (tmp_path / "share.mp4").unlink()
    (tmp_path / "share.mp4").mkdir()
    before = {path.name for path in tmp_path.iterdir()}
    stamp = (tmp_path / "baseline.mp4").stat().st_ino
    with pytest.raises(OSError, match="is a folder"):
        save(finished, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == before
    assert (tmp_path / "baseline.mp4").stat().st_ino == stamp


def test_no_file_of_an_older_comparison_stays_beside_a_new_one(finished, tmp_path):
    *_, with_control = FakeBackend()(Request(PROMPT, steps=6, control=True), BaselineStore())
    assert "control" in save(with_control, tmp_path)
    save(finished, tmp_path)
    assert not (tmp_path / "control.mp4").exists()


@pytest.mark.parametrize("nth", [1, 4, 6])
def test_a_disk_that_fills(nth, finished, tmp_path, monkeypatch):
    """At whichever of the files, it is called so, and all is as it was."""
    folder = tmp_path / "out"
    save(finished, folder)
    before, calls, fsync = content(folder), [], os.fsync

    def filling(descriptor):
        calls.append(descriptor)
        if len(calls) == nth:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", filling)
    with pytest.raises(OSError, match="No space") as caught:
        save(finished, folder)
    assert content(folder) == before
    assert told(caught.value) == "Not done: the disk is full. Please try again later."


def recorded(folder, finished) -> None:
    request = Request(PROMPT, steps=6)
    recording.record(FakeBackend()(request), request, "A title", "A caption.", folder)


@pytest.mark.parametrize("after", [0, 3])
def test_a_good_recorded_run_is_not_replaced_by_a_broken_one(
    after, finished, tmp_path, monkeypatch
):
    folder = tmp_path / "1-run"
    recorded(folder, finished)
    before = content(folder)
    way = "writes nothing and is content"
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", stand_in(tmp_path, way, after))
    with pytest.raises(MachineError):
        recorded(folder, finished)
    assert content(folder) == before
    load(folder)


def test_a_recorded_run_that_could_not_be_shown_is_not_kept(finished, tmp_path, monkeypatch):
    folder = tmp_path / "1-run"
    recorded(folder, finished)
    before = content(folder)

    def half(frames, path):
        path.write_bytes(b"RIFF")
        with Image.open(path) as picture:
            picture.load()

    monkeypatch.setattr(recording, "write_thumbnail", half)
    with pytest.raises(OSError, match="cannot identify"):
        recorded(folder, finished)
    assert content(folder) == before


@pytest.mark.parametrize("command", ["compare", "record"])
def test_a_broken_ffmpeg_is_noticed_before_the_work(command, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", stand_in(tmp_path, "exits with an error"))
    monkeypatch.setattr("bwcache.runs.compare.compare", lambda *_, **__: 1 / 0)
    monkeypatch.setattr("bwcache.models.loading.loading", lambda *_, **__: 1 / 0)
    title = ["--title", "A title"] if command == "record" else []
    given = [command, "--prompt", PROMPT, "--steps", "4", "--out", str(tmp_path / "out"), *title]
    assert main(given) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "ffmpeg" in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("missing", ["/nowhere/ffmpeg", "/dev/null", "/etc/passwd", "/tmp"])
def test_a_missing_ffmpeg_is_one_line(missing, monkeypatch):
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", missing)
    with pytest.raises(MachineError, match="ffmpeg, which writes the videos, is missing") as caught:
        check_encoder()
    assert missing not in told(caught.value)  # visitors read no path


def test_an_encoder_that_hangs_is_ended(tmp_path, monkeypatch):
    monkeypatch.setitem(WAYS, "hangs", "exec sleep 600")
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", stand_in(tmp_path, "hangs"))
    monkeypatch.setattr(video, "ENCODER_SECONDS", 0.5)
    with pytest.raises(MachineError):
        write_frames(PICTURES * 40, tmp_path / "out.mp4", 8)


def test_a_row_is_in_the_file_or_not(tmp_path, monkeypatch):
    file = ResultsFile(tmp_path / "rows.jsonl")
    file.append({"prompt": "a", "config": {}})
    before = file.path.read_bytes()

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            file.append({"prompt": "b" * 9999, "config": {}})
    assert file.path.read_bytes() == before
    file.append({"prompt": "c", "config": {}})
    assert [row["prompt"] for row in file.rows()] == ["a", "c"]


def test_a_benchmarks_results_stay_where_new_ones_cannot_be_written(tmp_path, monkeypatch):
    path = tmp_path / "results.json"
    write({"a": 1}, path)
    monkeypatch.setattr(files.os, "fsync", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write({"a": 2}, path)
    assert json.loads(path.read_text()) == {"a": 1}
    assert [each.name for each in tmp_path.iterdir()] == ["results.json"]


def test_what_visitors_fetch_is_whole(tmp_path):
    path, half = tmp_path / "a.mp4", tmp_path / "half.mp4"
    path.write_bytes(b"123456")
    half.write_bytes(b"123")
    copy = shutil.copy(path, tmp_path / "copy.mp4")
    assert whole(lambda _: copy)(path) == copy
    for wrong in (None, str(half), str(path)):
        with pytest.raises(MachineError):
            whole(lambda _, wrong=wrong: wrong)(path)


@pytest.mark.parametrize("command", ["compare", "record"])
def test_a_command_says_what_cannot_be_kept_in_a_line(command, tmp_path, monkeypatch, capsys):
    """From the first line to the last, with an encoder that fails at the end."""
    folder = tmp_path / "1-run"
    if command == "record":
        recorded(folder, None)
    else:
        save(list(FakeBackend()(Request(PROMPT, steps=6), BaselineStore()))[-1], folder)
    before = content(folder)
    monkeypatch.setattr("bwcache.models.loading.loading", lambda *_, **__: iter(()))
    monkeypatch.setattr("bwcache.models.loading.result_of", lambda *_: None)
    monkeypatch.setattr("bwcache.runs.compare.compare", lambda r, **_: FakeBackend()(r))
    monkeypatch.setattr(record_command, "_with_progress", lambda events: events)
    way = "writes a good file but fails"
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", stand_in(tmp_path, way, after=2))
    title = ["--title", "New"] if command == "record" else []
    given = [command, "--prompt", PROMPT, "--steps", "6", "--out", str(folder), *title]
    assert main(given) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1].startswith("bwcache: a video could not be written")
    assert content(folder) == before


def test_page_and_programs_are_told_of_a_failing_encoder(tmp_path, monkeypatch):
    """The last of the videos: neither gets a result, and the next run is served."""
    ways = {"IMAGEIO_FFMPEG_EXE": stand_in(tmp_path, "is killed at once", after=3)}
    said = "Not done: a video could not be written"
    handlers = Handlers(comparison_job(FakeBackend(), Host(), str), Visitors(), Results(Line()))
    with serving(FakeBackend()) as served:
        client = Client(served.address, verbose=False)
        with monkeypatch.context() as patched:
            patched.setenv(*ways.popitem())
            with pytest.raises(AppError, match=said):
                client.predict(PROMPT, steps=6, api_name="/compare")
            (tmp_path / "encoded").write_text("0")
            asked, *_ = handlers.enter(given(steps=6), "en", "s")
            with pytest.raises(gr.Error, match=said):
                list(handlers.run(asked, "s", "en"))
            assert handlers.results.get(asked).state == "error"
        assert client.predict(PROMPT, steps=6, api_name="/compare")["summary"]["steps"] == 6
