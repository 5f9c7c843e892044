import numpy as np
import pytest

from bwcache.tinyworld.grammar import MOTIONS, SHAPES, Actor, Scene
from bwcache.tinyworld.world import FRAMES, SIZE, render
from bwcache.tinyworld_training.check import GOALS, check_scenes, compare, table
from bwcache.tinyworld_training.overlap import SeenClip, look


def drawn(*actors: tuple[str, str, str], background: str = "white", seed: int = 0) -> np.ndarray:
    scene = Scene(tuple(Actor(*words) for words in actors), background)
    return render(scene, np.random.default_rng(seed))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("motion", MOTIONS)
def test_what_is_drawn_is_read(shape, motion):
    seen = look(drawn(("orange", shape, motion), background="blue"))
    assert seen.shows((Actor("orange", shape, motion),), "blue")
    assert seen.shapes[0].overlap > 0.94
    assert seen.shapes[0].jitter < 0.4


@pytest.mark.parametrize(
    ("first", "second", "ground"),
    [
        (("black", "circle", "still"), ("red", "square", "moving left"), "white"),
        (("white", "triangle", "moving up"), ("black", "circle", "growing"), "orange"),
        (("yellow", "square", "bouncing"), ("green", "triangle", "shrinking"), "gray"),
    ],
)
def test_both_of_two_shapes_are_read(first, second, ground):
    seen = look(drawn(first, second, background=ground))
    actors = Actor(*first), Actor(*second)
    assert seen.shows(actors, ground)
    assert seen.shows(actors, None)
    assert not seen.shows(actors[:1], ground)
    exchanged = (Actor(first[0], *second[1:]), Actor(second[0], *first[1:]))
    assert not seen.shows(exchanged, ground)


def test_noise_and_plain_pictures_show_no_shape():
    plain = look(np.full((FRAMES, SIZE, SIZE, 3), 0.95))
    assert plain == SeenClip("white", ())
    noise = look(np.random.default_rng(0).uniform(0, 1, (FRAMES, SIZE, SIZE, 3)))
    assert all(shape.shape == "none" or shape.overlap < 0.7 for shape in noise.shapes)


def test_a_lumpy_outline_costs_overlap_and_one_that_moves_is_seen():
    clean = drawn(("red", "circle", "still"))
    lumpy, restless = clean.copy(), clean.copy()
    rows, columns = np.nonzero(clean[0, :, :, 1] < 0.5)
    top, left = rows.min(), int(columns.mean())
    lumpy[:, top - 8 : top + 2, left - 6 : left + 6] = clean[0, rows[200], columns[200]]
    restless[::6, top - 8 : top + 2, left - 6 : left + 6] = clean[0, rows[200], columns[200]]
    good, bad, moving = (look(clip).shapes[0] for clip in (clean, lumpy, restless))
    assert good.overlap > bad.overlap + 0.03
    assert bad.jitter < 0.3
    assert moving.jitter > 1


def test_frames_in_another_order_have_no_motion_with_a_name():
    clip = drawn(("red", "circle", "moving left"))
    order = np.random.default_rng(0).permutation(FRAMES)
    assert look(clip[order]).shapes[0].motion == "none"


def test_smaller_clips_are_read_as_well():
    small = drawn(("red", "square", "moving down"))[::2, ::2, ::2]
    assert look(small).shows((Actor("red", "square", "moving down"),), "white")


def test_the_check_asks_for_every_shape_and_motion_and_for_two_shapes():
    for plain in (False, True):
        scenes = check_scenes(plain)
        single = [scene.actors[0] for scene in scenes if len(scene.actors) == 1]
        assert {(a.shape, a.motion) for a in single} == {(s, m) for s in SHAPES for m in MOTIONS}
        assert sum(len(scene.actors) == 2 for scene in scenes) == 12
        grounds = {scene.background for scene in scenes}
        assert (grounds <= {"black", "white", "gray"}) == plain
    assert check_scenes(seed=1) != check_scenes(seed=0)


def test_perfect_clips_meet_every_goal_and_exchanged_ones_do_not():
    scenes = check_scenes()[:4] + check_scenes()[-3:]
    seen = [look(render(scene, np.random.default_rng(i))) for i, scene in enumerate(scenes)]
    result = compare(scenes, seen)
    assert result["passed"]
    assert set(result["values"]) == set(GOALS)
    assert not result["mistakes"]
    assert "passed" in table(result)
    wrong = compare(scenes, seen[::-1])
    assert not wrong["passed"]
    assert wrong["values"]["both shapes right"] == 0
    assert "missed" in table(wrong)


def test_a_clip_that_shows_nothing_has_no_overlap():
    scenes = check_scenes()[:1]
    result = compare(scenes, [SeenClip("white", ())])
    assert result["values"]["overlap, median"] == 0
    assert not result["passed"]
