"""Block Caching: each block replays until its changes, measured beforehand, add up to too much.

    block b is replayed at step t while Σ change[b] since its last computed step < δ

So every block has a schedule of its own. Standard library only. Source: "Cache Me if You Can",
arXiv 2312.03209, Eq. 2-3; its scale and shift, which need training, are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..calibration import resampled
from ..knob import knob
from ..method import RunFacts, Span
from .schedule import Calibrated, Fixed, FixedSchedule, calibration_knob


@dataclass(frozen=True)
class BlockCachingConfig(Calibrated, FixedSchedule):
    """How Block Caching decides.

    Args:
        threshold: δ, up to which a block's changes may add up; 0 reuses nothing.
        calibration: Whose changes; see `bwcache.cache.calibration`.

    Raises:
        ConfigError: A setting is of the wrong kind or out of its bounds.
    """

    name = "block_caching"
    title = "Block Caching"
    about = "Gives each block a schedule of its own, from changes that were measured beforehand."
    source = "arXiv 2312.03209"

    threshold: float = knob(
        0.3,
        "number",
        "Change allowed",
        "How much change of a block may add up before it is computed again.",
        "δ: sum of the calibrated relative L1 changes of the block since it was computed.",
        basic=True,
    )
    calibration: str = calibration_knob()

    @property
    def only_measures(self) -> bool:
        return self.threshold == 0

    def kept(self, run: RunFacts) -> tuple[Span, ...]:
        return run.singly()

    def fixed(self, run: RunFacts) -> Fixed:
        found = self.measured(run)
        changes = resampled(found.nearest(run.num_steps)[1]["changes"], run.num_steps)
        blocks = [
            self._reused_by([row[min(b, len(row) - 1)] for row in changes])
            for b in range(run.num_blocks)
        ]
        reused = tuple(
            tuple(Span(b, b + 1) for b, steps in enumerate(blocks) if t in steps)
            for t in range(run.num_steps)
        )
        return Fixed(reused, found.said(run.num_steps))

    def _reused_by(self, changes: list[float]) -> set[int]:
        """The steps that a block is replayed in, from its change at each step."""
        reused, total = set(), 0.0
        for step, change in enumerate(changes):
            total += change
            if step and total < self.threshold:
                reused.add(step)
            else:
                total = 0.0
        return reused
