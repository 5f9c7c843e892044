"""What a clip shows, measured on its raw frames: which shapes, how they move, how well drawn.

Every drawn shape is compared with the perfect shape that overlaps it most, so a lumpy outline
costs what it looks like. Knows what the world's words look like; knows nothing of captions, models
or latents, so its verdict cannot be swayed by what was asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..tinyworld.grammar import SHAPES, Actor
from ..tinyworld.world import RGB, distance

MIN_CORE = 0.0007  # of a frame, outlines left out; with less of a colour there is no shape
MIN_OVERLAP = 0.6  # with the best perfect shape; below, the shape is none that has a name
MIN_TRAVEL = 0.12  # of the picture's width; below, the shape is still
MIN_GROWTH = 1.7  # of the radius, from the first to the last quarter
EVERY = 3  # frames between two that are measured
SECTORS = 32  # of an outline
UNIT_AREA = {"circle": np.pi, "square": 1.8**2, "triangle": 1.8}  # of radius 1
# how far the centroid lies below the middle, for radius 1
CENTROID_DROP = {"circle": 0.0, "square": 0.0, "triangle": 0.2}
NAMES = tuple(RGB)
PAINTS = np.array([RGB[name] for name in NAMES]) / 255


@dataclass(frozen=True)
class SeenShape:
    """One shape of a clip.

    Args:
        colour, shape, motion: The nearest words; `none` for what has no name in this world.
        overlap: Intersection over union with the best perfect shape, mean over frames, 0–1.
        jitter: How far its outline moves against the perfect one from one measured frame to the
            next, root mean square, in pixels.
    """

    colour: str
    shape: str
    motion: str
    overlap: float
    jitter: float

    def is_of(self, actor: Actor) -> bool:
        return (self.colour, self.shape, self.motion) == (actor.colour, actor.shape, actor.motion)


@dataclass(frozen=True)
class SeenClip:
    """What a clip shows: its background's name, and its shapes, the largest first."""

    background: str
    shapes: tuple[SeenShape, ...]

    def shows(self, actors: tuple[Actor, ...], background: str | None) -> bool:
        """Whether it shows these actors on this background (None: on any), and nothing else."""
        if background not in (None, self.background) or len(self.shapes) != len(actors):
            return False
        return all(any(shape.is_of(actor) for shape in self.shapes) for actor in actors)


def look(frames: np.ndarray) -> SeenClip:
    """Say what a clip shows.

    Args:
        frames: `[F, H, W, 3]` RGB in 0–1, H = W.
    """
    frames = np.asarray(frames, np.float32)
    labels = np.linalg.norm(frames[..., None, :] - PAINTS.astype(np.float32), axis=-1).argmin(-1)
    core = _core(labels)
    counts = np.array([(core & (labels == i)).sum() for i in range(len(NAMES))]) / labels.size
    ground = _ground(labels)
    counts[ground] = 0
    chosen = [int(i) for i in np.argsort(-counts) if counts[i] >= MIN_CORE][:3]
    ground_paint = np.median(frames[core & (labels == ground)], axis=0)
    paints = [np.median(frames[core & (labels == i)], axis=0) for i in chosen]
    shares = _shares(frames, ground_paint, paints)
    seen = [_shape(NAMES[i], shares, k) for k, i in enumerate(chosen)]
    return SeenClip(NAMES[ground], tuple(seen))


def _ground(labels: np.ndarray) -> int:
    """The colour that most of the frames' rims have."""
    rim = np.concatenate([labels[:, :2].ravel(), labels[:, -2:].ravel(),
                          labels[:, :, :2].ravel(), labels[:, :, -2:].ravel()])  # fmt: skip
    return int(np.bincount(rim, minlength=len(NAMES)).argmax())


def _core(labels: np.ndarray) -> np.ndarray:
    """Pixels whose neighbours all have their colour: no outline, where colours mix."""
    same = np.ones(labels.shape, bool)
    for axis in (1, 2):
        for shift in (-1, 1):
            same &= np.roll(labels, shift, axis) == labels
    return same


def _shares(frames: np.ndarray, ground: np.ndarray, paints: list[np.ndarray]) -> list[np.ndarray]:
    """How much of each pixel each paint covers, `[F, H, W]` in 0–1; a pixel has one paint."""
    along, away = [], []
    for paint in paints:
        towards = paint - ground
        share = np.clip((frames - ground) @ towards / (towards @ towards), 0, 1)
        along.append(np.where(share < 0.2, 0, share))  # faint ghosts would pull the centroid
        away.append(np.linalg.norm(frames - ground - share[..., None] * towards, axis=-1))
    nearest = np.argmin(away, axis=0) if away else None
    return [np.where(nearest == k, share, 0) for k, share in enumerate(along)]


def _centroids(share: np.ndarray, area: np.ndarray) -> np.ndarray:
    """Centre x and y of each frame's shape, `[F, 2]` in pixels."""
    axis = np.arange(share.shape[1]) + 0.5
    x, y = (share.sum(1) * axis).sum(1), (share.sum(2) * axis).sum(1)
    return np.stack([x, y], axis=1) / np.maximum(area, 1e-9)[:, None]


def _shape(colour: str, shares: list[np.ndarray], k: int) -> SeenShape:
    """The shape that the `k`-th paint draws."""
    share = shares[k]
    area, area_of_frame = share.sum((1, 2)), share[0].size
    centres = _centroids(share, area)
    others = sum((other for j, other in enumerate(shares) if j != k), np.zeros_like(share))
    # a shape that touches another may be hidden in part, which is no fault
    free = [i for i in range(0, len(share), EVERY) if area[i] >= MIN_CORE * area_of_frame
            and not _touches(others[i], centres[i], area[i])]  # fmt: skip
    if not free:
        return SeenShape(colour, "none", "none", 0.0, 0.0)
    largest = sorted(free, key=lambda i: -area[i])[:4]
    fits = {
        shape: np.mean([_fit(shape, share[i], centres[i], area[i])[0] for i in largest])
        for shape in SHAPES
    }
    best = max(fits, key=fits.__getitem__)
    overlaps, outlines = zip(
        *(_fit(best, share[i], centres[i], area[i]) for i in free), strict=True
    )
    steps = np.diff(np.array(outlines), axis=0) if len(free) > 1 else np.zeros((1, SECTORS))
    name = best if fits[best] >= MIN_OVERLAP else "none"
    motion = _motion(centres, area, share.shape[1])
    return SeenShape(
        colour, name, motion, float(np.mean(overlaps)), float(np.sqrt((steps**2).mean()))
    )


def _touches(others: np.ndarray, centre: np.ndarray, area: float) -> bool:
    """Whether another shape `[H, W]` is so near that it may hide part of this one."""
    reach = 1.2 * np.sqrt(area) + 2
    left, top = np.maximum(centre - reach, 0).astype(int)
    right, bottom = (centre + reach).astype(int)
    return bool(others[top:bottom, left:right].sum() > 4)


def _fit(
    shape: str, share: np.ndarray, centre: np.ndarray, area: float
) -> tuple[float, np.ndarray]:
    """Overlap with the best perfect shape, and the outline's distance from it.

    Returns:
        Intersection over union, and by how many pixels the drawn outline lies outside the perfect
        one, `[SECTORS]` by direction.
    """
    radius = np.sqrt(area / UNIT_AREA[shape])
    x, y = centre[0], centre[1] - CENTROID_DROP[shape] * radius
    side = share.shape[0]
    reach = 1.6 * radius + 4
    top, bottom = max(0, int(y - reach)), min(side, int(y + reach) + 1)
    left, right = max(0, int(x - reach)), min(side, int(x + reach) + 1)
    crop = share[top:bottom, left:right]
    outside = share.sum() - crop.sum()  # what is drawn far away overlaps nothing
    rows, columns = np.arange(top, bottom) + 0.5, np.arange(left, right) + 0.5
    best = (-1.0, x, y, radius)
    for step in (1.2, 0.6, 0.3):
        _, x, y, radius = best
        nudges = np.array([(dx, dy, dr) for dx in (-1, 0, 1) for dy in (-1, 0, 1)
                           for dr in (-1, 0, 1)]) * step  # fmt: skip
        xs, ys, rs = x + nudges[:, 0], y + nudges[:, 1], np.maximum(radius + nudges[:, 2], 1)
        perfect = _perfect(shape, rows, columns, xs, ys, rs)
        both = np.minimum(perfect, crop).sum((1, 2))
        overlap = both / (np.maximum(perfect, crop).sum((1, 2)) + outside)
        i = int(overlap.argmax())
        if overlap[i] > best[0]:
            best = (float(overlap[i]), xs[i], ys[i], rs[i])
    overlap, x, y, radius = best
    perfect = _perfect(shape, rows, columns, *(np.array([v]) for v in (x, y, radius)))[0]
    angle = np.arctan2(rows[:, None] - y, columns[None, :] - x)
    sector = ((angle + np.pi) / (2 * np.pi) * SECTORS).astype(int) % SECTORS
    surplus = np.bincount(sector.ravel(), (crop - perfect).ravel(), SECTORS)
    return overlap, surplus / (2 * np.pi * radius / SECTORS)


def _perfect(shape: str, rows, columns, x, y, radius) -> np.ndarray:
    """Perfect shapes on a part of the pixel grid, `[n, rows, columns]` in 0–1."""
    places = (
        columns[None, None, :] - x[:, None, None],
        rows[None, :, None] - y[:, None, None],
        radius[:, None, None],
    )
    away = distance(shape, *(torch.from_numpy(place.astype(np.float32)) for place in places))
    return (0.5 - away).clamp(0, 1).numpy()


def _motion(centres: np.ndarray, area: np.ndarray, side: int) -> str:
    time = np.linspace(0, 1, len(area))
    seen = area >= MIN_CORE * side**2
    if seen.mean() < 0.7:
        return "none"
    centre, time, radius = centres[seen], time[seen], np.sqrt(area[seen])
    quarter = max(2, len(radius) // 4)
    growth = radius[-quarter:].mean() / radius[:quarter].mean()
    travel = np.ptp(centre, axis=0)
    if max(growth, 1 / growth) > MIN_GROWTH:
        return "growing" if growth > 1 else "shrinking"
    if travel.max() < MIN_TRAVEL * side:
        return "still"
    axis = int(travel.argmax())
    net = centre[-3:, axis].mean() - centre[:3, axis].mean()
    if abs(net) > 0.6 * travel[axis]:
        words = ("moving left", "moving right"), ("moving up", "moving down")
        return words[axis][int(net > 0)]
    hops = np.corrcoef(centre[:, 1], -np.abs(np.cos(2 * np.pi * time)))[0, 1]
    return "bouncing" if axis == 1 and hops > 0.5 else "none"
