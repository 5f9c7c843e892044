"""Comparisons that behave or misbehave, for workers: by name in `COMPARISONS`."""

from __future__ import annotations

import os
import signal
from pathlib import Path

LEFT: list[object] = []  # `cached`s entered and never left
MADE = Path.home() / "made"


def real(request, baseline=None, device=None):
    from bwcache.runs.compare import make_comparison

    yield from make_comparison(request, baseline, device)


def cut_short(request, baseline=None, device=None):
    """With seed 13 it leaves its gates in place; otherwise as `real`."""
    from bwcache import BWCacheConfig, cached, models
    from bwcache.models import loading

    if request.seed == 13:
        LEFT.append(cached(loading.load("tinyworld", device), BWCacheConfig(1e6)))
        LEFT[-1].__enter__()
        raise models.ModelError("model: cut short")
    yield from real(request, baseline, device)


def inheriting(request, baseline=None, device=None):
    yield from real(request, baseline, device)


def counted(request, baseline=None, device=None):
    """As `real`; leaves a mark in a file for every event that is made."""
    for event in real(request, baseline, device):
        with open(MADE, "a", encoding="utf-8") as made:
            made.write(".")
        yield event


def failing(request, baseline=None, device=None):
    yield from ()
    raise ZeroDivisionError("secret")


def dying(request, baseline=None, device=None):
    """The worker is killed, as when it takes longer than it asked for."""
    yield from ()
    os.kill(os.getpid(), signal.SIGKILL)


COMPARISONS = {
    "real": real,
    "cut_short": cut_short,
    "inheriting": inheriting,
    "counted": counted,
    "failing": failing,
    "dying": dying,
}
