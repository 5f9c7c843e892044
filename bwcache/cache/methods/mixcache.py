"""MixCache-style: between computed steps, each step reuses at the granularity that costs least.

    step       the residual of every block is replayed, in every guidance branch
    guidance   the later branches are estimated: first + their last difference from it
    block      the blocks that changed least are replayed, the others run

Each computed step shows how far each would have been off: how much the transformer's output changed
in a step, by how much the estimate of the second branch missed, how much the residuals of the
blocks in question changed. Picked is the least distance × impact; an impact says how much the video
suffers from a distance at this granularity, and the one picked last is charged a penalty, so that
errors of one kind do not pile up. The interval between computed steps grows by one where the output
changes less than at the computed step before, and shrinks where it changes more.

Standard library only. Source: arXiv 2508.12691 after its description; constants are not published
there in full, so these are ours, measured on TinyWorld (see the page).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ...errors import ConfigError
from ..knob import ROUNDING, knob
from ..method import Guidance, Method, Plan, Probe, RunFacts, Seen, Span
from .schedule import warm_up_knob, whole

CHANGE, MISS, BLOCKS = "change", "guidance_miss", "residual_change"
GRANULARITIES = ("step", "guidance", "block")
IMPACTS = (1.0, 0.6, 0.5)
SHORTEST, TOKENS = 2, 1024


@dataclass(frozen=True)
class MixCacheState:
    """What the decision remembers of a run.

    Args:
        num_blocks: N.
        interval: Steps from one computed step to the next, as it is now.
        since: Steps since the last computed one; None before there is any.
        first_at, all_at: The last step that was measured in the first branch, and in all of them.
        output: How much the output changed in a step, last seen.
        before: The same at the computed step before.
        guidance: By how much the estimate missed, for each step that it spanned.
        blocks: How much each block's residual changed in a step.
        picked: What the last step reused, if it did.
    """

    num_blocks: int
    interval: int
    since: int | None = None
    first_at: int | None = None
    all_at: int | None = None
    output: float | None = None
    before: float | None = None
    guidance: float | None = None
    blocks: tuple[float, ...] | None = None
    picked: str | None = None


@dataclass(frozen=True)
class MixCacheConfig(Method):
    """How MixCache's decision is made.

    Args:
        period: N, the steps from one computed step to the next at first; 1 reuses nothing. It stays
            between 2 and twice this.
        deviation: Share by which the output's change may differ from that at the computed step
            before, without the interval growing or shrinking.
        block_share: Share of the blocks that are replayed at block granularity.
        impacts: What a distance of the step, of guidance and of blocks is multiplied by.
        penalty: What the granularity picked last is multiplied by once more.
        warm_up_steps: Steps at the start that are computed, a fifth.

    Raises:
        ConfigError: A setting is of the wrong kind or out of its bounds.
    """

    name = "mixcache"
    title = "MixCache-style"
    about = "Picks at each step what to reuse: the whole step, a guidance branch or some blocks."
    source = "arXiv 2508.12691"

    period: int = whole(
        3,
        "Period",
        "Every so many-th step is computed at first, the others reuse: higher is faster.",
        "N: steps from one computed step to the next; adapts between 2 and 2 N; 1 reuses nothing.",
        basic=True,
    )
    deviation: float = knob(
        0.25,
        "number",
        "Deviation",
        "How much the change may differ before the interval is adapted.",
        "β: share by which the output's change a step may rise or fall with the interval kept.",
    )
    block_share: float = knob(
        0.5,
        "number",
        "Replayed blocks",
        "How many blocks are replayed where blocks are.",
        "Share of the blocks that are replayed at block granularity, those that change least.",
        high=1,
    )
    impacts: tuple[float, ...] = knob(
        IMPACTS,
        "numbers",
        "Impacts",
        "How much each kind of reuse harms the video.",
        "Factors on the distances of step, guidance and block; measured on TinyWorld.",
    )
    penalty: float = knob(
        1.5,
        "number",
        "Penalty",
        "How much is charged for reusing in the same way twice.",
        "Factor on the granularity that was picked last; 1 charges nothing.",
        low=1,
    )
    warm_up_steps: int | float = warm_up_knob(0.2)

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.impacts) != len(GRANULARITIES) or min(self.impacts) < 0:
            raise ConfigError("impacts", self.impacts, "three numbers from 0")

    @property
    def only_measures(self) -> bool:
        return self.period == 1

    @property
    def guidance(self) -> Guidance:
        return "unused" if self.only_measures else "used"

    def probes(self, run: RunFacts) -> tuple[Probe, ...]:
        every = tuple(range(run.num_blocks))
        return (
            Probe(CHANGE, "call_output", (0,), tokens=TOKENS, first_branch=True),
            Probe(MISS, "guidance", (0,), "neighbour", tokens=TOKENS),
            Probe(BLOCKS, "residual", every, first_branch=True),
        )

    def kept(self, run: RunFacts) -> tuple[Span, ...]:
        return run.singly()

    def begin(self, run: RunFacts) -> MixCacheState:
        return MixCacheState(run.num_blocks, self.period)

    def decide(self, state: MixCacheState, seen: Seen) -> tuple[Plan, MixCacheState]:
        step = seen.step
        state = self._after(state, step - 1, seen.numbers)
        due = state.since is None or state.since + 1 >= state.interval
        scores = {} if due or seen.computed else self._scores(state)
        if not scores:
            reason = "computed by schedule" if due else "nothing to compare with yet"
            return Plan(reason=reason), replace(state, since=0, picked=None)
        picked = min(scores, key=lambda each: (scores[each], each))
        since = (state.since or 0) + 1
        state = replace(state, since=since, picked=picked)
        reason = f"{picked} granularity, an error of {scores[picked]:.3g} is expected"
        if picked == "guidance":
            return Plan(estimate=(1.0, 1.0), reason=reason), state
        chosen = range(state.num_blocks) if picked == "step" else self._least_changed(state)
        spans = tuple(Span(block, block + 1) for block in chosen)
        return Plan(spans, reason=reason), state

    # -- inside ----------------------------------------------------------------------------------

    def _scores(self, state: MixCacheState) -> dict[str, float]:
        """Distance × impact × penalty of each granularity that was measured."""
        blocks = self._least_changed(state)
        changes = [] if state.blocks is None else [state.blocks[block] for block in blocks]
        distances = (
            state.output,
            state.guidance,
            sum(changes) / len(changes) if changes else None,
        )
        return {
            name: distance * impact * (self.penalty if name == state.picked else 1.0)
            for name, distance, impact in zip(GRANULARITIES, distances, self.impacts, strict=True)
            if distance is not None
        }

    def _least_changed(self, state: MixCacheState) -> list[int]:
        """The blocks that are replayed at block granularity."""
        if state.blocks is None:
            return []
        count = math.floor(self.block_share * state.num_blocks + ROUNDING)
        changes = state.blocks
        return sorted(sorted(range(state.num_blocks), key=lambda block: changes[block])[:count])

    def _after(
        self, state: MixCacheState, step: int, numbers: Mapping[str, tuple[float, ...]]
    ) -> MixCacheState:
        """The state with what the last step measured; a computed one adapts the interval."""
        whole_step = state.picked is None
        if state.since is None or not (whole_step or state.picked == "guidance"):
            return state
        if CHANGE in numbers:
            gap = _gap(step, state.first_at)
            state = replace(state, output=numbers[CHANGE][0] / gap)
            if BLOCKS in numbers:
                state = replace(state, blocks=tuple(each / gap for each in numbers[BLOCKS]))
        if MISS in numbers:
            state = replace(state, guidance=numbers[MISS][0] / _gap(step, state.all_at))
        state = replace(state, first_at=step)
        return self._adapted(replace(state, all_at=step)) if whole_step else state

    def _adapted(self, state: MixCacheState) -> MixCacheState:
        """The state with the interval that follows a computed step."""
        interval, now, before = state.interval, state.output, state.before
        if now is not None and before:
            ratio = now / before
            interval += (ratio < 1 - self.deviation) - (ratio > 1 + self.deviation)
        interval = max(min(SHORTEST, self.period), min(interval, 2 * self.period))
        return replace(state, interval=interval, before=now)

    def facts(self, state: MixCacheState) -> dict[str, object]:
        return {"interval": state.interval}


def _gap(step: int, earlier: int | None) -> int:
    """Steps between two measurements; the earlier one was made in the warm-up where unknown."""
    return 1 if earlier is None else step - earlier
