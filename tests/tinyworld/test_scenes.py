import numpy as np
import pytest

from bwcache.tinyworld.scenes import (
    BACKGROUNDS,
    COLOURS,
    FRAMES,
    SIZE,
    Actor,
    Scene,
    all_actors,
    caption,
    held_out_scenes,
    is_held_out,
    random_scene,
    render,
    words,
)


def draw(text_actor: tuple[str, str, str], background: str = "white", seed: int = 0) -> np.ndarray:
    return render(Scene((Actor(*text_actor),), background), np.random.default_rng(seed))


def test_the_same_seed_draws_the_same_clip():
    actor = ("red", "circle", "bouncing")
    assert np.array_equal(draw(actor, seed=3), draw(actor, seed=3))
    assert not np.array_equal(draw(actor, seed=3), draw(actor, seed=4))


def test_held_out_actors_never_appear_in_training():
    rng = np.random.default_rng(0)
    seen = {actor for _ in range(3000) for actor in random_scene(rng).actors}
    assert not any(map(is_held_out, seen))
    assert seen == {actor for actor in all_actors() if not is_held_out(actor)}


def test_held_out_scenes_are_distinct_and_cover_every_word():
    scenes = held_out_scenes(64)
    assert len(set(scenes)) == 64
    text = " ".join(map(str, scenes)).split()
    assert set(words()) - set(text) == {"and", "the", "grey"}


def test_more_held_out_scenes_than_exist_are_refused():
    with pytest.raises(ValueError, match="at most 72"):
        held_out_scenes(73)


@pytest.mark.parametrize(
    ("motion", "axis", "sign"),
    [("moving left", 1, -1), ("moving right", 1, 1), ("moving up", 0, -1), ("moving down", 0, 1)],
)
def test_a_moving_shape_crosses_most_of_the_frame(motion, axis, sign):
    clip = draw(("blue", "circle", motion))
    inside = np.abs(clip - clip[0, 0, 0]).sum(-1) > 0.5
    centres = [np.argwhere(frame)[:, axis].mean() for frame in inside]
    assert sign * (centres[-1] - centres[0]) > SIZE / 2


def test_growing_and_shrinking_mirror_each_other():
    area = [
        (np.abs(clip - clip[0, 0, 0]).sum(-1) > 0.5).sum((1, 2))
        for clip in (draw(("red", "square", "growing")), draw(("red", "square", "shrinking")))
    ]
    assert area[0][-1] > 10 * area[0][0]
    assert np.allclose(area[0], area[1][::-1], rtol=0.05)


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("background", BACKGROUNDS)
def test_colours_are_as_named(colour, background):
    clip = draw((colour, "square", "still"), background)
    assert clip.shape == (FRAMES, SIZE, SIZE, 3)
    assert clip.dtype == np.float32
    assert np.allclose(clip[:, 0, 0] * 255, BACKGROUNDS[background], atol=0.1)
    assert np.allclose(clip[0, 32, 32] * 255, COLOURS[colour], atol=0.1)


def test_loose_captions_use_known_words_only():
    rng = np.random.default_rng(0)
    spoken = {word for _ in range(500) for word in caption(random_scene(rng), rng).split()}
    assert spoken <= set(words())
