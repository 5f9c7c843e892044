"""Every example that the page offers gives a good video: what its caption asks for, cached, too."""

import pytest

from bwcache import models
from bwcache.models.loading import load
from bwcache.runs.baselines import measuring
from bwcache.runs.generate import generate
from bwcache.tinyworld.grammar import parse
from bwcache.tinyworld_training.overlap import look

pytestmark = pytest.mark.slow
SPEC = models.find("tinyworld")
LEAST_OVERLAP = 0.8  # with the best perfect shape; a shape that is torn has less


@pytest.mark.parametrize("prompt", SPEC.examples)
def test_an_example_shows_what_it_says(prompt):
    """Without a cache, and at the fastest of the presets."""
    pipe, scene = load("tinyworld", "cpu"), parse(prompt)
    fastest = list(SPEC.facts().presets.values())[-1].config
    for config in (measuring(SPEC), fastest):
        *_, run = generate(pipe, SPEC, "cached", prompt, 0, SPEC.steps, config)
        seen = look(run.frames)
        assert seen.shows(scene.actors, scene.background), seen
        assert min(shape.overlap for shape in seen.shapes) >= LEAST_OVERLAP, seen
