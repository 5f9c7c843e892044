import numpy as np
import pytest
import torch

from bwcache.tinyworld.grammar import MOTIONS, SHAPES, Actor, Scene
from bwcache.tinyworld.world import FRAMES, RGB, SIZE, coverage, draw, plan, render, tracks


def scene_of(*captions: tuple[str, str, str], background: str = "white") -> Scene:
    return Scene(tuple(Actor(*words) for words in captions), background)


def test_a_clip_is_what_the_seed_says():
    scene = scene_of(("red", "circle", "bouncing"))
    first, again, other = (render(scene, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.shape == (FRAMES, SIZE, SIZE, 3)
    assert first.dtype == np.float32
    assert 0 <= first.min() < first.max() <= 1
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_many_clips_at_once_are_the_same_as_one_by_one():
    scenes = [
        scene_of(("blue", "square", "growing")),
        scene_of(("red", "circle", "still"), ("black", "triangle", "bouncing")),
    ]
    rng = np.random.default_rng(3)
    alone = [draw(plan([scene], rng)) for scene in scenes]
    together = draw(plan(scenes, np.random.default_rng(3)))
    assert torch.equal(together, torch.cat(alone))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("motion", MOTIONS)
def test_a_shape_is_drawn_where_its_track_is_and_nowhere_else(shape, motion):
    scene = scene_of(("black", shape, motion))
    (path,) = tracks(scene, np.random.default_rng(4))
    frames = render(scene, np.random.default_rng(4))
    share = coverage(shape, path)
    white = np.array(RGB["white"], np.float32) / 255
    assert np.allclose(frames[share == 0], white, atol=1e-6)
    assert (frames[share == 1].mean(-1) < 0.2).all()
    assert (share.sum((1, 2)) > 50).all()


def test_the_first_frame_of_moving_right_is_left_of_the_last():
    for motion, axis, sign in (
        *(("moving right", 0, 1), ("moving left", 0, -1)),
        *(("moving down", 1, 1), ("moving up", 1, -1)),
    ):
        (path,) = tracks(scene_of(("red", "circle", motion)), np.random.default_rng(0))
        assert sign * (path[-1, axis] - path[0, axis]) > SIZE / 2


def test_two_shapes_begin_apart():
    scene = scene_of(("red", "circle", "moving left"), ("blue", "square", "still"))
    for seed in range(20):
        first, second = (path[0] for path in tracks(scene, np.random.default_rng(seed)))
        assert np.hypot(*(first[:2] - second[:2])) > first[2] + second[2]


def test_outlines_are_antialiased():
    frames = render(scene_of(("black", "circle", "still")), np.random.default_rng(0))
    between = (frames[0].mean(-1) > 0.3) & (frames[0].mean(-1) < 0.7)
    assert 20 < between.sum() < 200


def test_the_light_comes_from_the_upper_left():
    frames = render(scene_of(("gray", "square", "still"), background="black"),
                    np.random.default_rng(0))  # fmt: skip
    inside = frames[0, :, :, 0] > 0.4
    rows, columns = np.nonzero(inside)
    first, last = (frames[0, i, j, 0] for i, j in ((rows[0] + 2, columns.min() + 2),
                                                   (rows[-1] - 2, columns.max() - 2)))  # fmt: skip
    assert 0.05 < first - last < 0.2
