"""TinyWorld's language as data: the words, the sentence they form, and what a sentence means.

A caption is one or two actors on a background: `a red circle moving left and a black square
still on a white background`. Knows words; knows nothing of pictures or models, and imports nothing
heavy, so a page can build captions from these tables.
"""

from __future__ import annotations

import difflib
import itertools
import re
from dataclasses import dataclass

from ..errors import ConfigError

COLOURS = ("red", "green", "blue", "yellow", "purple", "orange", "black", "white", "gray")
SHAPES = ("circle", "square", "triangle")
MOTIONS = (
    *("moving left", "moving right", "moving up", "moving down"),
    *("bouncing", "growing", "shrinking", "still"),
)
STILL = "still"  # the motion of a shape that no motion is said of
MAX_ACTORS = 2
ARTICLES = ("a", "an", "the")
SPELLINGS = {"grey": "gray"}  # other spellings of a word
HELD_OUT_EVERY = 6  # one (colour, shape, motion) in six never appears in training
_FALLBACK = {"colour": "red", "form": "circle", "motion": STILL}


class CaptionError(ConfigError):
    """A caption outside the grammar; its text names the fault and the nearest caption that works.

    Attributes:
        nearest: That caption.
    """

    def __init__(self, fault: str, nearest: str):
        text = f"prompt: {fault}; the nearest caption that works is “{nearest}”"
        ValueError.__init__(self, text)
        self.field, self.nearest = "prompt", nearest


@dataclass(frozen=True)
class Actor:
    """One shape and what it does, in the words of a caption."""

    colour: str
    shape: str
    motion: str

    def __str__(self) -> str:
        article = "an" if self.colour[0] in "aeiou" else "a"
        return f"{article} {self.colour} {self.shape} {self.motion}"


@dataclass(frozen=True)
class Scene:
    """What a caption asks for.

    Args:
        actors: One or two.
        background: A colour that no actor has, or None where the caption leaves it open.
    """

    actors: tuple[Actor, ...]
    background: str | None

    def __str__(self) -> str:
        text = " and ".join(map(str, self.actors))
        if self.background is None:
            return text
        article = "an" if self.background[0] in "aeiou" else "a"
        return f"{text} on {article} {self.background} background"


def words() -> tuple[str, ...]:
    """Every word of the language, sorted."""
    spoken = {*ARTICLES, *SPELLINGS, *COLOURS, *SHAPES, "and", "on", "background"}
    spoken.update(word for motion in MOTIONS for word in motion.split())
    return tuple(sorted(spoken))


def all_actors() -> tuple[Actor, ...]:
    """Every actor there is, in the order of the tables above."""
    return tuple(Actor(*chosen) for chosen in itertools.product(COLOURS, SHAPES, MOTIONS))


def is_held_out(actor: Actor) -> bool:
    """Whether this (colour, shape, motion) is withheld from training, to test composition."""
    number = (
        COLOURS.index(actor.colour) + 2 * SHAPES.index(actor.shape) + MOTIONS.index(actor.motion)
    )
    return number % HELD_OUT_EVERY == 3


def parse(caption: str) -> Scene:
    """The scene that a caption asks for.

    Case, punctuation, articles, the word `background` and the spelling of gray are free; the
    background may be left out, and a shape without a motion is still.

    Raises:
        CaptionError: The caption is no sentence of this language; says why, and names the nearest
            one that is.
    """
    spoken = [SPELLINGS.get(word, word) for word in re.findall(r"[^\W_]+", caption.lower())]
    strange = list(dict.fromkeys(word for word in spoken if word not in words()))
    scene, fault = _read([word for word in spoken if word not in ARTICLES])
    if strange:
        fault = f"TinyWorld does not know {', '.join(strange)}"
    if fault:
        raise CaptionError(fault, str(scene))
    return scene


def _read(spoken: list[str]) -> tuple[Scene, str | None]:
    """The scene nearest to words without articles, and what is wrong with them, if anything."""
    fault = None
    place = spoken.index("on") if "on" in spoken else len(spoken)
    background, background_fault = _background(spoken[place:])
    parts = [list(group) for is_and, group in itertools.groupby(
        spoken[:place], key=lambda word: word == "and") if not is_and]  # fmt: skip
    actors = []
    for part in parts[:MAX_ACTORS] or [[]]:
        actor, actor_fault = _actor(part)
        actors.append(actor)
        fault = fault or actor_fault
    if len(parts) > MAX_ACTORS:
        fault = fault or f"a caption has at most {MAX_ACTORS} shapes"
    if spoken[:place].count("and") > max(0, len(parts) - 1):
        fault = fault or "“and” joins two shapes"
    fault = fault or background_fault
    taken = {actor.colour for actor in actors}
    if background in taken:
        fault = fault or f"a {background} shape cannot be seen on a {background} background"
        background = next(colour for colour in ("white", "black", "gray") if colour not in taken)
    return Scene(tuple(actors), background), fault


def _background(spoken: list[str]) -> tuple[str | None, str | None]:
    """The colour in the words from `on` to the end, and what is wrong with them."""
    if not spoken:
        return None, None
    rest = spoken[1:-1] if spoken[-1] == "background" else spoken[1:]
    if len(rest) == 1 and rest[0] in COLOURS:
        return rest[0], None
    found = [_nearest(word, COLOURS) for word in rest]
    colour = next((word for word in found if word), "white")
    return colour, "the background is one colour, as in “on a white background”"


def _actor(spoken: list[str]) -> tuple[Actor, str | None]:
    """The actor nearest to some words, and what is wrong with them."""
    if len(spoken) > 1 and spoken[0] in COLOURS and spoken[1] in SHAPES:
        motion = " ".join(spoken[2:]) or STILL
        if motion in MOTIONS:
            return Actor(spoken[0], spoken[1], motion), None
    last_words = {motion.split()[-1]: motion for motion in MOTIONS}
    tables = {"colour": COLOURS, "form": SHAPES, "motion": tuple(last_words)}
    found, missing = {}, []
    for name, table in tables.items():
        hits = [hit for word in spoken if (hit := _nearest(word, table))]
        if not hits and name != "motion":
            missing.append(name)
        found[name] = hits[0] if hits else _FALLBACK[name]
    actor = Actor(found["colour"], found["form"], last_words[found["motion"]])
    if missing:
        return actor, f"a shape needs a {' and a '.join(missing)}"
    return actor, "a shape is a colour, a form and its motion, in this order"


def _nearest(word: str, table: tuple[str, ...]) -> str | None:
    """The word of a table that a word is, or is misspelt from."""
    close = difflib.get_close_matches(word, table, n=1, cutoff=0.7)
    return close[0] if close else None
