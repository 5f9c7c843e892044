"""QuantCache-style, without the quantisation: three stretches by change, and fewer blocks a step.

    HLC   the middle block's change per step, times how much the motion changes, is looked up:
          below half the threshold four steps lie between computed ones, below it two, else one
    SRAP  a block whose output is nearly that of the block before it is left out: it adds what it
          last added, in every other computed step; the steps between measure all blocks

Standard library only. Source: arXiv 2503.06545, whose thresholds are unpublished: these are ours.
It asks before each block and drops it; that would wait for the device at every block, so here the
last full step decides, and the residual is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..knob import knob
from ..method import Method, Plan, Probe, RunFacts, Seen, Span

CHANGE, NEIGHBOURS, MOTION, SIZE = "change", "neighbours", "motion", "prediction_size"
STRETCHES = ((0.5, 4), (1.0, 2))  # below this share of the threshold → steps ahead


@dataclass(frozen=True)
class QuantCacheState:
    """What the decision remembers of a run.

    Args:
        run: Its facts.
        asked: The step that was asked for last.
        computed: The last computed step.
        gap: Steps from the computed one before it to that.
        upcoming: The next computed step.
        motion: Of the prediction, at the last computed step.
        redundant: Blocks that the next partial step leaves out.
        full: Whether the last computed step ran all blocks.
    """

    run: RunFacts
    asked: int = -1
    computed: int = -1
    gap: int = 1
    upcoming: int = 0
    motion: float | None = None
    redundant: tuple[int, ...] = ()
    full: bool = True


@dataclass(frozen=True)
class QuantCacheConfig(Method):
    """How QuantCache's two caches decide.

    Args:
        threshold: Of the change per step, see above; 0 replays no whole step.
        prune_above: The cosine above which a block is left out; 1 leaves out none.

    Raises:
        ConfigError: A setting is of the wrong kind or out of its bounds.
    """

    name = "quantcache"
    title = "QuantCache-style"
    about = "Replays in stretches of three lengths, and leaves out blocks that change little."
    source = "arXiv 2503.06545; without quantisation"

    threshold: float = knob(
        0.1,
        "number",
        "Threshold",
        "How much change is put up with: higher is faster and less alike.",
        "HLC: change per step below which two steps lie between computed ones, four below half.",
        basic=True,
    )
    prune_above: float = knob(
        0.9,
        "number",
        "Blocks left out",
        "How alike a block's output must be to that of the block before to be left out.",
        "SRAP: cosine of neighbouring blocks' outputs; 1 leaves out none.",
        high=1,
    )

    @property
    def only_measures(self) -> bool:
        return self.threshold == 0 and self.prune_above == 1

    def probes(self, run: RunFacts) -> tuple[Probe, ...]:
        every = tuple(range(run.num_blocks))
        return (
            Probe(CHANGE, "residual", (run.num_blocks // 2,), "measured"),
            Probe(NEIGHBOURS, "output", every, "neighbour", "cosine"),
            Probe(MOTION, "call_motion", (0,), "measured", "size", tokens=None),
            Probe(SIZE, "call_output", (0,), "measured", "size", tokens=None),
        )

    def kept(self, run: RunFacts) -> tuple[Span, ...]:
        return run.singly()

    def begin(self, run: RunFacts) -> QuantCacheState:
        return QuantCacheState(run)

    def decide(self, state: QuantCacheState, seen: Seen) -> tuple[Plan, QuantCacheState]:
        if seen.step != state.asked + 1:  # it was not asked in the warm-up, which computes
            state = replace(state, computed=seen.step - 1, gap=1, upcoming=seen.step, full=True)
        if state.computed == seen.step - 1:
            state = self._measured(state, seen)
        state = replace(state, asked=seen.step)
        if not seen.computed and 0 < seen.step < state.upcoming:
            reason = f"step {state.upcoming + 1} is the next to compute"
            return Plan(state.run.singly(), reason=reason), state
        gap = seen.step - state.computed
        pruned = state.redundant if state.full and not seen.computed else ()
        spans = tuple(Span(block, block + 1) for block in pruned)
        reason = f"{len(spans)} blocks add little" if spans else "all blocks"
        return Plan(spans, reason=reason), replace(
            state, computed=seen.step, gap=gap, full=not spans
        )

    def _measured(self, state: QuantCacheState, seen: Seen) -> QuantCacheState:
        """The state with what the computed step before this one has shown."""
        motion, trend = state.motion, 1.0
        if MOTION in seen.numbers and seen.numbers.get(SIZE, (0.0,))[0] > 0:
            motion = seen.numbers[MOTION][0] / seen.numbers[SIZE][0]
            before = motion if state.motion is None else state.motion
            trend = 1 + abs(motion - before) / state.gap
        ahead = 1
        if CHANGE in seen.numbers:
            rate = seen.numbers[CHANGE][0] / state.gap * trend
            found = (steps for share, steps in STRETCHES if rate < share * self.threshold)
            ahead = next(found, 1)
        redundant = state.redundant
        if NEIGHBOURS in seen.numbers:
            middle = state.run.num_blocks // 2  # its change is what stretches are told by
            cosines = enumerate(seen.numbers[NEIGHBOURS], 1)
            alike = ((b, c) for b, c in cosines if self.prune_above < 1 and b != middle)
            redundant = tuple(b for b, c in alike if c > self.prune_above)
        return replace(state, upcoming=state.computed + ahead, motion=motion, redundant=redundant)
