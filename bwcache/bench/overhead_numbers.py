"""From measured seconds to the numbers of `bench overhead`. Standard library only.

Ratios are taken within a round, where the arms ran minutes apart at most, and then the median over
rounds: a machine that others share slows whole rounds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Round:
    """One run of each arm; denoising seconds.

    Args:
        plain: No hooks at all.
        measured: The indicator only, nothing reused.
        paper_style: The indicator as the paper describes it, done the plain way.
        cached: With reuse.
        indicator: The part of `measured` that the run itself counts as measuring.
        block_step: In transformer blocks, for one computed step; from the measured run.
        reused: Steps that the cached run reused.
    """

    plain: float
    measured: float
    paper_style: float
    cached: float
    indicator: float
    block_step: float
    reused: int


def spread(name: str, values: Iterable[float | None]) -> dict[str, float | None]:
    """`name_median`, `name_min` and `name_max` of the values that are numbers."""
    known = [value for value in values if value is not None]
    found = {"median": median, "min": min, "max": max}
    return {f"{name}_{key}": f(known) if known else None for key, f in found.items()}


def ideal_speedup(plain: float, block_step: float, reused: int) -> float | None:
    """How much faster a run would be if a reused step cost all that it does but its blocks.

    Args:
        plain: Seconds of the uncached run.
        block_step: Seconds in transformer blocks of one step.
        reused: Steps whose blocks are passed by.

    Returns:
        None where the blocks are said to take as long as the whole run, or longer.
    """
    left = plain - reused * block_step
    return plain / left if left > 0 else None


def efficiency(one: Round) -> float | None:
    """The measured speed-up as a share of the ideal one of the same schedule."""
    ideal = ideal_speedup(one.plain, one.block_step, one.reused)
    return None if ideal is None else one.plain / one.cached / ideal


def relative_cost(plain: float, ours: float, theirs: float) -> float | None:
    """What ours adds to the plain seconds, as a share of what theirs adds; None if that is 0."""
    return (ours - plain) / (theirs - plain) if theirs > plain else None


def overhead_numbers(rounds: Sequence[Round]) -> dict[str, float | int | None]:
    """Every number of `bench overhead` that comes from its rounds."""
    plain, measured, paper = (
        median(getattr(one, arm) for one in rounds) for arm in ("plain", "measured", "paper_style")
    )
    return {
        "rounds": len(rounds),
        **spread("ratio", [one.measured / one.plain for one in rounds]),
        **spread("paper_style_ratio", [one.paper_style / one.plain for one in rounds]),
        "cost_vs_paper_style": relative_cost(plain, measured, paper),
        **{f"efficiency{end}": value for end, value in _efficiencies(rounds).items()},
        "speedup_median": median(one.plain / one.cached for one in rounds),
        "ideal_speedup_median": spread(
            "ideal", [ideal_speedup(one.plain, one.block_step, one.reused) for one in rounds]
        )["ideal_median"],
        "plain_seconds_median": plain,
        "measured_seconds_median": measured,
        "paper_style_seconds_median": paper,
        "cached_seconds_median": median(one.cached for one in rounds),
        "indicator_seconds_median": median(one.indicator for one in rounds),
        "block_seconds_per_step_median": median(one.block_step for one in rounds),
    }


def _efficiencies(rounds: Sequence[Round]) -> dict[str, float | None]:
    found = spread("", [efficiency(one) for one in rounds])
    return {"": found["_median"], "_min": found["_min"], "_max": found["_max"]}
