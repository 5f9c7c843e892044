"""What differs between two videos, frame by frame and as a picture, on frames made by hand."""

import json
import math
from dataclasses import replace

import imageio.v3 as iio
import numpy as np
import plotly.colors
import pytest

from bwcache.runs.metrics import difference, difference_gain, pixel_distance, sound_difference_db
from bwcache.runs.request import Request
from bwcache.runs.result_files import save
from bwcache.runs.video import INFERNO, heat
from bwcache.testing import FakeBackend

GREY = np.full((3, 16, 16, 3), 0.5, np.float32)


def test_each_frame_has_its_own_numbers():
    """The first frame is the same, the second a tenth brighter, the third a hundredth."""
    other = GREY + np.array([0, 0.1, 0.01], np.float32).reshape(3, 1, 1, 1)
    found = difference(other, GREY)
    assert found.frames_psnr_db == [
        None,
        pytest.approx(20, abs=1e-3),
        pytest.approx(40, abs=1e-2),
    ]
    # Even pictures: (2 * 0.5 * 0.6 + 0.0001) / (0.25 + 0.36 + 0.0001)
    assert found.frames_ssim == [
        1,
        pytest.approx(0.6001 / 0.6101, abs=1e-4),
        pytest.approx(1, abs=1e-3),
    ]
    assert found.ssim == pytest.approx(np.mean(found.frames_ssim))
    assert found.identical is False
    # The whole video's is the mean of the errors, 0.0101 / 3, not of the decibels.
    assert found.psnr_db == pytest.approx(10 * np.log10(3 / 0.0101), abs=1e-3)


def test_distance_is_the_mean_over_colours():
    """Red 0.3 higher, green 0.15 lower: (0.3 + 0.15) / 3."""
    other = GREY + np.array([0.3, -0.15, 0], np.float32)
    assert pixel_distance(other, GREY) == pytest.approx(np.full((3, 16, 16), 0.15))
    with pytest.raises(ValueError, match="the reference has"):
        pixel_distance(other[:1], GREY)


@pytest.mark.parametrize(
    ("distance", "gain"),
    [(0.125, 8), (0.1, 10), (0.3, 3), (0.7, 1), (1.0, 1), (0.001, 32), (0, 32)],
)
def test_the_gain_is_the_largest_that_keeps_the_scale(distance, gain):
    assert difference_gain(np.full((4, 10, 10), distance, np.float32)) == gain


def test_a_few_pixels_do_not_decide_the_gain():
    """Five of 10,000 pixels are beyond the 99.9th percentile, a hundred are not."""
    distances = np.full((1, 100, 100), 0.125)
    distances[0, 0, :5] = 1
    assert difference_gain(distances) == 8
    distances[0, 0] = 1
    assert difference_gain(distances) == 1


def test_the_colours_are_infernos_and_end_where_the_scale_ends():
    assert [colour.lower() for colour in plotly.colors.sequential.Inferno] == list(INFERNO)
    places = np.array([[-1, 0, 1 / 9, 1, 7]])
    shown = (heat(places) * 255).round().astype(int).tolist()
    dark, second, bright = [0, 0, 4], [0x1B, 0x0C, 0x41], [0xFC, 0xFF, 0xA4]
    assert shown == [[dark, dark, second, bright, bright]]


@pytest.mark.parametrize("changed", [False, True])
def test_the_file_shows_where_the_videos_differ(changed, tmp_path):
    """The left half differs by 0.125, so that a gain of 8 makes it as bright as can be."""
    frames = np.full((5, 64, 64, 3), 0.5, np.float32)
    other = frames.copy()
    other[:, :, :32] += 0.125 * changed
    *_, finished = FakeBackend()(Request("a red circle", steps=2))
    gain = difference_gain(pixel_distance(other, frames))
    assert gain == (8 if changed else 32)
    baseline, cached = finished.runs
    shown = replace(
        finished,
        summary=replace(finished.summary, difference_gain=gain),
        runs=(replace(baseline, frames=frames), replace(cached, frames=other)),
    )
    written = save(shown, tmp_path)
    video = iio.imread(written["difference"]).astype(int)
    assert video.shape == (5, 384, 384, 3)
    left, right = video[:, :, :180].mean(axis=(0, 1, 2)), video[:, :, 204:].mean(axis=(0, 1, 2))
    assert np.abs(right - [0, 0, 4]).max() < 12
    assert np.abs(left - ([0xFC, 0xFF, 0xA4] if changed else [0, 0, 4])).max() < 12
    assert json.loads(written["summary"].read_text())["difference_gain"] == gain


def test_sounds_are_compared_as_signal_to_noise():
    """An error of a tenth everywhere is 20 dB."""
    sound = np.random.default_rng(0).normal(size=(2, 100)).astype(np.float32)
    assert sound_difference_db(sound * 1.1, sound) == pytest.approx(20, abs=1e-3)
    assert sound_difference_db(sound, sound) is None
    assert sound_difference_db(sound, np.zeros_like(sound)) == -math.inf
    with pytest.raises(ValueError, match="shapes"):
        sound_difference_db(sound, sound[:1])
