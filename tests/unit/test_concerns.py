"""What a comparison says that one should mind, and what its files are like."""

from dataclasses import replace

import imageio.v3 as iio
import numpy as np
import pytest
from diffusers import FlowMatchEulerDiscreteScheduler

from bwcache import BWCacheConfig, StepRecord, Trace
from bwcache.cache.trace import FEW_STEPS, WARNINGS
from bwcache.explore.suggestion import suggest, suggestion_text
from bwcache.models import loading
from bwcache.runs.compare import compare
from bwcache.runs.request import Request
from bwcache.runs.result_files import save
from bwcache.runs.verdict import warning
from bwcache.runs.video import padding, write_mp4
from bwcache.ui.languages import LANGUAGES, say_verdict
from tests.conftest import build_wan


def measured(steps: int) -> Trace:
    """An uncached run whose indicator falls from 0.9 to 0.1."""
    found = [0.9 - 0.8 * step / steps for step in range(steps)]
    records = [
        StepRecord(step, "compute", "x", number if step else None, (number,) if step else None)
        for step, number in enumerate(found)
    ]
    return Trace(steps, 1, {}, tuple(records))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_warning_of_a_trace_is_said_in_every_language(language):
    numbers = {"steps": 30, "few": 12, "step": 3}
    for name in WARNINGS:
        summary = {
            "steps_computed": 20,
            "steps_reused": 10,
            "config": BWCacheConfig().as_dict(),
            "concerns": [(name, numbers)],
        }
        assert warning(summary, {}, say_verdict(language))
    assert warning({**summary, "concerns": []}, {}, say_verdict(language)) is None


@pytest.mark.parametrize("steps", [4, 8, FEW_STEPS - 1])
def test_nothing_is_suggested_for_a_few_steps(steps):
    assert suggest(measured(steps), BWCacheConfig()) is None
    assert f"With {steps} steps there is little to skip" in suggestion_text(None, steps)


def test_something_is_suggested_from_twelve():
    assert suggest(measured(FEW_STEPS), BWCacheConfig()) is not None


@pytest.fixture
def stochastic(monkeypatch):
    """The small model, whose scheduler adds noise that nobody seeds."""

    def build(*_):
        pipe = build_wan()
        pipe.scheduler = FlowMatchEulerDiscreteScheduler(shift=2.0, stochastic_sampling=True)
        return pipe

    loading.unload_all()
    monkeypatch.setattr(loading, "build", build)
    yield
    loading.unload_all()


def test_both_runs_draw_the_same_noise_and_the_verdict_says_that_there_is_some(stochastic):
    request = Request("a red circle", steps=4, config=BWCacheConfig(0.0))
    *_, last = compare(request, device="cpu")
    assert last.summary.identical
    assert "adds noise" in last.summary.warning
    assert "little to skip" in last.summary.warning
    other = compare(replace(request, seed=1), device="cpu")
    *_, last_of_another = other
    assert not np.array_equal(last.runs[0].frames, last_of_another.runs[0].frames)


def test_a_trigger_at_once_is_minded(small_model):
    request = Request("a red circle", steps=20, config=BWCacheConfig(1e6, 1))
    *_, last = compare(request, device="cpu")
    assert "Reuse began with step 3 of 20" in last.summary.warning
    gentle = replace(request, config=BWCacheConfig(1e6, 1, warm_up_steps=0.2))
    *_, last = compare(gentle, device="cpu")
    assert "Reuse began" not in (last.summary.warning or "")


@pytest.mark.parametrize(
    ("height", "width", "written"),
    [
        (540, 960, (540, 960)),
        (60, 64, (360, 384)),
        (481, 303, (482, 304)),
        (257, 480, (258, 480)),
        (48, 50, (384, 400)),
    ],
)
def test_videos_keep_their_size_or_are_padded(tmp_path, height, width, written):
    frames = np.zeros((2, height, width, 3))
    frames[:, :, -1] = 1  # a white last column stands where it was
    write_mp4(frames, tmp_path / "x.mp4", 8)
    found = iio.imread(tmp_path / "x.mp4")
    assert found.shape[1:3] == written
    right, bottom = padding(frames)
    assert (written[0] - bottom) % height == (written[1] - right) % width == 0
    assert found[0, :, -1].mean() > 200


def test_padding_is_said(small_model, tmp_path):
    *_, last = compare(Request("a red circle", steps=2), device="cpu")
    assert "video_padding" not in save(last, tmp_path)["summary"].read_text()
    odd = [replace(run, frames=np.zeros((2, 257, 301, 3), np.float32)) for run in last.runs]
    written = save(replace(last, runs=tuple(odd)), tmp_path / "odd")
    assert '"video_padding": [\n  1,\n  1\n ]' in written["summary"].read_text()
