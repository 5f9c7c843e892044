"""`bwcache score`: pairs of video files, by the same metrics as everywhere."""

import json

import numpy as np
import pytest

from bwcache.cli import main
from bwcache.runs import perceptual
from bwcache.runs.metrics import difference
from bwcache.runs.video import read_frames, write_frames

RNG = np.random.default_rng(0)
FIRST = RNG.random((4, 64, 64, 3)) * 0.2 + np.linspace(0, 0.6, 64)[:, None]
OTHER = FIRST + 0.1


@pytest.fixture
def files(tmp_path):
    for name, frames in (("a", FIRST), ("b", OTHER), ("short", FIRST[:2])):
        write_frames(list(frames), tmp_path / f"{name}.mp4", 8)
    return tmp_path


def score(capsys, *arguments) -> dict:
    status = main(["score", *map(str, arguments), "--json"])
    return {"status": status, **json.loads(capsys.readouterr().out)}


def test_a_file_is_read_as_it_was_written(files):
    read = read_frames(files / "a.mp4")
    assert read.shape == FIRST.shape
    assert read.dtype == np.float32
    assert np.abs(read - FIRST).mean() < 0.05  # H.264 halves the resolution of colours


def test_a_pair(files, capsys, monkeypatch):
    monkeypatch.setattr(perceptual, "vmaf", lambda *_: perceptual.Score(87.5))
    found = score(capsys, files / "b.mp4", files / "a.mp4")
    (pair,) = found["pairs"]
    expected = difference(read_frames(files / "b.mp4"), read_frames(files / "a.mp4"))
    assert pair["psnr_db"] == expected.psnr_db == pytest.approx(20, abs=1)
    assert pair["ssim"] == expected.ssim
    assert pair["vmaf"] == 87.5
    assert (pair["lpips"] is None) == bool(pair["lpips_reason"])
    assert (pair["frames"], pair["height"], pair["width"]) == (4, 64, 64)
    assert found["status"] == 0
    assert "mean squared error" in found["conventions"]["psnr"]


def test_only_what_is_asked_for(files, capsys, monkeypatch):
    monkeypatch.setattr(perceptual, "vmaf", lambda *_: 1 / 0)
    found = score(capsys, files / "a.mp4", files / "a.mp4", "--metrics", "psnr")
    (pair,) = found["pairs"]
    assert pair["identical"]
    assert pair["psnr_db"] is None
    assert not {"ssim", "vmaf", "lpips"} & pair.keys()
    assert main(["score", str(files / "a.mp4"), str(files / "a.mp4"), "--metrics", "psnr"]) == 0
    assert capsys.readouterr().out == "identical  a.mp4\n"


def test_folders_pair_by_name(files, capsys):
    one, other = files / "one", files / "other"
    for folder in (one, other):
        (folder / "deep").mkdir(parents=True)
        (folder / "notes.txt").write_text("no video")
    for name, to in (("a", one / "x.mp4"), ("a", one / "deep" / "y.mp4"), ("a", one / "z.mp4")):
        to.write_bytes((files / f"{name}.mp4").read_bytes())
    for name, to in (("b", other / "x.mp4"), ("a", other / "deep" / "y.mp4")):
        to.write_bytes((files / f"{name}.mp4").read_bytes())
    found = score(capsys, one, other, "--metrics", "psnr,ssim")
    assert [pair["name"] for pair in found["pairs"]] == ["deep/y.mp4", "x.mp4"]
    assert found["unpaired"] == ["z.mp4"]
    assert found["mean"]["identical"] == 1
    assert found["mean"]["psnr_db_videos"] == 1
    assert found["mean"]["ssim"] == pytest.approx((1 + found["pairs"][1]["ssim"]) / 2)
    (other / "z.mp4").write_bytes((files / "short.mp4").read_bytes())
    found = score(capsys, one, other, "--metrics", "psnr")
    assert (found["status"], found["failed"]) == (1, 1)
    assert "4 frames" in found["pairs"][2]["error"]
    assert main(["score", str(one), str(other), "--metrics", "psnr"]) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[-1].endswith("mean of 2 pairs")
    assert said[2].startswith("not scored (video: got")


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (["a.mp4", "b.mp4", "--metrics", "beauty"], "metrics"),
        (["a.mp4", "nowhere.mp4"], "nowhere.mp4"),
        (["a.mp4", "text.mp4"], "text.mp4"),
        (["a.mp4", "short.mp4"], "2 frames of 64x64"),
        (["a.mp4", "empty"], "two files or two folders"),
        (["empty", "."], "shares the name"),
        (["a.mp4"], "reference"),
    ],
)
def test_bad_input_is_one_line_and_status_two(arguments, field, files, capsys, monkeypatch):
    monkeypatch.chdir(files)
    (files / "text.mp4").write_text("no video")
    (files / "empty").mkdir()
    try:
        status = main(["score", *arguments])
    except SystemExit as stop:
        status = stop.code
    out, err = capsys.readouterr()
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert field in err
