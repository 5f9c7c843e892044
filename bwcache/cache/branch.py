"""What one guidance branch keeps between steps: samples for the probes, replays for the spans."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence, Set
from dataclasses import dataclass

import torch

from .branch_difference import BranchDifference
from .call_forecast import CallForecast
from .chunks import Chunks
from .in_place import Held
from .method import Method, Probe, RunFacts
from .prediction import UNKNOWN, Prediction
from .probes import Samples, Shares
from .ranks import Ranks
from .rehearsal import Rehearsal
from .replay import REPLAYS, Residual

# probes of calls that are forecast, or estimated: what came against what stood ready
FORECAST, GUIDANCE = "forecast", "guidance"
CHUNKS = "chunks"  # before the first block, of each chunk of frames
# measured at the transformer, not at a block
CALL_PROBES = ("call_input", "call_output", "call_motion")
BLOCK_PROBES = ("output", "residual")  # measured behind a block; all others are its arguments
SAMPLE, REPORT = 1, 2  # behind a block: its output is sampled and nothing else; there is more to do


@dataclass(frozen=True)
class CallLayout:
    """Where a method looks at and takes part in one transformer's call.

    Args:
        facts: Of the run, with this transformer's number of blocks.
        probes: What is measured.
        kept: First block and the one behind the last of each span whose replay is kept.
        starting: For each block, which of the kept spans begin with it.
        ending: For each block, which of them end with it.
        before, behind: For each block, which probes (by place) measure there.
        adding: For each block, whether what it adds to its input is measured.
        entered: Whether a gate has to report a block that is about to run.
        left: What a gate does with a block that has run: nothing, `SAMPLE` or `REPORT`.
        behind_blocks, elsewhere: Probes (by place) that measure behind blocks, and the others.
    """

    facts: RunFacts
    probes: tuple[Probe, ...]
    kept: tuple[tuple[int, int], ...]
    starting: tuple[tuple[tuple[int, int], ...], ...]
    ending: tuple[tuple[tuple[int, int], ...], ...]
    before: tuple[tuple[int, ...], ...]
    behind: tuple[tuple[int, ...], ...]
    adding: tuple[bool, ...]
    entered: tuple[bool, ...]
    left: tuple[int, ...]
    behind_blocks: tuple[int, ...]
    elsewhere: tuple[int, ...]

    @property
    def call_probes(self) -> tuple[Probe, ...]:
        """Those that measure the transformer's own input or output."""
        return tuple(probe for probe in self.probes if probe.of in CALL_PROBES)

    @classmethod
    def of(cls, method: Method, facts: RunFacts) -> CallLayout:
        """The layout of a method on a transformer."""
        count = facts.num_blocks
        probes = method.probes(facts)
        blocks = method.site != "call"
        spans = {span.of(count) for span in method.kept(facts) if blocks}
        kept = tuple(sorted((start, stop) for start, stop in spans if start < stop))
        starts, ends, at = defaultdict(list), defaultdict(list), defaultdict(list)
        for span in kept:
            starts[span[0]].append(span)
            ends[span[1] - 1].append(span)
        for place, probe in enumerate(probes):
            if probe.of not in (*CALL_PROBES, FORECAST, GUIDANCE, CHUNKS):
                for block in probe.blocks:
                    at[block, probe.of in BLOCK_PROBES].append(place)
        starting = tuple(tuple(starts.get(i, ())) for i in range(count))
        ending = tuple(tuple(ends.get(i, ())) for i in range(count))

        def leaving(block: int) -> int:
            if block == count - 1 or ending[block] or adding[block] or len(behind[block]) > 1:
                return REPORT
            if any(probes[place].first_branch for place in behind[block]):
                return REPORT
            return SAMPLE if behind[block] else 0

        before = tuple(tuple(at.get((i, False), ())) for i in range(count))
        behind = tuple(tuple(at.get((i, True), ())) for i in range(count))
        adding = tuple(any(probes[p].of == "residual" for p in places) for places in behind)
        return cls(
            facts,
            probes,
            kept,
            starting,
            ending,
            before,
            behind,
            adding,
            tuple(i == 0 or bool(starting[i] or before[i] or adding[i]) for i in range(count)),
            tuple(leaving(i) for i in range(count)),
            tuple(p for p, probe in enumerate(probes) if probe.of in BLOCK_PROBES),
            tuple(p for p, probe in enumerate(probes) if probe.of not in BLOCK_PROBES),
        )


class Branch:
    """The memory of one guidance branch.

    Args:
        method: What is kept depends on it.
        layout: Of the transformer that the branch belongs to.
        alternating: Whether neighbouring blocks see frames and tokens the other way round (see
            `BlockStack`).
        ranks: The processes that share the transformer's calls.
        prediction: What the calls predict.
        rehearsal: Of the scheduler that makes something of them.
    """

    def __init__(
        self,
        method: Method,
        layout: CallLayout,
        alternating: bool = False,
        ranks: Ranks | None = None,
        prediction: Prediction = UNKNOWN,
        rehearsal: Rehearsal | None = None,
    ):
        self.shape: tuple[int, ...] = ()  # of the latents that its last calls were given
        self.samples = [Samples(p.tokens, p.metric, p.against) for p in layout.probes]
        self.numbers: list[torch.Tensor | None] = [None for _ in layout.probes]
        self.call: CallForecast | None = None
        if method.site == "call" and method.kept(layout.facts):
            correction = method.forecast_correction(layout.facts)
            self.call = CallForecast(
                *(prediction, layout.facts.levels, method.forecast_reach, correction),
                rehearsal.moves if rehearsal is not None and correction else (),
            )
        estimates = method.guidance != "unused"
        self.difference = BranchDifference() if estimates else None
        self.chunks: Chunks | None = None
        if method.site == "chunks":
            keeping = not method.only_measures
            self.chunks = Chunks(method.frames_per_chunk, layout.facts.num_blocks, keeping)
        kind = REPLAYS[method.replay]
        self.replays: dict[tuple[int, int], Residual] = {
            (start, stop): kind(alternating and (stop - 1 - start) % 2 == 1, ranks)
            for start, stop in layout.kept
        }
        self.entering = {i: Held() for i, adding in enumerate(layout.adding) if adding}

    @property
    def replay_tensors(self) -> list[torch.Tensor]:
        """What the replays keep."""
        kept = [x for replay in self.replays.values() for x in replay.tensors]
        for each in (self.call, self.difference, self.chunks):
            kept += [] if each is None else each.tensors
        return kept

    @property
    def sample_tensors(self) -> list[torch.Tensor]:
        """What the probes keep."""
        return [x for samples in self.samples for x in samples.tensors]

    def begin_call(self, shares: Shares | None = None) -> None:
        """A call of the transformer begins; see `Shares`."""
        for samples in self.samples:
            samples.begin(shares)

    def added(
        self, index: int, output: torch.Tensor, feature: int, ranks: Ranks | None
    ) -> torch.Tensor:
        """What a block added to its input; not a number where it altered the input itself.

        Args:
            index: The block, whose input was kept in `entering`.
            output: Its measured stream, behind it.
            feature: Which of the streams that is.
            ranks: The processes that share the call.
        """
        entered = self.entering[index]
        if entered.altered((output,)):
            return output * math.nan
        before = entered.tensors[feature] if entered.tensors else None
        if ranks is not None and before is not None:
            before = ranks.part(before, output)
        assert before is not None
        return output - before

    def settle(self, places: Sequence[int], probes: Sequence[Probe], replayed: Set[int]) -> None:
        """A call is over: read what has not been read, and keep what later calls compare with.

        Args:
            places: The probes that are done.
            probes: All of the layout.
            replayed: The blocks that did not run.
        """
        for place in places:
            probe, samples = probes[place], self.samples[place]
            whole = probe.of not in BLOCK_PROBES or replayed.isdisjoint(probe.blocks)
            self.numbers[place] = samples.read() if whole else None
            samples.settle(whole and (probe.against != "computed" or not replayed))
