"""The video to hand on: both runs side by side, with the verdict in it."""

import imageio.v3 as iio
import numpy as np
import pytest

from bwcache.runs.share_video import write_share_video

SUMMARY = {
    "verdict": "Saved 3.0 s of 5.0 s (2.50×); 8 of 12 steps reused.",
    "prompt": "a red circle " * 20,
    "method": "bwcache",
    "model": "tinyworld",
    "device": "cpu: a fake",
    "baseline_seconds": 5.0,
    "cached_seconds": 2.0,
}


@pytest.mark.parametrize("size", [(64, 64), (47, 83), (720, 1280)])
def test_both_videos_stand_side_by_side_over_a_text(size, tmp_path):
    baseline = np.full((3, *size, 3), [0.9, 0.1, 0.1], np.float32)
    cached = np.full((3, *size, 3), [0.1, 0.1, 0.9], np.float32)
    write_share_video(baseline, cached, SUMMARY, tmp_path / "share.mp4", 8)
    pictures = iio.imread(tmp_path / "share.mp4").astype(float) / 255
    count, height, width = pictures.shape[:3]
    assert count == 3
    assert width % 2 == height % 2 == 0
    assert width <= 1920
    middle = pictures[1, height // 3]
    assert np.allclose(middle[width // 4], [0.9, 0.1, 0.1], atol=0.06)
    assert np.allclose(middle[3 * width // 4], [0.1, 0.1, 0.9], atol=0.06)
    text = pictures[1, int(0.8 * height) :]
    assert text.max() > 0.7  # letters
    assert np.median(text) < 0.2  # on a dark ground
