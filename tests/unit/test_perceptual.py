"""VMAF and LPIPS: a number where they can be measured, else the reason."""

import sys
from types import SimpleNamespace

import imageio_ffmpeg
import numpy as np
import pytest
import torch

from bwcache.runs import perceptual
from bwcache.runs.metrics import NOT_ASKED, difference
from bwcache.testing import frames

FRAMES = frames()
HAS_VMAF = perceptual._has_libvmaf(imageio_ffmpeg.get_ffmpeg_exe())
needs_vmaf = pytest.mark.skipif(not HAS_VMAF, reason="this ffmpeg has no libvmaf")


@needs_vmaf
def test_vmaf_falls_as_the_videos_part():
    same = perceptual.vmaf(FRAMES[:3], FRAMES[:3])
    assert same.reason is None
    assert same.value > 95
    scores = [perceptual.vmaf(frames(shift)[:3], FRAMES[:3]).value for shift in (4.0, 24.0)]
    assert same.value > scores[0] > scores[1] >= 0


@needs_vmaf
def test_odd_and_large_videos_are_taken_as_they_are():
    video = np.random.default_rng(0).random((2, 1081, 65, 3), np.float32)
    assert perceptual.vmaf(video, video).value > 95


def test_what_is_missing_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(perceptual.imageio_ffmpeg, "get_ffmpeg_exe", lambda: "/none/ffmpeg")
    assert "no libvmaf" in perceptual.vmaf(FRAMES, FRAMES).reason

    def none():
        raise RuntimeError("No ffmpeg exe could be found")

    monkeypatch.setattr(perceptual.imageio_ffmpeg, "get_ffmpeg_exe", none)
    assert "needs ffmpeg" in perceptual.vmaf(FRAMES, FRAMES).reason
    monkeypatch.setattr(perceptual.importlib.util, "find_spec", lambda name: None)
    assert "needs torchvision" in perceptual.lpips(FRAMES, FRAMES).reason
    monkeypatch.setattr(perceptual.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert perceptual.ALEXNET in perceptual.lpips(FRAMES, FRAMES).reason
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / perceptual.ALEXNET).touch()
    assert "64 pixels" in perceptual.lpips(FRAMES[:, :32], FRAMES[:, :32]).reason


def test_an_ffmpeg_that_fails_is_said_in_a_line(monkeypatch):
    monkeypatch.setattr(perceptual, "_has_libvmaf", lambda executable: True)
    failed = SimpleNamespace(returncode=1, stderr=b"first\nlibvmaf: out of luck\n")
    monkeypatch.setattr(perceptual.subprocess, "run", lambda *_, **__: failed)
    assert perceptual.vmaf(FRAMES, FRAMES).reason == "ffmpeg's libvmaf failed: libvmaf: out of luck"
    done = SimpleNamespace(returncode=0, stderr=b"")  # and leaves no log
    monkeypatch.setattr(perceptual.subprocess, "run", lambda *_, **__: done)
    assert perceptual.vmaf(FRAMES, FRAMES) == perceptual.Score(
        reason="ffmpeg's libvmaf failed: FileNotFoundError"
    )


def test_lpips_is_the_mean_over_frames(monkeypatch, tmp_path):
    """A stand-in for the network: the sum over pictures of their mean distance."""
    monkeypatch.setattr(perceptual.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / perceptual.ALEXNET).touch()

    def measure(one, other, reduction, normalize):
        assert (reduction, normalize) == ("sum", True)
        return (one - other).abs().mean(dim=(1, 2, 3)).sum()

    module = SimpleNamespace(learned_perceptual_image_patch_similarity=measure)
    monkeypatch.setitem(sys.modules, "torchmetrics.functional.image", module)
    half = np.full((17, 64, 64, 3), 0.5, np.float32)
    assert perceptual.lpips(half + 0.1, half).value == pytest.approx(0.1)


def test_they_are_measured_where_they_are_asked_for(monkeypatch):
    monkeypatch.setattr(perceptual, "vmaf", lambda *_: perceptual.Score(71.5))
    monkeypatch.setattr(perceptual, "lpips", lambda *_: perceptual.Score(reason="why"))
    found = difference(FRAMES, FRAMES, as_seen=True)
    assert (found.vmaf, found.vmaf_reason, found.lpips, found.lpips_reason) == (
        *(71.5, None),
        *(None, "why"),
    )
    assert difference(FRAMES, FRAMES).vmaf_reason == NOT_ASKED


def test_identical_pictures_have_an_ssim_of_one():
    """Where a picture is even, rounding alone once gave 0.9997."""
    even = np.random.default_rng(0).random((2, 1, 1, 3), np.float32).repeat(32, 1).repeat(32, 2)
    assert difference(even, even).frames_ssim == [1.0, 1.0]
