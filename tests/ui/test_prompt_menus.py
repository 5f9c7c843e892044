"""The form's menus and dice, without a browser."""

from bwcache.models import CATALOGUE, find
from bwcache.tinyworld.grammar import parse
from bwcache.ui import prompt_menus

TINYWORLD = find("tinyworld")


def test_the_menus_stand_where_the_first_example_does():
    looks = prompt_menus.follow(TINYWORLD.examples[0])
    assert looks["menu_colour"]["value"] == parse(TINYWORLD.examples[0]).actors[0].colour
    assert set(looks) == set(prompt_menus.names())


def test_a_choice_writes_the_prompt_and_takes_what_cannot_be_seen_from_the_others():
    given = {name: look["value"] for name, look in prompt_menus.follow("a red circle").items()}
    found = prompt_menus.build({**given, "menu_background": "blue"})
    assert found["prompt"] == "a red circle still on a blue background"
    assert ("blue", "blue") not in found["menu_colour"]["choices"]
    assert ("red", "red") not in found["menu_background"]["choices"]


def test_a_text_of_no_menu_leaves_the_menus_alone():
    left = prompt_menus.follow("a fox in the snow")
    assert set(left) == set(prompt_menus.names())
    assert not any("value" in update for update in left.values())


def test_the_dice_fill_prompt_and_seed_of_any_model():
    thrown = [prompt_menus.throw(TINYWORLD) for _ in range(20)]
    assert len({(each["prompt"], each["seed"]) for each in thrown}) > 10
    assert all(each["menu_colour"]["value"] in each["prompt"] for each in thrown)
    other = next(spec for spec in CATALOGUE.values() if not spec.prompt_menus)
    assert prompt_menus.throw(other)["prompt"] in other.examples
