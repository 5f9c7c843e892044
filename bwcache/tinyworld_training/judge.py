"""What a clip shows, told from its pixels alone: background, colour, shape and motion.

Knows what the world's words look like; knows nothing of captions, models or latents, so its
verdict on a generated clip cannot be swayed by what was asked for. One shape a clip.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..tinyworld.scenes import BACKGROUNDS, COLOURS, SHAPES, coverage

MIN_AREA = 6.0  # pixels; a frame with less shows no shape
MIN_IOU = 0.6  # with the best template; below, the shape is none that has a name
MIN_TRAVEL = 8.0  # pixels; below, the shape is still
MIN_GROWTH = 1.7  # of the radius, from the first to the last quarter
BORDER = 2


@dataclass(frozen=True)
class Verdict:
    """One clip's words; `none` for what has no name in this world."""

    background: str
    colour: str
    shape: str
    motion: str


def judge(frames: np.ndarray) -> Verdict:
    """Say what a clip shows.

    Args:
        frames: `[F, H, W, 3]` RGB in 0–1, H = W = `scenes.SIZE`.

    Returns:
        The clip's words.
    """
    frames = np.asarray(frames, np.float64)
    rim = np.ones(frames.shape[1:3], bool)
    rim[BORDER:-BORDER, BORDER:-BORDER] = False
    ground = np.median(frames[:, rim].reshape(-1, 3), axis=0)
    background = _nearest(ground, BACKGROUNDS)
    distance = np.linalg.norm(frames - ground, axis=-1)
    core = distance > max(0.15, 0.7 * np.quantile(distance, 0.995))
    if core.sum() < MIN_AREA * len(frames) / 2:
        return Verdict(background, "none", "none", "none")
    paint = np.median(frames[core], axis=0)
    alpha = _shares(frames, ground, paint)
    area = alpha.sum((1, 2))
    return Verdict(background, _nearest(paint, COLOURS), _shape(alpha, area), _motion(alpha, area))


def _nearest(colour: np.ndarray, named: dict[str, tuple[int, int, int]]) -> str:
    away = np.linalg.norm(np.array(list(named.values())) / 255 - colour, axis=1)
    return list(named)[int(away.argmin())]


def _shares(frames: np.ndarray, ground: np.ndarray, paint: np.ndarray) -> np.ndarray:
    """How far each pixel is from the ground's colour towards the paint, `[F, H, W]` in 0–1."""
    towards = paint - ground
    alpha = np.clip((frames - ground) @ towards / (towards @ towards), 0, 1)
    alpha[alpha < 0.25] = 0  # faint ghosts and noise would pull the centroid
    return alpha


def _centroids(alpha: np.ndarray, area: np.ndarray) -> np.ndarray:
    """Centre x and y of each frame's shape, `[F, 2]` in pixels."""
    axis = np.arange(alpha.shape[1]) + 0.5
    x, y = (alpha.sum(1) * axis).sum(1), (alpha.sum(2) * axis).sum(1)
    return np.stack([x, y], axis=1) / np.maximum(area, 1e-9)[:, None]


def _motion(alpha: np.ndarray, area: np.ndarray) -> str:
    time = np.linspace(0, 1, len(area))
    seen = area >= MIN_AREA
    if seen.mean() < 0.7:
        return "none"
    centre = _centroids(alpha, area)[seen]
    time, radius = time[seen], np.sqrt(area[seen])
    quarter = max(2, len(radius) // 4)
    growth = radius[-quarter:].mean() / radius[:quarter].mean()
    if max(growth, 1 / growth) > MIN_GROWTH:
        return "growing" if growth > 1 else "shrinking"
    travel = np.ptp(centre, axis=0)
    if travel.max() < MIN_TRAVEL:
        return "still"
    axis = int(travel.argmax())
    net = centre[-2:, axis].mean() - centre[:2, axis].mean()
    if abs(net) > 0.6 * travel[axis]:
        words = ("moving left", "moving right"), ("moving up", "moving down")
        return words[axis][int(net > 0)]
    hops = np.corrcoef(centre[:, 1], -np.abs(np.cos(2 * np.pi * time)))[0, 1]
    return "bouncing" if axis == 1 and hops > 0.5 else "none"


def _shape(alpha: np.ndarray, area: np.ndarray, best_of: int = 5) -> str:
    """The template that overlaps most, averaged over the frames where the shape is largest."""
    overlap = dict.fromkeys(SHAPES, 0.0)
    frames = np.argsort(area)[-best_of:]
    centres = _centroids(alpha, area)
    for i in frames:
        for shape in SHAPES:
            overlap[shape] += _fit(shape, alpha[i], centres[i], area[i]) / best_of
    best = max(overlap, key=overlap.__getitem__)
    return best if overlap[best] >= MIN_IOU else "none"


def _fit(shape: str, alpha: np.ndarray, centre: np.ndarray, area: float) -> float:
    """Intersection over union with the template of the same area and centroid, nudged."""
    # areas of radius 1, and how far a triangle's centroid lies below its middle
    unit = {"circle": np.pi, "square": 1.8**2, "triangle": 1.8}[shape]
    radius = np.sqrt(area / unit)
    x, y = centre[0], centre[1] - (0.2 * radius if shape == "triangle" else 0.0)
    nudges = [(x + dx, y + dy, radius * s) for dx in (-1, 0, 1) for dy in (-1, 0, 1)
              for s in (0.93, 1.0, 1.07)]  # fmt: skip
    templates = coverage(shape, np.array(nudges))
    both = np.minimum(templates, alpha).sum((1, 2))
    return float((both / np.maximum(templates, alpha).sum((1, 2))).max())
