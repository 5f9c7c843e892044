"""The world TinyWorld knows, drawn: a scene and a seed give a clip of softly lit flat shapes.

Every clip lasts from time 0 to time 1; shapes are exact and antialiased. A clip is planned as a few
numbers (`plan`), which is cheap and may happen in another process, and drawn from them (`draw`) on
any device, many at once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from .grammar import MAX_ACTORS, SHAPES, Actor, Scene

FRAMES, SIZE, FPS = 33, 128, 16  # pixels are square
RGB = {
    "red": (220, 40, 40),
    "green": (40, 170, 70),
    "blue": (45, 90, 225),
    "yellow": (245, 212, 50),
    "purple": (145, 60, 190),
    "orange": (245, 132, 30),
    "black": (14, 14, 16),
    "white": (244, 244, 242),
    "gray": (128, 128, 128),
}
HORIZONTAL = {"moving left", "moving right"}
SHADE = 0.07  # brightness gained at a shape's upper left and lost at its lower right, of 1
MARGIN = 4  # pixels between a shape at the end of its way and the picture's edge


def lanes(actors: tuple[Actor, ...], rng: np.random.Generator) -> list[tuple[float, float]]:
    """A resting centre (x, y) in pixels for each actor, apart where the motions allow it."""
    middle = SIZE / 2
    if len(actors) == 1:
        wander = rng.uniform(-16, 16, 2)
        return [(middle + wander[0], middle + wander[1])]
    first_is_low = rng.random() < 0.5
    near, far = middle - SIZE / 4, middle + SIZE / 4
    if not first_is_low:
        near, far = far, near
    wander = rng.uniform(-4, 4, 4)
    if any(actor.motion in HORIZONTAL for actor in actors):
        return [(middle + wander[0], near + wander[1]), (middle + wander[2], far + wander[3])]
    return [(near + wander[0], middle + wander[1]), (far + wander[2], middle + wander[3])]


def track(motion: str, centre: tuple[float, float], radius: float, alone: bool) -> np.ndarray:
    """Centre x, centre y and radius of every frame, `[FRAMES, 3]` in pixels."""
    time = np.linspace(0.0, 1.0, FRAMES)
    x, y = np.full(FRAMES, centre[0]), np.full(FRAMES, centre[1])
    size = np.full(FRAMES, radius)
    near, far = radius + MARGIN, SIZE - radius - MARGIN
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
        small, large = (8.0, 44.0) if alone else (6.0, 26.0)
        size = small + (large - small) * time
        if motion == "shrinking":
            size = size[::-1]
    return np.stack([x, y, size], axis=1)


class Plan(NamedTuple):
    """Clips before they are drawn, as float32 tensors.

    Args:
        background: RGB in 0–1, `[B, 3]`.
        colours: Of each actor, `[B, MAX_ACTORS, 3]`.
        shapes: Index in `grammar.SHAPES`, −1 for an actor that is not there, `[B, MAX_ACTORS]`.
        tracks: Centre x, centre y and radius in pixels, `[B, MAX_ACTORS, FRAMES, 3]`.
    """

    background: torch.Tensor
    colours: torch.Tensor
    shapes: torch.Tensor
    tracks: torch.Tensor

    def to(self, device: str | torch.device) -> Plan:
        return Plan(*(part.to(device, non_blocking=True) for part in self))


def tracks(scene: Scene, rng: np.random.Generator) -> list[np.ndarray]:
    """Where each actor of a scene is, `[FRAMES, 3]` each; where and how large it starts varies."""
    alone = len(scene.actors) == 1
    low, high = (18, 24) if alone else (14, 18)
    return [
        track(actor.motion, centre, rng.uniform(low, high), alone)
        for actor, centre in zip(scene.actors, lanes(scene.actors, rng), strict=True)
    ]


def plan(scenes: list[Scene], rng: np.random.Generator) -> Plan:
    """What clips of some scenes will show.

    Args:
        scenes: What is seen; their backgrounds are named.
        rng: Source of where the shapes start and how large they are.
    """
    count = len(scenes)
    background = np.array([RGB[scene.background] for scene in scenes], np.float32) / 255
    colours = np.zeros((count, MAX_ACTORS, 3), np.float32)
    shapes = np.full((count, MAX_ACTORS), -1, np.float32)
    paths = np.ones((count, MAX_ACTORS, FRAMES, 3), np.float32)
    for i, scene in enumerate(scenes):
        for k, path in enumerate(tracks(scene, rng)):
            actor = scene.actors[k]
            colours[i, k] = np.array(RGB[actor.colour]) / 255
            shapes[i, k], paths[i, k] = SHAPES.index(actor.shape), path
    return Plan(*map(torch.from_numpy, (background, colours, shapes, paths)))


def distance(shape: str, dx: torch.Tensor, dy: torch.Tensor, radius: torch.Tensor) -> torch.Tensor:
    """How far outside a shape's outline a point lies, in pixels; negative inside.

    Args:
        shape: One of `grammar.SHAPES`.
        dx, dy: From the shape's centre, in pixels; y points down.
        radius: The shape's size in pixels; all three can be broadcast together.
    """
    if shape == "circle":
        return torch.hypot(dx, dy) - radius
    if shape == "square":
        return torch.maximum(dx.abs(), dy.abs()) - 0.9 * radius
    # an upright triangle with its base at y + 0.8 r and its tip at y - r
    length = float(np.hypot(1.8, 1.0))
    sides = dx.abs() * (1.8 / length) - (dy + radius) / length
    return torch.maximum(sides, dy - 0.8 * radius)


def coverage(shape: str, path: np.ndarray) -> np.ndarray:
    """Share of each pixel that a shape covers, edges antialiased.

    Args:
        shape: One of `grammar.SHAPES`.
        path: Centre x, centre y and radius, `[n, 3]` in pixels.

    Returns:
        `[n, SIZE, SIZE]` in 0–1.
    """
    dx, dy, radius = _places(torch.from_numpy(path.astype(np.float32)))
    return (0.5 - distance(shape, dx, dy, radius)).clamp(0, 1).numpy()


def draw(plan: Plan) -> torch.Tensor:
    """Draw clips where their plan lies.

    Returns:
        `[B, 3, FRAMES, SIZE, SIZE]`, float32 RGB in 0–1.
    """
    video = plan.background[:, :, None, None, None].expand(-1, -1, FRAMES, SIZE, SIZE)
    for k in range(MAX_ACTORS):
        dx, dy, radius = _places(plan.tracks[:, k])
        chosen = plan.shapes[:, k, None, None, None]
        outside = torch.full_like(dx + dy, torch.inf)
        for i, shape in enumerate(SHAPES):
            outside = torch.where(chosen == i, distance(shape, dx, dy, radius), outside)
        share = (0.5 - outside).clamp(0, 1)[:, None]
        light = ((-SHADE / 2) * (dx + dy) / radius)[:, None]
        paint = (plan.colours[:, k, :, None, None, None] + light).clamp(0, 1)
        video = video + share * (paint - video)
    return video


def _places(path: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Of every pixel of a path `[..., 3]`: right of the centre, below it; and the radius."""
    axis = torch.arange(SIZE, device=path.device) + 0.5
    x, y, radius = path[..., None, None, :].unbind(-1)
    return axis - x, axis[:, None] - y, radius


def render(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """Draw a scene.

    Args:
        scene: What is seen; its background is named.
        rng: Source of where the shapes start and how large they are.

    Returns:
        Frames `[FRAMES, SIZE, SIZE, 3]`, float32 RGB in 0–1.
    """
    return draw(plan([scene], rng))[0].permute(1, 2, 3, 0).contiguous().numpy()
