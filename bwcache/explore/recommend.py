"""What a search found, as a record and as a sentence that claims no more than was tried.

Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass

from .candidates import Candidate
from .search import Goal, Measured, Search

NOTHING = (
    "Nothing can be reused in a run like this: no step is followed by one that could be. "
    "Take more steps."
)


@dataclass(frozen=True)
class Recommendation:
    """The setting to use, or the one that came closest.

    Args:
        goal: What was looked for.
        goal_met: Whether it was found.
        candidate: The setting; None where no setting reuses anything.
        measured: What it gave; of several runs the slowest.
        cached_runs: Trials made.
        runs_saved: Settings that needed no run, since their schedule was that of another.
        sentence: For people.
    """

    goal: Goal
    goal_met: bool
    candidate: Candidate | None
    measured: Measured | None
    cached_runs: int
    runs_saved: int
    sentence: str


def recommend(search: Search, runs_saved: int) -> Recommendation:
    """The outcome of a search, finished or stopped."""
    best, counts = search.best(), (search.trials, runs_saved)
    if best is None:
        return Recommendation(search.goal, False, None, None, *counts, NOTHING)
    met = search.met(best[1])
    words = (_found if met else _missed)(search, *best)
    return Recommendation(search.goal, met, *best, *counts, words)


def decibels(measured: Measured) -> str:
    """ "PSNR 31.2 dB", or that there is no difference."""
    return "no difference" if measured.psnr_db is None else f"PSNR {measured.psnr_db:.1f} dB"


def setting(candidate: Candidate) -> str:
    """ "threshold 0.045 with reuse interval 3"."""
    config = candidate.config
    return f"threshold {config.threshold:.6g} with reuse interval {config.reuse_interval:g}"


def _found(search: Search, candidate: Candidate, measured: Measured) -> str:
    value, tried = search.goal.value, len(search.results)
    again = " (the slower of two runs)" if len(search.results[candidate]) > 1 else ""
    use = f"Use {setting(candidate)}: {measured.speedup:.2f}× as fast{again}"
    if search.goal.kind == "psnr":
        asked, best = f"stay at {value:g} dB or closer", "it does the least work"
    else:
        asked, best = f"are at least {value:g}× as fast", "it is the closest"
    only = f"Of the {tried} settings tried, {best} of those that {asked}."
    if tried == 1:
        only = "It is the only setting that was tried."
    return f"{use} with {decibels(measured)}. {only}"


def _missed(search: Search, candidate: Candidate, measured: Measured) -> str:
    value = search.goal.value
    if search.goal.kind == "psnr":
        failed, best = f"No setting tried stays at {value:g} dB or closer.", "closest"
    else:
        failed, best = f"No setting tried is {value:g}× as fast.", "fastest"
    best = _of_those_tried(best, search)
    return (
        f"{failed} {setting(candidate)[0].upper()}{setting(candidate)[1:]} is {best}: "
        f"{measured.speedup:.2f}× as fast with {decibels(measured)}."
    )


def _of_those_tried(which: str, search: Search) -> str:
    tried = len(search.results)
    return "the only one tried" if tried == 1 else f"the {which} of the {tried} settings tried"
