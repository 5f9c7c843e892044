"""The world TinyWorld knows, drawn: a scene and a seed give a clip of softly lit flat shapes.

Every clip lasts from time 0 to time 1; shapes are exact and antialiased. NumPy only.
"""

from __future__ import annotations

import numpy as np

from .grammar import Actor, Scene

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


def distance(shape: str, dx: np.ndarray, dy: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """How far outside a shape's outline a point lies, in pixels; negative inside.

    Args:
        shape: One of `grammar.SHAPES`.
        dx, dy: From the shape's centre, in pixels; y points down.
        radius: The shape's size in pixels, of a shape that can be broadcast.
    """
    if shape == "circle":
        return np.hypot(dx, dy) - radius
    if shape == "square":
        return np.maximum(np.abs(dx), np.abs(dy)) - 0.9 * radius
    # an upright triangle with its base at y + 0.8 r and its tip at y - r
    slope = np.array([1.8, 1.0], np.float32) / np.float32(np.hypot(1.8, 1.0))
    sides = np.abs(dx) * slope[0] - (dy + radius) * slope[1]
    return np.maximum(sides, dy - 0.8 * radius)


def coverage(shape: str, path: np.ndarray, size: int = SIZE) -> np.ndarray:
    """Share of each pixel that a shape covers, edges antialiased.

    Args:
        shape: One of `grammar.SHAPES`.
        path: Centre x, centre y and radius, `[n, 3]` in pixels.
        size: Width and height of the picture, in pixels.

    Returns:
        `[n, size, size]` in 0–1.
    """
    x, y, radius = (path[:, i, None, None].astype(np.float32) for i in range(3))
    axis = np.arange(size, dtype=np.float32) + 0.5
    dx, dy = axis[None, None, :] - x, axis[None, :, None] - y
    return np.clip(0.5 - distance(shape, dx, dy, radius), 0.0, 1.0)


def draw(frames: np.ndarray, actor: Actor, path: np.ndarray) -> None:
    """Paint an actor over frames `[FRAMES, SIZE, SIZE, 3]` in 0–1, in place."""
    side = min(SIZE, 2 * int(np.ceil(path[:, 2].max())) + 4)
    corner = np.clip(np.round(path[:, :2] - side / 2), 0, SIZE - side).astype(int)
    axis = np.arange(side, dtype=np.float32) + 0.5
    radius = path[:, 2, None, None].astype(np.float32)
    dx = axis[None, None, :] + (corner[:, 0] - path[:, 0]).astype(np.float32)[:, None, None]
    dy = axis[None, :, None] + (corner[:, 1] - path[:, 1]).astype(np.float32)[:, None, None]
    alpha = np.clip(0.5 - distance(actor.shape, dx, dy, radius), 0.0, 1.0)[..., None]
    light = (-SHADE / 2) * (dx + dy) / radius
    paint = np.asarray(RGB[actor.colour], np.float32) / 255 + light[..., None]
    np.clip(paint, 0.0, 1.0, out=paint)
    for frame, (left, top), share, colour in zip(frames, corner, alpha, paint, strict=True):
        box = frame[top : top + side, left : left + side]
        box += share * (colour - box)


def tracks(scene: Scene, rng: np.random.Generator) -> list[np.ndarray]:
    """Where each actor of a scene is, `[FRAMES, 3]` each; where and how large it starts varies."""
    alone = len(scene.actors) == 1
    low, high = (18, 24) if alone else (14, 18)
    return [
        track(actor.motion, centre, rng.uniform(low, high), alone)
        for actor, centre in zip(scene.actors, lanes(scene.actors, rng), strict=True)
    ]


def render(scene: Scene, rng: np.random.Generator, frames: np.ndarray | None = None) -> np.ndarray:
    """Draw a scene.

    Args:
        scene: What is seen; its background is named.
        rng: Source of where the shapes start and how large they are.
        frames: Where to draw it; a new array where there is none.

    Returns:
        Frames `[FRAMES, SIZE, SIZE, 3]`, float32 RGB in 0–1.
    """
    if frames is None:
        frames = np.empty((FRAMES, SIZE, SIZE, 3), np.float32)
    frames[:] = np.asarray(RGB[scene.background], np.float32) / 255
    for actor, path in zip(scene.actors, tracks(scene, rng), strict=True):
        draw(frames, actor, path)
    return frames
