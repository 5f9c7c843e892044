"""Which setting meets a goal, found in few runs: what to try next, when to stop, what to recommend.

Knows what each trial measured; runs nothing itself. Standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from ..errors import ConfigError, is_number
from .candidates import Candidate

GoalKind = Literal["psnr", "speedup"]
MOST_TRIALS = 6
LOW, HIGH = 1.0, 100.0  # of a goal's value, dB or times
BLOCKS = 0.95  # of the time, at most: some is left for what is never reused, and for measuring
COARSE = 0.05  # the blocks' share of the time is taken to so much, so that no clock tips it
TINY = 1e-9  # of work, lost in arithmetic
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
    """What a trial gave.

    Args:
        seconds: Of denoising.
        speedup: How many times as fast, by the clock.
        psnr_db: In dB; None where identical.
        ssim: Mean over frames.
        work: Of all block evaluations, the share that ran.
    """

    seconds: float
    speedup: float
    psnr_db: float | None
    ssim: float
    work: float

    @classmethod
    def of(cls, summary: Mapping[str, Any]) -> Measured:
        """What a comparison's summary says."""
        names = ("cached_seconds", "speedup", "psnr_db", "ssim", "compute_share")
        return cls(*(summary[name] for name in names))

    @property
    def decibels(self) -> float:
        """PSNR in dB; infinite where identical."""
        return math.inf if self.psnr_db is None else self.psnr_db

    @property
    def speedup_by_work(self) -> float:
        """How many times as fast by the work that was done: the most that a clock shows."""
        return 1 / self.work


class Search:
    """Says what to try next: `while trial := search.next_trial(): search.record(trial, measured)`.

    It goes by the work that a setting does and by how close its video is, neither of which depends
    on the machine's pace: the same prompt gives the same answer. The clock only confirms.

    For a PSNR it halves what is left: a setting that meets the goal rules out all that do more
    work, one that misses it all that are harsher. For a speed-up it tries the gentlest settings
    that do little enough work.

    Args:
        goal: What to look for.
        candidates: To choose from, see `candidates.candidates`.
        most: Trials at most.
        block_share: Of the uncached run's time, what blocks take: as much more work has to be
            saved where they take less, so that the clock confirms.
    """

    def __init__(
        self,
        goal: Goal,
        candidates: Sequence[Candidate],
        most: int = MOST_TRIALS,
        block_share: float = 1.0,
    ):
        self.goal, self.candidates, self.most = goal, list(candidates), most
        self._blocks = min(BLOCKS, max(COARSE, COARSE * round(block_share / COARSE)))
        self.results: dict[Candidate, Measured] = {}
        self._second_chances = SECOND_CHANCES

    @property
    def trials(self) -> int:
        return len(self.results)

    def record(self, candidate: Candidate, measured: Measured) -> None:
        self.results[candidate] = measured

    def next_trial(self) -> Candidate | None:
        """The setting to measure next; None where the search is over."""
        if self.trials >= self.most or not self.candidates:
            return None
        return self._towards_psnr() if self.goal.kind == "psnr" else self._towards_speedup()

    def best(self) -> tuple[Candidate, Measured] | None:
        """What to recommend: of what meets the goal the best, else what comes closest to it.

        Nothing that was tried does as little work and is closer, nor as close with less work.
        """
        meeting = {each: found for each, found in self.results.items() if self.met(found)}
        wants_less_work = (self.goal.kind == "psnr") == bool(meeting)

        def worth(pair: tuple[Candidate, Measured]) -> tuple[float, float]:
            less_work, closeness = -pair[1].work, pair[1].decibels
            return (less_work, closeness) if wants_less_work else (closeness, less_work)

        return max((meeting or self.results).items(), key=worth, default=None)

    def met(self, measured: Measured) -> bool:
        """Whether a result meets the goal; a speed, by the work that was done."""
        reached = measured.decibels if self.goal.kind == "psnr" else measured.speedup_by_work
        return reached >= self.goal.value

    # -- as fast as possible, still this close ------------------------------------------------

    def _towards_psnr(self) -> Candidate | None:
        left = self._undecided(0.0)
        if not left and self._second_chances:
            self._second_chances -= 1
            return next(iter(self._undecided(NEAR_MISS_DB)), None)

        def ruled_out(candidate: Candidate) -> tuple[int, int]:
            if_met = sum(other.work >= candidate.work for other in left)
            if_missed = 1 + sum(candidate.reuses_no_more_than(other) for other in left)
            return min(if_met, if_missed), if_met + if_missed

        return max(left, key=ruled_out, default=None)

    def _undecided(self, slack_db: float) -> list[Candidate]:
        """Untried, less work than all that met it, no harsher than one that missed by more."""
        meeting = [found for found in self.results.values() if self.met(found)]
        least = min((found.work for found in meeting), default=math.inf)
        missing = [
            each
            for each, found in self.results.items()
            if found.decibels < self.goal.value - slack_db
        ]
        return [
            each
            for each in self.candidates
            if each not in self.results
            and each.work < least
            and not any(missed.reuses_no_more_than(each) for missed in missing)
        ]

    # -- this much faster, as close as possible -----------------------------------------------

    def _towards_speedup(self) -> Candidate | None:
        able = self._able(self._blocks) or self._able(1.0)
        if not able:  # out of reach: see how far the fastest gets
            fastest = min(self.candidates, key=lambda each: each.work)
            return None if fastest in self.results else fastest
        ends = [each for each in able if not any(o.reuses_no_more_than(each) for o in able)]
        untried = [each for each in ends if each not in self.results]
        if not untried:
            untried = [each for each in able if each not in self.results and self._promising(each)]
        return max(untried, key=lambda each: each.work, default=None)

    def _able(self, blocks: float) -> list[Candidate]:
        """What is fast enough where blocks take that share of the time."""
        most_work = 1 - (1 - 1 / self.goal.value) / blocks
        return [each for each in self.candidates if each.work <= most_work + TINY]

    def _promising(self, candidate: Candidate) -> bool:
        """Whether all that was tried and is gentler came near the best, so that this may be it."""
        best = self.best()
        assert best is not None, "asked only once something was tried"
        return all(
            found.decibels >= best[1].decibels - NEAR_BEST_DB
            for tried, found in self.results.items()
            if tried.reuses_no_more_than(candidate)
        )


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
        goal_met: Whether it was found; a speed, by the work that is done.
        confirmed: Whether the clock shows at least the speed that was looked for, too; None where
            the goal is another or was not met.
        candidate: The setting; None where no setting reuses anything.
        measured: What it gave.
        cached_runs: Trials made.
        runs_saved: Settings that needed no run, since their schedule was that of another.
        sentence: For people.
    """

    goal: Goal
    goal_met: bool
    confirmed: bool | None
    candidate: Candidate | None
    measured: Measured | None
    cached_runs: int
    runs_saved: int
    sentence: str


def recommend(search: Search, runs_saved: int) -> Recommendation:
    """The outcome of a search, finished or stopped."""
    best, counts = search.best(), (search.trials, runs_saved)
    if best is None:
        return Recommendation(search.goal, False, None, None, None, *counts, NOTHING)
    met, confirmed = search.met(best[1]), None
    if met and search.goal.kind == "speedup":
        confirmed = best[1].speedup >= search.goal.value
    words = (_found if met else _missed)(search, *best)
    return Recommendation(search.goal, met, confirmed, *best, *counts, words)


def psnr_text(psnr_db: float | None) -> str:
    """Such as "PSNR 31.2 dB", or that there is no difference."""
    return "no difference" if psnr_db is None else f"PSNR {psnr_db:.1f} dB"


def setting_text(candidate: Candidate) -> str:
    """Such as "threshold 0.045 with reuse interval 3"."""
    config = candidate.config
    return f"threshold {config.threshold:.6g} with reuse interval {config.reuse_interval:g}"


def speed_text(measured: Measured) -> str:
    """Such as "2.31× by work done, 2.25× by the clock"."""
    return f"{measured.speedup_by_work:.2f}× by work done, {measured.speedup:.2f}× by the clock"


def _found(search: Search, candidate: Candidate, measured: Measured) -> str:
    value, tried = search.goal.value, search.trials
    use = f"Use {setting_text(candidate)}: {speed_text(measured)}"
    if search.goal.kind == "psnr":
        asked, best = f"stay at {value:g} dB or closer", "it does the least work"
    else:
        asked, best = f"are at least {value:g}× as fast by work done", "it is the closest"
    only = f"Of the {tried} settings tried, {best} of those that {asked}."
    if tried == 1:
        only = "It is the only setting that was tried."
    doubt = ""
    if search.goal.kind == "speedup" and measured.speedup < value:
        doubt = (
            " The clock shows less: not all of the time is the blocks', or the machine was busy."
        )
    return f"{use}, with {psnr_text(measured.psnr_db)}. {only}{doubt}"


def _missed(search: Search, candidate: Candidate, measured: Measured) -> str:
    value = search.goal.value
    if search.goal.kind == "psnr":
        failed, best = f"No setting tried stays at {value:g} dB or closer.", "closest"
    else:
        failed, best = f"No setting tried is {value:g}× as fast.", "fastest"
    best = _of_those_tried(best, search)
    return (
        f"{failed} {setting_text(candidate)[0].upper()}{setting_text(candidate)[1:]} is {best}: "
        f"{speed_text(measured)}, with {psnr_text(measured.psnr_db)}."
    )


def _of_those_tried(which: str, search: Search) -> str:
    tried = search.trials
    return "the only one tried" if tried == 1 else f"the {which} of the {tried} settings tried"
