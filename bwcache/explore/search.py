"""Which setting meets a goal, found in few runs: what to try next, when to stop, what to recommend.

Knows what each trial measured; runs nothing itself. Standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal, cast

from ..errors import ConfigError, is_number
from .candidates import Candidate

GoalKind = Literal["psnr", "speedup"]
MOST_TRIALS = 10
LOW, HIGH = 1.0, 100.0  # of a goal's value, dB or times
MARGIN = 1.05  # a speed goal is aimed at with so much to spare: clocks differ from run to run
NEAR = 1.15  # below this many times the goal, a speed is measured once more
FASTER = 0.99  # a share of the seconds from which on a setting counts as faster
NEAR_MISS_DB, SECOND_CHANCES = 1.0, 2  # settings harsher than a near miss may still be tried
NEAR_BEST_DB = 1.0  # for a speed, settings harsher than one this far below the best are not
ALLOWED = f"psnr=30 or speedup=2, with a number of decibels or times from {LOW:g} to {HIGH:g}"


@dataclass(frozen=True)
class Goal:
    """What to look for.

    Args:
        kind: "psnr": as fast as possible with a PSNR of at least `value` dB against the uncached
            video. "speedup": the closest video that is made at least `value` times as fast.
        value: 1 to 100.

    Raises:
        ConfigError: A field is of the wrong kind or out of its bounds.
    """

    kind: GoalKind
    value: float

    def __post_init__(self) -> None:
        known = self.kind in ("psnr", "speedup") and is_number(self.value)
        if not known or not LOW <= self.value <= HIGH:
            raise ConfigError("goal", f"{self.kind}={self.value}", ALLOWED)

    @classmethod
    def parse(cls, text: str) -> Goal:
        """The goal that "psnr=30" or "speedup=2" spells.

        Raises:
            ConfigError: It spells none.
        """
        kind, _, value = text.partition("=")
        try:
            return cls(cast(GoalKind, kind.strip()), float(value))
        except ValueError:  # a ConfigError is one too
            raise ConfigError("goal", text, ALLOWED) from None


@dataclass(frozen=True)
class Measured:
    """What a trial gave: denoising seconds, times as fast, and PSNR in dB, None where identical."""

    seconds: float
    speedup: float
    psnr_db: float | None
    ssim: float

    @classmethod
    def of(cls, summary: Mapping[str, Any]) -> Measured:
        """What a comparison's summary says."""
        names = ("cached_seconds", "speedup", "psnr_db", "ssim")
        return cls(*(summary[name] for name in names))

    @property
    def decibels(self) -> float:
        """PSNR in dB; infinite where identical."""
        return math.inf if self.psnr_db is None else self.psnr_db


class Search:
    """Says what to try next: `while trial := search.next_trial(): search.record(trial, measured)`.

    For a PSNR it halves what is left: a setting that meets the goal rules out all that are slower,
    one that misses it all that are harsher. For a speed-up it tries the gentlest settings that are
    fast enough, by the uncached run's step times and what trials have shown of them.

    Args:
        goal: What to look for.
        candidates: To choose from.
        baseline_seconds: The uncached run's denoising loop.
        most: Trials at most.
    """

    def __init__(
        self,
        goal: Goal,
        candidates: Sequence[Candidate],
        baseline_seconds: float,
        most: int = MOST_TRIALS,
    ):
        self.goal, self.candidates, self.most = goal, list(candidates), most
        self.results: dict[Candidate, list[Measured]] = {}
        self._baseline_seconds = baseline_seconds
        self._second_chances = SECOND_CHANCES

    @property
    def trials(self) -> int:
        return sum(map(len, self.results.values()))

    def record(self, candidate: Candidate, measured: Measured) -> None:
        self.results.setdefault(candidate, []).append(measured)

    def next_trial(self) -> Candidate | None:
        """The setting to measure next; None where the search is over."""
        if self.trials >= self.most or not self.candidates:
            return None
        return self._towards_psnr() if self.goal.kind == "psnr" else self._towards_speedup()

    def best(self) -> tuple[Candidate, Measured] | None:
        """What to recommend: of what meets the goal the best, else what comes closest to it.

        For a PSNR that is the least work, which a clock would tell less surely.
        """
        judged = [(candidate, self._judged(candidate)) for candidate in self.results]
        value = self.goal.value
        if self.goal.kind == "psnr":
            meeting = [pair for pair in judged if pair[1].decibels >= value]
            if meeting:
                return min(meeting, key=lambda pair: (pair[0].seconds, -pair[1].decibels))
            return max(judged, key=lambda pair: pair[1].decibels, default=None)
        for least in (value * MARGIN, value):
            if meeting := [pair for pair in judged if pair[1].speedup >= least]:
                return max(meeting, key=lambda pair: (pair[1].decibels, pair[1].speedup))
        return max(judged, key=lambda pair: pair[1].speedup, default=None)

    def met(self, measured: Measured) -> bool:
        """Whether a result meets the goal."""
        reached = measured.decibels if self.goal.kind == "psnr" else measured.speedup
        return reached >= self.goal.value

    def _judged(self, candidate: Candidate) -> Measured:
        """Of several runs of a setting the slowest, so that a lucky one promises nothing."""
        return min(self.results[candidate], key=lambda measured: measured.speedup)

    # -- as fast as possible, still this close ------------------------------------------------

    def _towards_psnr(self) -> Candidate | None:
        left = self._undecided(0.0)
        if not left and self._second_chances:
            self._second_chances -= 1
            return next(iter(self._undecided(NEAR_MISS_DB)), None)

        def ruled_out(candidate: Candidate) -> tuple[int, int]:
            if_met = sum(other.seconds >= FASTER * candidate.seconds for other in left)
            if_missed = 1 + sum(candidate.reuses_no_more_than(other) for other in left)
            return min(if_met, if_missed), if_met + if_missed

        return max(left, key=ruled_out, default=None)

    def _undecided(self, slack_db: float) -> list[Candidate]:
        """Untried, faster than all that met the goal, no harsher than one that missed by more."""
        meeting = [c for c in self.results if self.met(self._judged(c))]
        fastest = min((c.seconds for c in meeting), default=math.inf)
        missing = [
            c
            for c in self.results
            if c not in meeting and self._judged(c).decibels < self.goal.value - slack_db
        ]
        return [
            c
            for c in self.candidates
            if c not in self.results
            and c.seconds < FASTER * fastest
            and not any(missed.reuses_no_more_than(c) for missed in missing)
        ]

    # -- this much faster, as close as possible -----------------------------------------------

    def _towards_speedup(self) -> Candidate | None:
        able = [c for c in self.candidates if self._speedup(c) >= self.goal.value * MARGIN]
        ends = [c for c in able if not any(other.reuses_no_more_than(c) for other in able)]
        untried = [c for c in ends if c not in self.results]
        if not untried and able:
            untried = [c for c in able if c not in self.results and self._promising(c)]
        doubtful = self._worth_repeating()
        if doubtful and (not untried or self.trials + 1 >= self.most):
            return doubtful
        if not able:  # out of reach, as far as predicted: see how far the fastest gets
            fastest = min(self.candidates, key=lambda candidate: candidate.seconds)
            untried = [] if fastest in self.results else [fastest]
        return max(untried, key=lambda candidate: candidate.seconds, default=None)

    def _promising(self, candidate: Candidate) -> bool:
        """Whether all that was tried and is gentler came near the best, so that this may be it."""
        best = self.best()
        assert best is not None, "asked only once something was tried"
        return all(
            self._judged(tried).decibels >= best[1].decibels - NEAR_BEST_DB
            for tried in self.results
            if tried.reuses_no_more_than(candidate)
        )

    def _worth_repeating(self) -> Candidate | None:
        best = self.best()
        if best is None or not self.met(best[1]) or len(self.results[best[0]]) > 1:
            return None
        return best[0] if best[1].speedup < NEAR * self.goal.value else None

    def _speedup(self, candidate: Candidate) -> float:
        """Measured, or predicted and set right by how the trials so far turned out."""
        if candidate in self.results:
            return self._judged(candidate).speedup
        off = [m.seconds / c.seconds for c, several in self.results.items() for m in several]
        return self._baseline_seconds / (candidate.seconds * (median(off) if off else 1.0))


# -- the outcome -----------------------------------------------------------------------------------

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


def psnr_text(measured: Measured) -> str:
    """Such as "PSNR 31.2 dB", or that there is no difference."""
    return "no difference" if measured.psnr_db is None else f"PSNR {measured.psnr_db:.1f} dB"


def setting_text(candidate: Candidate) -> str:
    """Such as "threshold 0.045 with reuse interval 3"."""
    config = candidate.config
    return f"threshold {config.threshold:.6g} with reuse interval {config.reuse_interval:g}"


def _found(search: Search, candidate: Candidate, measured: Measured) -> str:
    value, tried = search.goal.value, len(search.results)
    again = " (the slower of two runs)" if len(search.results[candidate]) > 1 else ""
    use = f"Use {setting_text(candidate)}: {measured.speedup:.2f}× as fast{again}"
    if search.goal.kind == "psnr":
        asked, best = f"stay at {value:g} dB or closer", "it does the least work"
    else:
        asked, best = f"are at least {value:g}× as fast", "it is the closest"
    only = f"Of the {tried} settings tried, {best} of those that {asked}."
    if tried == 1:
        only = "It is the only setting that was tried."
    return f"{use} with {psnr_text(measured)}. {only}"


def _missed(search: Search, candidate: Candidate, measured: Measured) -> str:
    value = search.goal.value
    if search.goal.kind == "psnr":
        failed, best = f"No setting tried stays at {value:g} dB or closer.", "closest"
    else:
        failed, best = f"No setting tried is {value:g}× as fast.", "fastest"
    best = _of_those_tried(best, search)
    return (
        f"{failed} {setting_text(candidate)[0].upper()}{setting_text(candidate)[1:]} is {best}: "
        f"{measured.speedup:.2f}× as fast with {psnr_text(measured)}."
    )


def _of_those_tried(which: str, search: Search) -> str:
    tried = len(search.results)
    return "the only one tried" if tried == 1 else f"the {which} of the {tried} settings tried"
