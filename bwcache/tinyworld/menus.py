"""Captions built from menus, and by dice: the grammar's tables as a form sees them.

Standard library only.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

from .grammar import COLOURS, MOTIONS, SHAPES, Actor, CaptionError, Scene, parse

NONE = ""  # no second shape, or a background that the caption leaves open
TWO_SHAPES = 0.5  # share of the dice's captions

# In the order of a caption. Those that may be left out have `NONE` first.
MENUS: Mapping[str, tuple[str, ...]] = {
    "colour": COLOURS,
    "shape": SHAPES,
    "motion": MOTIONS,
    "second_colour": (NONE, *COLOURS),
    "second_shape": SHAPES,
    "second_motion": MOTIONS,
    "background": (NONE, *COLOURS),
}


def allowed(chosen: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """What each menu offers beside what is chosen in the others: no shape on its own colour."""
    taken = {chosen["colour"], chosen["second_colour"]}
    without = {"colour": {chosen["background"]}, "second_colour": {chosen["background"]}}
    without["background"] = taken
    return {
        name: tuple(choice for choice in choices if not choice or choice not in without[name])
        if name in without
        else choices
        for name, choices in MENUS.items()
    }


def caption(chosen: Mapping[str, str]) -> str:
    """The caption that the menus ask for.

    Args:
        chosen: Menu → one of its choices.
    """
    actors = [Actor(chosen["colour"], chosen["shape"], chosen["motion"])]
    if chosen["second_colour"]:
        second = (chosen[f"second_{part}"] for part in ("colour", "shape", "motion"))
        actors.append(Actor(*second))
    return str(Scene(tuple(actors), chosen["background"] or None))


def choices_of(text: str) -> dict[str, str] | None:
    """The menus' choices that give a caption; None where no caption of the language was typed."""
    try:
        scene = parse(text)
    except CaptionError:
        return None
    first, *others = scene.actors
    second = others[0] if others else Actor(NONE, SHAPES[0], MOTIONS[0])
    return {
        "colour": first.colour,
        "shape": first.shape,
        "motion": first.motion,
        "second_colour": second.colour,
        "second_shape": second.shape,
        "second_motion": second.motion,
        "background": scene.background or NONE,
    }


def roll(dice: random.Random) -> str:
    """A caption by chance, always with a background; every colour, shape and motion may come."""
    background, *colours = dice.sample(COLOURS, 3)
    actors = tuple(
        Actor(colour, dice.choice(SHAPES), dice.choice(MOTIONS))
        for colour in colours[: 2 if dice.random() < TWO_SHAPES else 1]
    )
    return str(Scene(actors, background))
