"""FlowCache-style: each chunk of a video's frames is computed or reused by itself.

    Δₜ = ‖xₜ − xₜ₋₁‖₁ / ‖xₜ₋₁‖₁ of a chunk's tokens before the first block, from step to step
    Σ Δ since the chunk was computed < δ   → x + residual of that chunk; its blocks do not run

Standard library only. Source: arXiv 2602.10825, by its description; its second half, the
compression of kept keys and values, is left out. Where frames run behind one another (diffusion
forcing with `ar_step`) chunks that are done or have not begun are in the call, too; see
`FlowCacheConfig.decide`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..knob import knob, steps_of
from ..method import CHUNK_CHANGE, CHUNK_MOVES, WHOLE, Method, Plan, Probe, RunFacts, Seen, Site
from .schedule import warm_up_knob, whole


@dataclass(frozen=True)
class FlowCacheState:
    """What the decision remembers of a run.

    Args:
        warm_up: How many steps of its own a chunk is computed in before any is reused.
        totals: Of each chunk, the changes that have added up since it was computed.
    """

    warm_up: int
    totals: tuple[float, ...] = ()


@dataclass(frozen=True)
class FlowCacheConfig(Method):
    """How FlowCache decides.

    Args:
        threshold: δ, what may add up in a chunk before it is computed again; 0 reuses nothing.
        chunk_frames: Latent frames of a chunk, where the model is not set to causal blocks of
            frames (`causal_block_size`), which are the chunks else.
        warm_up_steps: Steps that are computed at the start of the run, and of each chunk's own.

    Raises:
        ConfigError: A setting is of the wrong kind or out of its bounds.
    """

    name = "flowcache"
    title = "FlowCache-style"
    about = "Replays each chunk of frames until its own change adds up; on SkyReels-V2."
    source = "arXiv 2602.10825; without compression of keys and values"

    threshold: float = knob(
        0.1,
        "number",
        "Threshold",
        "How much a chunk of frames may change before it is computed again.",
        "δ: sum of ‖Δx‖₁ / ‖x‖₁ of a chunk's tokens since it was last computed.",
        basic=True,
    )
    chunk_frames: int = whole(
        5,
        "Frames of a chunk",
        "How many latent frames are reused or computed together.",
        "Latent frames of a chunk; where the model has causal blocks of frames, those are chunks.",
    )
    warm_up_steps: int | float = warm_up_knob(5)

    @property
    def only_measures(self) -> bool:
        return self.threshold == 0

    @property
    def site(self) -> Site:
        return "chunks"

    @property
    def replay(self) -> str:
        return "chunks"

    @property
    def frames_per_chunk(self) -> int:
        return self.chunk_frames

    def probes(self, run: RunFacts) -> tuple[Probe, ...]:
        return (Probe(CHUNK_CHANGE, "chunks", (0,), "measured", tokens=None, first_branch=True),)

    def begin(self, run: RunFacts) -> FlowCacheState:
        return FlowCacheState(steps_of(self.warm_up_steps, run.num_steps))

    def decide(self, state: FlowCacheState, seen: Seen) -> tuple[Plan, FlowCacheState]:
        """Add up each chunk's change, and reuse those that may be.

        A chunk that has begun needs its warm-up behind it. One that has come to rest (frames that
        are done) is computed once more, so that the others attend to what it has become. One
        that has not begun may begin at any time once the chunk before it has: it is computed from
        then on, and before that nothing of it has changed.
        """
        if seen.block is None:
            return Plan(until=0, reason="the chunks are about to be seen"), state
        changes, moves = seen.numbers.get(CHUNK_CHANGE), seen.numbers.get(CHUNK_MOVES)
        if changes is None or moves is None:
            return Plan(reason="nothing to compare with yet"), replace(state, totals=())
        known = len(state.totals) == len(changes)
        before = state.totals if known else (0.0,) * len(changes)
        totals = tuple(x + y for x, y in zip(before, changes, strict=True))
        reused = tuple(
            i
            for i in range(len(totals))
            if not seen.computed and self._may_be(i, totals, changes, moves, state.warm_up)
        )
        kept = tuple(x if i in reused else 0.0 for i, x in enumerate(totals))
        after, count = replace(state, totals=kept), len(totals)
        if len(reused) == count:
            return Plan((WHOLE,), reason="no chunk of frames has changed much"), after
        if reused:
            which = ", ".join(str(i + 1) for i in reused)  # as people count
            return Plan(chunks=reused, reason=f"chunks reused: {which} of {count}"), after
        return Plan(reason="every chunk of frames has changed, or is to be computed"), after

    def _may_be(
        self,
        chunk: int,
        totals: tuple[float, ...],
        changes: tuple[float, ...],
        moves: tuple[float, ...],
        warm_up: int,
    ) -> bool:
        """Whether a chunk may be reused, by what was seen of all."""
        if totals[chunk] >= self.threshold:
            return False
        if moves[chunk] == 0:
            return chunk > 0 and moves[chunk - 1] == 0
        at_rest = changes[chunk] == 0
        return totals[chunk] == 0 if at_rest else moves[chunk] >= warm_up
