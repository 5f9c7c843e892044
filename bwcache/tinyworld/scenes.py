"""The world TinyWorld knows: captioned clips of flat shapes, drawn from a sentence and a seed.

Knows geometry, colours and grammar; knows nothing of models or training. NumPy only.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

FRAMES, SIZE = 17, 64
COLOURS = {
    "red": (220, 40, 40),
    "green": (40, 170, 70),
    "blue": (45, 90, 225),
    "yellow": (245, 212, 50),
    "purple": (145, 60, 190),
    "orange": (245, 132, 30),
}
BACKGROUNDS = {"black": (14, 14, 16), "white": (244, 244, 242), "gray": (128, 128, 128)}
SHAPES = ("circle", "square", "triangle")
MOTIONS = (
    "moving left",
    "moving right",
    "moving up",
    "moving down",
    "bouncing",
    "growing",
    "shrinking",
    "still",
)
VERTICAL = {"moving up", "moving down", "bouncing"}
HORIZONTAL = {"moving left", "moving right"}
HELD_OUT_EVERY = 6  # one (colour, shape, motion) in six never appears in training


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
    """One caption's content: one or two actors on a plain background."""

    actors: tuple[Actor, ...]
    background: str

    def __str__(self) -> str:
        return f"{' and '.join(map(str, self.actors))} on a {self.background} background"


def is_held_out(actor: Actor) -> bool:
    """Whether this (colour, shape, motion) is withheld from training, to test composition."""
    number = (
        list(COLOURS).index(actor.colour)
        + 2 * SHAPES.index(actor.shape)
        + MOTIONS.index(actor.motion)
    )
    return number % HELD_OUT_EVERY == 3


def all_actors() -> list[Actor]:
    return [Actor(*words) for words in itertools.product(COLOURS, SHAPES, MOTIONS)]


def held_out_scenes(count: int, seed: int = 0) -> list[Scene]:
    """`count` different one-actor scenes, none of whose actors was ever trained on."""
    scenes = [
        Scene((actor,), background)
        for actor, background in itertools.product(all_actors(), BACKGROUNDS)
        if is_held_out(actor)
    ]
    if count > len(scenes):
        raise ValueError(f"count: {count} given, at most {len(scenes)} held-out scenes exist")
    order = np.random.default_rng(seed).permutation(len(scenes))
    return [scenes[i] for i in order[:count]]


def random_scene(rng: np.random.Generator, pair_share: float = 0.3) -> Scene:
    """A training scene: one actor, or with probability `pair_share` two of different colours."""
    known = [actor for actor in all_actors() if not is_held_out(actor)]
    first = known[rng.integers(len(known))]
    background = list(BACKGROUNDS)[rng.integers(len(BACKGROUNDS))]
    if rng.random() >= pair_share:
        return Scene((first,), background)
    others = [actor for actor in known if actor.colour != first.colour]
    return Scene((first, others[rng.integers(len(others))]), background)


def caption(scene: Scene, rng: np.random.Generator | None = None) -> str:
    """The scene's sentence; with `rng`, one of the looser ways a person might put it."""
    text = str(scene)
    if rng is None:
        return text
    chance = rng.random()
    if chance < 0.06:
        text = text.split(" on ")[0]
    elif chance < 0.12:
        text = " ".join(word for word in text.split() if word not in ("a", "an"))
    elif chance < 0.2:
        text = text.replace(" background", "")
    elif chance < 0.26:
        text = text.replace("a ", "the ").replace("an ", "the ")
    elif chance < 0.5:
        text = text.replace("an ", "a ")
    return text.replace("gray", "grey") if rng.random() < 0.3 else text


def _lanes(actors: tuple[Actor, ...], rng: np.random.Generator) -> list[tuple[float, float]]:
    """A resting centre (x, y) in pixels for each actor, apart where the motions allow it."""
    middle = SIZE / 2
    if len(actors) == 1:
        wander = rng.uniform(-8, 8, 2)
        return [(middle + wander[0], middle + wander[1])]
    quarter, first_is_low = SIZE / 4, rng.random() < 0.5
    low, high = middle - quarter, middle + quarter
    near, far = (low, high) if first_is_low else (high, low)
    wander = rng.uniform(-2, 2, 4)
    if any(actor.motion in HORIZONTAL for actor in actors):
        return [(middle + wander[0], near + wander[1]), (middle + wander[2], far + wander[3])]
    return [(near + wander[0], middle + wander[1]), (far + wander[2], middle + wander[3])]


def _track(motion: str, centre: tuple[float, float], radius: float, alone: bool) -> np.ndarray:
    """Centre x, centre y and radius of every frame, `[FRAMES, 3]` in pixels."""
    time = np.linspace(0.0, 1.0, FRAMES)
    x, y = np.full(FRAMES, centre[0]), np.full(FRAMES, centre[1])
    size = np.full(FRAMES, radius)
    near, far = radius + 2, SIZE - radius - 2
    path = near + (far - near) * time
    if motion == "moving right":
        x = path
    elif motion == "moving left":
        x = path[::-1]
    elif motion == "moving down":
        y = path
    elif motion == "moving up":
        y = path[::-1]
    elif motion == "bouncing":
        y = far - 0.75 * (far - near) * np.abs(np.cos(2 * np.pi * time))
    elif motion in ("growing", "shrinking"):
        small, large = (4.0, 22.0) if alone else (3.0, 13.0)
        size = small + (large - small) * time
        if motion == "shrinking":
            size = size[::-1]
    return np.stack([x, y, size], axis=1)


def coverage(shape: str, track: np.ndarray) -> np.ndarray:
    """Share of each pixel that a shape covers, edges antialiased.

    Args:
        shape: One of `SHAPES`.
        track: Centre x, centre y and radius, `[n, 3]` in pixels.

    Returns:
        `[n, SIZE, SIZE]` in 0–1.
    """
    x, y, radius = (track[:, i, None, None] for i in range(3))
    axis = np.arange(SIZE) + 0.5
    dx, dy = axis[None, None, :] - x, axis[None, :, None] - y
    if shape == "circle":
        distance = np.hypot(dx, dy) - radius
    elif shape == "square":
        distance = np.maximum(np.abs(dx), np.abs(dy)) - 0.9 * radius
    else:  # an upright triangle with its base at y + 0.8 r and its tip at y - r
        slope = np.array([1.8, 1.0]) / np.hypot(1.8, 1.0)
        sides = np.abs(dx) * slope[0] - (dy + radius) * slope[1]
        distance = np.maximum(sides, dy - 0.8 * radius)
    return np.clip(0.5 - distance, 0.0, 1.0)


def render(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """Draw a scene.

    Args:
        scene: What is seen.
        rng: Source of where it starts and how large it is.

    Returns:
        Frames `[FRAMES, SIZE, SIZE, 3]`, float32 RGB in 0–1.
    """
    alone = len(scene.actors) == 1
    frames = np.empty((FRAMES, SIZE, SIZE, 3), np.float32)
    frames[:] = np.asarray(BACKGROUNDS[scene.background], np.float32) / 255
    for actor, centre in zip(scene.actors, _lanes(scene.actors, rng), strict=True):
        radius = rng.uniform(9, 12) if alone else rng.uniform(7, 9)
        alpha = coverage(actor.shape, _track(actor.motion, centre, radius, alone))[..., None]
        colour = np.asarray(COLOURS[actor.colour], np.float32) / 255
        frames = (frames * (1 - alpha) + colour * alpha).astype(np.float32)
    return frames


def words() -> list[str]:
    """Every word TinyWorld understands, sorted."""
    spoken = {"a", "an", "the", "and", "on", "background", "grey", *COLOURS, *SHAPES, *BACKGROUNDS}
    spoken.update(word for motion in MOTIONS for word in motion.split())
    return sorted(spoken)
