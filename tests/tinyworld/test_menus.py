"""Captions from menus and by dice are captions of the language, and lead back to the menus."""

import itertools
import random

import pytest

from bwcache.models import CATALOGUE, check_prompt, prompt_menus
from bwcache.tinyworld import menus
from bwcache.tinyworld.grammar import parse

CHOSEN = {
    "colour": "red",
    "shape": "circle",
    "motion": "bouncing",
    "second_colour": "",
    "second_shape": "circle",
    "second_motion": "moving left",
    "background": "white",
}


def test_the_menus_in_words():
    assert menus.caption(CHOSEN) == "a red circle bouncing on a white background"
    two = {**CHOSEN, "second_colour": "orange", "second_shape": "square", "background": ""}
    assert menus.caption(two) == "a red circle bouncing and an orange square moving left"


def test_a_caption_leads_back_to_the_menus():
    typed = "The red circle bouncing and grey square on white"
    found = menus.choices_of(typed)
    assert (found["second_colour"], found["second_motion"]) == ("gray", "still")
    assert parse(menus.caption(found)) == parse(typed)
    assert menus.choices_of("a fox") is None


def test_no_menu_offers_a_shape_on_its_own_colour():
    for first, second, background in itertools.product(
        menus.MENUS["colour"], menus.MENUS["second_colour"], menus.MENUS["background"]
    ):
        chosen = {**CHOSEN, "colour": first, "second_colour": second, "background": background}
        offered = menus.allowed(chosen)
        for name in chosen:
            for choice in offered[name]:
                if all(chosen[other] in offered[other] for other in chosen):
                    parse(menus.caption({**chosen, name: choice}))


def test_the_dice_give_every_word_and_only_captions():
    dice = random.Random(0)
    rolled = [menus.roll(dice) for _ in range(400)]
    for caption in rolled:
        parse(caption)
    spoken = set(" ".join(rolled).split())
    for name in ("colour", "shape", "motion"):
        assert {word for choice in menus.MENUS[name] for word in choice.split()} <= spoken


@pytest.mark.parametrize("spec", [each for each in CATALOGUE.values() if each.prompt_menus])
def test_what_a_models_menus_give_the_model_understands(spec):
    check_prompt(spec, prompt_menus(spec).roll(random.Random(1)))
