import itertools

import pytest

from bwcache.errors import ConfigError
from bwcache.tinyworld.grammar import (
    COLOURS,
    MOTIONS,
    SHAPES,
    Actor,
    CaptionError,
    Scene,
    all_actors,
    is_held_out,
    parse,
    words,
)

RED, BLACK = Actor("red", "circle", "moving left"), Actor("black", "square", "still")


def test_a_scene_is_its_own_caption():
    for actor, background in itertools.product(all_actors(), COLOURS):
        if actor.colour != background:
            scene = Scene((actor,), background)
            assert parse(str(scene)) == scene
    both = Scene((RED, BLACK), "orange")
    assert str(both) == (
        "a red circle moving left and a black square still on an orange background"
    )
    assert parse(str(both)) == both


@pytest.mark.parametrize(
    "text",
    [
        "a red circle moving left and a black square still on a gray background",
        "A RED circle moving left, and a black square still, on a grey background.",
        "red circle moving left and black square still on gray background",
        "the red circle moving left and the black square still on the gray",
    ],
)
def test_loose_spellings_mean_the_same(text):
    assert parse(text) == Scene((RED, BLACK), "gray")


def test_the_background_may_be_left_open():
    assert parse("a red circle moving left") == Scene((RED,), None)


def test_a_shape_without_a_motion_is_still():
    scene = Scene((RED, BLACK), "white")
    assert parse("a red circle moving left and a black square on a white background") == scene
    assert parse("black square") == Scene((BLACK,), None)


@pytest.mark.parametrize(
    ("text", "fault", "nearest"),
    [
        ("a fluffy cat", "does not know fluffy, cat", "a red circle still"),
        ("a red circel growing", "circel", "a red circle growing"),
        ("a blue square running", "running", "a blue square still"),
        ("a blue moving left", "needs a form", "a blue circle moving left"),
        ("a red circle left", "in this order", "a red circle moving left"),
        ("bouncing on a white background", "needs a colour and a form",
         "a red circle bouncing on a white background"),
        ("a circle red growing", "in this order", "a red circle growing"),
        ("a red circle still on a red background", "cannot be seen",
         "a red circle still on a white background"),
        ("a red circle still on a white black background", "one colour",
         "a red circle still on a white background"),
        ("a red circle still and a blue square still and a green square still", "at most 2",
         "a red circle still and a blue square still"),
        ("a red circle still and", "joins two", "a red circle still"),
        ("", "needs a colour", "a red circle still"),
    ],
)  # fmt: skip
def test_what_is_no_caption_is_refused_with_the_nearest_one(text, fault, nearest):
    with pytest.raises(CaptionError, match=fault) as caught:
        parse(text)
    assert caught.value.nearest == nearest
    assert nearest in str(caught.value)
    assert "\n" not in str(caught.value)
    parse(nearest)


def test_a_refusal_is_a_setting_that_cannot_be_used():
    with pytest.raises(ConfigError) as caught:
        parse("a fluffy cat")
    assert caught.value.field == "prompt"


def test_every_refusal_names_a_caption_that_works():
    pieces = ["red", "circle", "still", "moving", "left", "and", "on", "background", "a", "white"]
    for spoken in itertools.permutations(pieces, 3):
        try:
            parse(" ".join(spoken))
        except CaptionError as refusal:
            parse(refusal.nearest)


def test_the_examples_on_the_page_are_captions():
    from bwcache.models import find

    for example in find("tinyworld").examples:
        parse(example)


def test_every_part_of_the_language_is_trained_on_and_held_out():
    held_out = [actor for actor in all_actors() if is_held_out(actor)]
    known = [actor for actor in all_actors() if not is_held_out(actor)]
    for group in (held_out, known):
        assert {actor.colour for actor in group} == set(COLOURS)
        assert {(a.shape, a.motion) for a in group} == set(itertools.product(SHAPES, MOTIONS))
    assert 0.1 < len(held_out) / len(all_actors()) < 0.2


def test_all_words_are_there():
    assert {"grey", "gray", "an", "moving", "background", "on"} <= set(words())
    assert list(words()) == sorted(words())
