"""Static step masks: steps chosen by a pattern, dense at the start, with longer and longer gaps.

Standard library only. The patterns are cache-dit's "steps computation masking", written for 28
steps and stretched to a run's number here. A mask of one's own is every method's `step_mask`.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..calibration import resampled
from ..knob import knob
from ..method import RunFacts
from .schedule import Fixed, FixedSchedule

# steps computed and then replayed, in turns
PATTERNS = {
    "off": (28,),
    "slow": (8, 1, 3, 2, 3, 2, 2, 2, 1, 3, 1),
    "medium": (6, 1, 2, 3, 2, 3, 2, 3, 2, 3, 1),
    "fast": (6, 1, 1, 3, 1, 4, 1, 5, 1, 4, 1),
    "ultra": (4, 2, 1, 5, 1, 6, 1, 7, 1),
}


@dataclass(frozen=True)
class StepsMaskConfig(FixedSchedule):
    """Which pattern.

    Args:
        pattern: "slow", "medium", "fast" or "ultra", which compute 18, 15, 11 and 8 of 28 steps;
            "off" reuses nothing.

    Raises:
        ConfigError: There is no such pattern.
    """

    name = "steps_mask"
    title = "Step mask"
    about = "Computes steps by a fixed pattern: dense at the start, with growing gaps."
    source = "cache-dit's steps computation masking"

    pattern: str = knob(
        "medium",
        "choice",
        "Pattern",
        "How many steps are computed.",
        "Of 28 steps slow computes 18, medium 15, fast 11 and ultra 8.",
        choices=[
            ("off", "off"),
            ("slow", "slow"),
            ("medium", "medium"),
            ("fast", "fast"),
            ("ultra", "ultra"),
        ],
        basic=True,
    )

    @property
    def only_measures(self) -> bool:
        return self.pattern == "off"

    def fixed(self, run: RunFacts) -> Fixed:
        turns = enumerate(PATTERNS[self.pattern])
        mask = [place % 2 == 0 for place, count in turns for _ in range(count)]
        runs = resampled(mask, run.num_steps)
        return Fixed.of_steps({t for t, computes in enumerate(runs) if computes}, run.num_steps)
