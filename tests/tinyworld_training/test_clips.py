import numpy as np
import torch

from bwcache.tinyworld.grammar import COLOURS, is_held_out, parse
from bwcache.tinyworld.world import FRAMES, SIZE
from bwcache.tinyworld_training.clips import (
    Batches,
    caption,
    held_out_scene,
    random_scene,
    sample_captions,
    video_of,
)


def test_training_never_shows_what_is_held_out():
    rng = np.random.default_rng(0)
    scenes = [random_scene(rng) for _ in range(300)]
    assert not any(is_held_out(actor) for scene in scenes for actor in scene.actors)
    held_out = [held_out_scene(rng, count) for count in (1, 2) for _ in range(50)]
    assert all(is_held_out(actor) for scene in held_out for actor in scene.actors)


def test_most_clips_show_two_shapes_and_every_colour_occurs_everywhere():
    rng = np.random.default_rng(0)
    scenes = [random_scene(rng) for _ in range(400)]
    assert 0.6 < np.mean([len(scene.actors) == 2 for scene in scenes]) < 0.8
    assert {scene.background for scene in scenes} == set(COLOURS)
    assert {actor.colour for scene in scenes for actor in scene.actors} == set(COLOURS)
    assert all(scene.background not in {a.colour for a in scene.actors} for scene in scenes)


def test_every_way_to_say_it_is_a_caption_of_the_same_scene():
    rng = np.random.default_rng(0)
    spoken = set()
    for _ in range(400):
        scene = random_scene(rng)
        text = caption(scene, rng)
        meant = parse(text)
        assert meant.actors == scene.actors
        assert meant.background in (scene.background, None)
        spoken.add(text == str(scene))
    assert spoken == {True, False}


def test_a_batch_is_what_seed_and_step_say():
    batches = Batches(seed=1, size=2)
    first, again, next_one = batches[0], batches[0], batches[1]
    video = video_of(first.plan)
    assert video.shape == (2, 3, FRAMES, SIZE, SIZE)
    assert -1 <= video.min() < video.max() <= 1
    assert first.captions == again.captions
    assert first.seed == again.seed != next_one.seed
    assert torch.equal(first.plan.tracks, again.plan.tracks)
    assert not torch.equal(first.plan.tracks, next_one.plan.tracks)


def test_batches_planned_by_other_processes_are_the_same():
    batches = Batches(seed=1, size=1)
    here, there = (list(batches.since(2, 4, workers)) for workers in (0, 1))
    assert [batch.seed for batch in here] == [batch.seed for batch in there]
    for one, other in zip(here, there, strict=True):
        assert all(map(torch.equal, one.plan, other.plan))


def test_some_captions_are_empty_for_guidance():
    rng = np.random.default_rng(0)
    empty = [not sample_captions([random_scene(rng)], rng)[0] for _ in range(400)]
    assert 0.05 < np.mean(empty) < 0.15
