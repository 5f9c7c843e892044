"""What points of speed and closeness say about a method: its frontier, and where it pays.

Pure arithmetic, standard library only. Closeness is PSNR in dB against the uncached run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

Curve = list[tuple[float, float]]
IDENTICAL_DB = 99.0  # stands for the infinite PSNR of two identical videos


def frontier(points: Iterable[tuple[float, float]]) -> Curve:
    """The points that no other beats in both numbers, by rising gain.

    Args:
        points: Pairs of a gain (the more the better) and dB.

    Returns:
        Gains rise and dB fall from each point to the next.
    """
    best: Curve = []
    for gain, decibels in sorted(points, reverse=True):
        if not best or decibels > best[-1][1]:
            best.append((gain, decibels))
    return best[::-1]


def interpolated(curve: Sequence[tuple[float, float]], x: float) -> float | None:
    """The value at x on straight lines between points sorted by x; None outside of them."""
    for (left, low), (right, high) in pairwise(curve):
        if left <= x <= right:
            return low if right == left else low + (high - low) * (x - left) / (right - left)
    return next((value for place, value in curve if place == x), None)


def decibels_at(points: Iterable[tuple[float, float]], gain: float) -> float | None:
    """How close a method gets at a gain, between two points of its own frontier.

    Returns:
        None where the frontier does not reach the gain. Where even its gentlest point goes
        beyond, that point's dB, which the method reaches with gain to spare.
    """
    curve = frontier(points)
    if not curve or curve[-1][0] < gain:
        return None
    return curve[0][1] if curve[0][0] > gain else interpolated(curve, gain)


def stops_paying(
    cached: Iterable[tuple[float, float, float]],
    fewer_steps: Iterable[tuple[float, float]],
    margin_db: float = 1.0,
) -> float | None:
    """Computed steps from which on downwards caching gives no more than fewer steps in that time.

    Args:
        cached: A caching method's speed-up, dB and computed steps (a mean over prompts, so perhaps
            a fraction); settings that another beats in speed and dB are passed over.
        fewer_steps: Speed-up and dB of uncached runs.
        margin_db: How much closer caching must be, at equal speed, to be worth it.

    Returns:
        The largest number of computed steps at which it is not; None where it always is. Speeds
        outside the range of `fewer_steps` cannot be judged and are passed over.
    """
    control, settings = sorted(fewer_steps), list(cached)
    best = set(frontier((gain, decibels) for gain, decibels, _ in settings))
    failing = []
    for gain, decibels, steps in settings:
        other = interpolated(control, gain)
        if (gain, decibels) in best and other is not None and decibels < other + margin_db:
            failing.append(steps)
    return max(failing, default=None)
