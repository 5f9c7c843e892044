import numpy as np
import pytest
import torch

from bwcache.tinyworld.scenes import FRAMES, SIZE, held_out_scenes, render
from bwcache.tinyworld_training.check import GOALS, asked_for, batches, compare, table
from bwcache.tinyworld_training.judge import Verdict, judge

SCENES = held_out_scenes(72)


@pytest.fixture(scope="module")
def clips() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [render(scene, rng) for scene in SCENES]


def test_rendered_clips_are_read_rightly(clips):
    wrong = [s for s, clip in zip(SCENES, clips, strict=True) if judge(clip) != asked_for(s)]
    assert not wrong


def test_decoded_clips_are_read_rightly(clips, codec):
    video = torch.from_numpy(np.stack(clips)).permute(0, 4, 1, 2, 3) * 2 - 1
    std = torch.tensor(codec.config.latents_std).view(1, -1, 1, 1, 1)
    latents = codec.encode_normalised(video) * std
    decoded = (codec.decode(latents).sample / 2 + 0.5).permute(0, 2, 3, 4, 1).numpy()
    right = [judge(clip) == asked_for(s) for s, clip in zip(SCENES, decoded, strict=True)]
    assert np.mean(right) >= 0.97


def test_an_empty_clip_shows_nothing():
    assert judge(np.full((FRAMES, SIZE, SIZE, 3), 0.95)) == Verdict("white", "none", "none", "none")


def test_noise_is_no_shape():
    noise = np.random.default_rng(0).random((FRAMES, SIZE, SIZE, 3))
    assert judge(noise).shape == "none"


def test_a_shape_that_jumps_about_has_no_motion(clips):
    i = next(i for i, scene in enumerate(SCENES) if scene.actors[0].motion == "moving right")
    shuffled = clips[i][np.random.default_rng(1).permutation(FRAMES)]
    assert judge(shuffled).motion == "none"


def test_comparing_counts_each_word_and_lists_mistakes():
    scenes = SCENES[:4]
    verdicts = [asked_for(scene) for scene in scenes]
    perfect = compare(scenes, verdicts)
    assert perfect["passed"]
    assert perfect["right"] == dict.fromkeys(GOALS, 1.0)
    assert table(perfect).endswith("passed")
    first = asked_for(scenes[0])
    verdicts[0] = Verdict(first.background, first.colour, "none", "none")
    worse = compare(scenes, verdicts)
    assert worse["right"]["shape"] == worse["right"]["motion"] == 0.75
    assert worse["mistakes"][0]["caption"] == str(scenes[0])
    assert not worse["passed"]
    assert "missed" in table(worse)


def test_batches_leave_none_out():
    assert list(batches(5, 2)) == [slice(0, 2), slice(2, 4), slice(4, 5)]
