"""What TinyWorld is trained on: random scenes of its world, their captions and their clips."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from ..tinyworld.grammar import COLOURS, STILL, Actor, Scene, all_actors, is_held_out
from ..tinyworld.world import Plan, draw, plan

PAIR_SHARE = 0.7  # of training clips that show two shapes
CAPTION_DROP = 0.1  # of captions left empty, for guidance

_KNOWN = tuple(actor for actor in all_actors() if not is_held_out(actor))
_HELD_OUT = tuple(actor for actor in all_actors() if is_held_out(actor))


def _pick(rng: np.random.Generator, options):
    return options[rng.integers(len(options))]


def _scene(rng: np.random.Generator, actors: tuple[Actor, ...], count: int) -> Scene:
    chosen = tuple(_pick(rng, actors) for _ in range(count))
    while len(set(chosen)) < count:
        chosen = tuple(_pick(rng, actors) for _ in range(count))
    taken = {actor.colour for actor in chosen}
    return Scene(chosen, _pick(rng, [colour for colour in COLOURS if colour not in taken]))


def random_scene(rng: np.random.Generator, pair_share: float = PAIR_SHARE) -> Scene:
    """A training scene: one actor, or with probability `pair_share` two; none is held out."""
    return _scene(rng, _KNOWN, 2 if rng.random() < pair_share else 1)


def held_out_scene(rng: np.random.Generator, count: int = 1) -> Scene:
    """A scene of `count` actors of different colours, none of which was ever trained on."""
    while True:
        scene = _scene(rng, _HELD_OUT, count)
        if len({actor.colour for actor in scene.actors}) == count:
            return scene


def caption(scene: Scene, rng: np.random.Generator | None = None) -> str:
    """The scene's sentence; with `rng`, one of the looser ways a person might put it."""
    text = str(scene)
    if rng is None:
        return text
    if rng.random() < 0.3:
        text = text.replace(f" {STILL}", "")
    chance = rng.random()
    if chance < 0.06:
        text = text.split(" on ")[0]
    elif chance < 0.12:
        text = " ".join(word for word in text.split() if word not in ("a", "an"))
    elif chance < 0.2:
        text = text.replace(" background", "")
    elif chance < 0.26:
        text = " ".join("the" if word in ("a", "an") else word for word in text.split())
    elif chance < 0.5:
        text = " ".join("a" if word == "an" else word for word in text.split())
    return text.replace("gray", "grey") if rng.random() < 0.3 else text


def sample_captions(scenes: list[Scene], rng: np.random.Generator) -> list[str]:
    """One loose caption for each scene, or an empty one."""
    return ["" if rng.random() < CAPTION_DROP else caption(scene, rng) for scene in scenes]


def video_of(plan: Plan) -> torch.Tensor:
    """Videos `[B, 3, frames, height, width]` in −1…1, drawn where the plan lies."""
    return draw(plan) * 2 - 1


class Batch(NamedTuple):
    """What one training step sees.

    Args:
        plan: Of the clips.
        captions: One for each, some of them empty where training asks for it.
        seed: For all further randomness of the step.
    """

    plan: Plan
    captions: list[str]
    seed: int


class Batches(Dataset):
    """The batch of every step, planned anew each time it is asked for; the same for the same seed.

    Args:
        seed: Of the training.
        size: Clips a batch.
        pair_share: Of clips with two shapes.
        drop_captions: Whether some captions are left empty.
    """

    def __init__(
        self, seed: int, size: int, pair_share: float = PAIR_SHARE, drop_captions: bool = True
    ):
        self.seed, self.size = seed, size
        self.pair_share, self.drop_captions = pair_share, drop_captions

    def __getitem__(self, step: int) -> Batch:
        rng = np.random.default_rng((self.seed, 1 + step))
        seed = int(rng.integers(2**62))
        scenes = [random_scene(rng, self.pair_share) for _ in range(self.size)]
        if self.drop_captions:
            captions = sample_captions(scenes, rng)
        else:
            captions = [caption(scene, rng) for scene in scenes]
        return Batch(plan(scenes, rng), captions, seed)

    def since(self, step: int, steps: int, workers: int) -> Iterator[Batch]:
        """The batches of the steps from `step` up to `steps`, planned ahead by other processes.

        Args:
            step, steps: The first, and the one after the last.
            workers: How many processes; 0 plans in this one.
        """
        loader = DataLoader(self, batch_size=None, sampler=range(step, steps), num_workers=workers)
        return iter(loader)
