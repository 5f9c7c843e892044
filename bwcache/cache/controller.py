"""One pipeline's caching state: asks the method, measures, replays and records, in order.

Knows no method: no formula, threshold or trigger stands here. What holds for every method does:
one plan a step for all guidance branches, all videos of a batch and all processes that share it;
what `ask.py` guards; a span that was not kept or that has another shape is computed, with the
reason; a step beyond the plan of the run is computed; each expert decides for itself, by its own
steps; whatever another expert or an earlier run kept is gone.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

import torch

from . import call_answers
from .ask import ask, start
from .branch import Branch, CallLayout
from .chunks import Chunks, Part
from .in_place import Tensors
from .measuring import places_of, read_early, read_step, settle_blocks, settle_elsewhere, take
from .method import Method, Plan, RunFacts, Site
from .probes import Shares
from .run_state import Call, Expert, RunPlan, RunState, model_of
from .sampling import Parts
from .step_records import record_of, remembered
from .stopwatch import Stopwatch, synchronise
from .trace import StepRecord, Trace

StepCallback = Callable[[StepRecord, torch.Tensor | None], None]
RUN, PASS, GIVE = 0, 1, 2  # what a block does in the running call


class Controller:
    """One pipeline's caching state, over any number of runs.

    Args:
        methods: What decides: one for all of the pipeline's transformers, or one for each.
        on_step: Called after every step with its record and the new latents; what it raises ends
            the run.
        interrupted: Whether the pipeline has been told to compute no further step.

    `entered`, `left`, `doing` and `weighing` are what the gates read: whether block i is reported
    before it runs, what is done after it ran, whether it runs, is passed by, or gives a replay, and
    whether it is not known yet how much work each module is. `part` is set in a call that computes
    some chunks of frames only.
    """

    def __init__(
        self,
        methods: Method | Sequence[Method],
        on_step: StepCallback | None = None,
        interrupted: Callable[[], bool] = lambda: False,
    ):
        self.methods = (methods,) if isinstance(methods, Method) else tuple(methods)
        self._on_step, self._interrupted = on_step, interrupted
        self.traces: list[Trace] = []
        self.reset()

    def reset(self) -> None:
        """Forget the running run: free every tensor, start again at step 0."""
        self.branches: dict[tuple[str | None, int], Branch] = {}
        self.entered: list[bool] = []
        self.left: tuple[int, ...] = ()
        self.doing: list[int] = []
        self.site: Site = _gated_site(self.methods[0])
        self.weighing = False
        self.part: Part | None = None
        self._branch: Branch | None = None
        self._run: RunState | None = None

    def free(self) -> None:
        """Free every tensor, but go on counting steps: nothing more is to be computed."""
        self.branches, self._branch, self.doing, self.part = {}, None, [], None
        if self._run is not None:
            self._running.call = None
            self._running.first_branch.begin_step()

    # -- what is reported to it, in this order --------------------------------------------------

    def begin_call(self, call: Call, plan: Callable[[], RunPlan]) -> None:
        """A transformer is about to be called; the first call of a step decides for all."""
        if self._run is None:
            self._begin_run(call, plan())
        run = self._running
        self._end_call()
        if run.started is None:
            synchronise(run.plan.device)
            run.started = time.perf_counter()
        switched = run.call is None or run.current.owner is not call.owner
        first = not run.calls or switched
        if switched:
            self._take_over(call)
        run.call, run.first_call = call, first
        if first:
            run.ran, run.refusal, run.spans = [False] * call.num_blocks, None, {}
            run.first_branch.begin_step()
            self._ask(None, run.turn.numbers)
        key = (call.context, run.calls[call.context])
        run.calls[call.context] += 1
        run.in_call, run.reached, run.giving, self.part = True, False, {}, None
        if run.over:  # nothing would ever be made of what is measured or kept here
            self.doing, self._branch = [], None
            return
        if key not in self.branches or self._split_anew(key, call):
            self.branches[key] = Branch(
                *(run.turn.method, run.layout, call.alternating, call.ranks),
                *(run.plan.prediction, run.plan.rehearsal),
            )
            self.branches[key].shape = call.shape
        self._branch = self.branches[key]
        self._turn.begin_call(self._shares(call))
        self.doing = [RUN] * call.num_blocks

    @property
    def answers_calls(self) -> bool:
        """Whether the running call is of a method that answers whole calls."""
        return self._branch is not None and call_answers.answers(self._branch)

    def answer_call(self, given: Sequence[torch.Tensor]) -> Any | None:
        """What the running call is answered with instead of being made; None where it is made.

        Args:
            given: The tensors that it is given, the latents first.
        """
        run, adds_noise = self._running, self.traces[-1].adds_noise
        answer = call_answers.answer(run, self._turn, given, adds_noise)
        if answer is not None:  # none of its blocks runs
            self.doing, run.reached = [PASS] * len(self.doing), True
        return answer

    def call_returned(self, output: Any) -> Any | None:
        """The running call was made, and returned this; what it is to return instead, or None."""
        all_ran = all(doing == RUN for doing in self.doing)
        run, branch = self._running, self._turn
        found = call_answers.returned(run, branch, output, all_ran)
        if found.miss is not None:
            for place in places_of(run, found.probe):
                for each in found.miss:
                    take(run, branch, place, each)
        return found.instead

    def weigh(self, index: int, operations: float) -> None:
        """How much work a module is; see `weighing`."""
        self._running.turn.work[index] = operations

    @property
    def chunks(self) -> Chunks | None:
        """The running call's chunks of frames, where the method reuses them one by one."""
        return None if self._branch is None or not self.doing else self._branch.chunks

    @property
    def unreached(self) -> bool:
        """Whether the running call has ended without any of its blocks."""
        run = self._run
        return run is not None and run.in_call and bool(self.doing) and not run.reached

    def measure_call(self, of: str, features: torch.Tensor) -> None:
        """The transformer's input or output, for the probes that want it."""
        run = self._running
        if self._branch is None:
            return
        for place in places_of(run, of):
            take(run, self._turn, place, features)

    def passes_stack(self, inputs: Tensors) -> bool:
        """Whether the whole stack is replayed in this call; asked before any block of it."""
        run = self._running
        self._reach()
        whole = (0, len(self.doing))
        if self.doing[0] != RUN:
            return True
        if run.decision.until is None and run.spans.get(0) == whole:
            self._enter_span(whole, inputs)
        if self.doing[0] == RUN and not run.block_time.running:
            run.block_time.start()
        return self.doing[0] != RUN

    def before(
        self, index: int, inputs: Callable[[], Tensors], argument: Callable[[str], torch.Tensor]
    ) -> None:
        """A block is about to run, or to be passed by.

        Args:
            index: Its place in the call.
            inputs: Gives its streams.
            argument: Gives the argument of that name.
        """
        run, layout = self._running, self._running.layout
        self._reach()
        for place in layout.before[index]:
            probe = layout.probes[place]
            if run.first_call or not probe.first_branch:
                # what the first block is given is not split yet
                part = probe.of == run.current.feature and index > 0
                take(run, self._turn, place, argument(probe.of), part)
        seen: dict[str, tuple[float, ...]] = {}
        if not index and (chunks := self.chunks) is not None:
            run.indicator_time.start()
            seen = chunks.begin(inputs(), run.current.timestep, run.current.owner, run.first_call)
            run.indicator_time.stop()
            run.read_early.update(seen)
        if run.first_call and run.decision.until == index:
            all_ran = all(doing == RUN for doing in self.doing)
            self._ask(index, {**seen, **read_early(run, self._turn, all_ran)})
        if self.doing[index] != RUN:
            return
        if (span := run.spans.get(index)) is not None:
            self._enter_span(span, inputs())
        if self.doing[index] != RUN:
            return
        if not run.block_time.running:
            run.block_time.start()
        if run.decision.chunks and not index and self.chunks is not None:
            replay = self._turn.replays[0, len(self.doing)]
            entered = self.chunks.enter(run.decision.chunks, replay, inputs(), argument)
            if isinstance(entered, Part):
                self.part = entered
            else:  # all are computed, in all branches to come
                run.refusal, run.decision = entered, replace(run.decision, chunks=())
        for span in layout.starting[index]:
            self._turn.replays[span].compute(inputs())
        if layout.adding[index]:
            self._turn.entering[index].put(inputs())

    def sample(self, index: int, features: torch.Tensor) -> None:
        """A block has run of which nothing is wanted but a sample of its output.

        Most blocks of a measured step come here: what is done for each costs a small model time.
        """
        run = self._running
        (place,) = run.layout.behind[index]
        take(run, self._turn, place, features, part=True)

    @torch.no_grad()
    def after(
        self,
        index: int,
        inputs: Callable[[], Tensors],
        streams: Tensors,
        feature: int,
        lent: bool = False,
    ) -> None:
        """A block has run.

        Args:
            index: Its place in the call.
            inputs: Gives the streams that went in.
            streams: What it returned.
            feature: Which of the streams is measured.
            lent: Whether they lie in memory that is written into again, see `Residual.leave`.
        """
        run, layout = self._running, self._running.layout
        if not run.reached:
            self._reach()
        for place in layout.behind[index]:
            probe = layout.probes[place]
            if run.first_call or not probe.first_branch:
                features = streams[feature]
                if probe.of == "residual":
                    features = self._turn.added(index, features, feature, run.current.ranks)
                    for span in layout.starting[index + 1] if index + 1 < len(self.doing) else ():
                        self._turn.replays[span].follow_lead(features)
                take(run, self._turn, place, features, part=True)
        if layout.adding[index]:
            self._turn.entering[index].drop()
        for span in layout.ending[index]:
            if any(self.doing[span[0] : span[1]]):  # what came out is partly a replay itself
                self._turn.replays[span].drop()
            else:
                self._turn.replays[span].leave(streams, run.level, lent)
        if index == len(self.doing) - 1:
            settle_blocks(self._running, self._turn, self._replayed())

    def replay(self, index: int, passed_by: Tensors) -> Tensors:
        """What a span would give, were it not passed by; asked at its last block."""
        span = self._running.giving[index]
        given = self._turn.replays[span].give(passed_by, self._running.level)
        if index == len(self.doing) - 1 and self._running.block_time.running:
            settle_blocks(self._running, self._turn, self._replayed())
        return given

    def end_step(self, timestep: float | None, latents: torch.Tensor | None) -> None:
        """The scheduler has stepped: read the measurements, once, and record the step."""
        run = self._run
        if run is None or not run.calls:
            return
        if run.call is None:  # freed meanwhile
            run.calls = Counter()
            return
        if not run.step and isinstance(latents, torch.Tensor) and latents.ndim:
            run.videos = latents.shape[0]
        if not run.step:
            call_answers.check_branches(self.methods, self.branches.values())
        run.indicator_time.start()
        self._end_call()
        run.first_branch.begin_step()
        numbers = read_step(run, self.branches.values())
        run.indicator_time.stop()
        synchronise(run.plan.device)
        now = time.perf_counter()
        expert, record = run.turn, record_of(run, now - run.started, timestep, numbers)
        expert.numbers = {name: each for name, each in numbers.items() if each}
        branches = max(self.traces[-1].branches or 0, sum(run.calls.values()))
        run.step, run.calls, run.read_early = run.step + 1, Counter(), {}
        run.evaluations = run.evaluated = 0
        trace = self.traces[-1]
        self.traces[-1] = replace(
            trace, steps=(*trace.steps, record), branches=branches, **remembered(run)
        )
        if self._on_step is not None:
            self._on_step(record, latents)
        if self._run is not run:  # reset from within
            return
        if run.over or self._interrupted():
            self.free()  # decoding may need the memory
        run.started = time.perf_counter()

    def note_noise(self) -> None:
        """The scheduler draws noise of its own."""
        if self.traces:
            self.traces[-1] = replace(self.traces[-1], adds_noise=True)

    @property
    def idle(self) -> bool:
        """Whether no run is under way."""
        return self._run is None

    @property
    def between_steps(self) -> bool:
        """Whether the next call of a transformer is the first of a step, or of a run."""
        return self._run is None or not self._running.calls

    def set_back(self, seconds: float) -> None:
        """Leave out so many seconds of the running step, which something else has taken."""
        if self._run is not None and self._running.started is not None:
            self._running.started += seconds

    @property
    def in_first_step(self) -> bool:
        """Whether a run's first step is under way."""
        return self._run is not None and not self._running.step and bool(self._running.calls)

    @property
    def is_over(self) -> bool:
        """Whether a run has made all of its steps."""
        return self._run is not None and self._running.over

    @property
    def device(self) -> torch.device | None:
        """Where the run computes."""
        return None if self._run is None else self._running.plan.device

    @property
    def measures_calls(self) -> bool:
        """Whether a probe wants the transformer's own input or output."""
        return self._branch is not None and bool(self._running.layout.call_probes)

    @property
    def _running(self) -> RunState:
        """The run under way; asked only where there is one."""
        assert self._run is not None
        return self._run

    @property
    def _turn(self) -> Branch:
        """The guidance branch whose call is running; asked only inside one."""
        assert self._branch is not None
        return self._branch

    # -- inside ---------------------------------------------------------------------------------

    def _begin_run(self, call: Call, plan: RunPlan) -> None:
        self._run = RunState(plan, Stopwatch(plan.device), Stopwatch(plan.device), len(plan.levels))
        method = self.method_of(call.expert)
        self.traces.append(
            Trace(
                len(plan.levels),
                call.num_blocks,
                method.as_dict(),
                method=method.name,
                noise=plan.prediction.shares,
            )
        )

    def method_of(self, expert: int) -> Method:
        """Which method decides for one of the pipeline's transformers."""
        return self.methods[min(expert, len(self.methods) - 1)]

    def _take_over(self, call: Call) -> None:
        """Another transformer's turn: no tensor of the last one may stay."""
        run = self._running
        self.branches, self._branch = {}, None
        if call.expert not in run.experts:
            levels, method = tuple(run.plan.levels), self.method_of(call.expert)
            model, noise = model_of(call.owner), run.plan.prediction.shares
            facts = RunFacts(
                len(levels), call.num_blocks, levels, run.step, model, call.parts, noise
            )
            layout = CallLayout.of(method, facts)
            work = [0.0 if call.parts else 1.0] * call.num_blocks
            run.experts[call.expert] = Expert(method, start(method, facts), layout, work)
        run.expert = run.experts[call.expert]
        self.weighing = not all(run.expert.work)
        self.entered, self.left = list(run.layout.entered), run.layout.left
        self.site = _gated_site(run.expert.method)

    def _shares(self, call: Call) -> Shares | None:
        """Whose the call's rows are; None where one video and one process are all there is."""
        videos = self._running.videos if call.rows % self._running.videos == 0 else 1
        if call.ranks is None:
            return None if videos == 1 else Shares(videos, call.rows // videos)
        split = self._running.split
        parts = split.setdefault((call.expert, call.shape), Parts(call.ranks))
        return Shares(videos, call.rows // videos, parts)

    def _split_anew(self, key: tuple[str | None, int], call: Call) -> bool:
        """Whether tokens are split otherwise than in the branch's last call.

        A process whose own part has kept its length would reuse it where the others compute.
        """
        return call.ranks is not None and self.branches[key].shape != call.shape

    def _reach(self) -> None:
        """A block of the running call has been reached, which is the transformer's own."""
        run = self._running
        if not run.reached:
            run.current.check()
            run.reached = True

    def _ask(self, block: int | None, numbers: Mapping[str, Sequence[float]]) -> None:
        """Ask the method for the step's plan, or for what follows from a block on."""
        run = self._running
        plan, run.turn.asked = ask(run.turn.asked, run.step, block, numbers)
        if run.current.ranks is not None:  # a method may look at a clock, or draw lots
            plan = run.current.ranks.first(plan)
        count, first = run.layout.facts.num_blocks, block or 0
        if run.over:
            plan, run.refusal = Plan(), f"step {run.step + 1} of {run.num_steps}"
        earlier = {s: span for s, span in run.spans.items() if s < first}
        planned = [span.of(count) for span in plan.reused]
        run.spans = earlier | {s: (s, stop) for s, stop in planned if first <= s < stop}
        run.decision = plan
        for reporting in (*run.spans, *([] if plan.until is None else [plan.until])):
            if reporting < count:
                self.entered[reporting] = True

    def _enter_span(self, span: tuple[int, int], inputs: Tensors) -> None:
        """Pass a span by, where that can be; else it is computed, in all branches to come."""
        run, kept = self._running, self._turn.replays.get(span)
        refusal = "this span is not kept" if kept is None else kept.refusal(inputs)
        if refusal is not None:
            run.refusal = refusal
            del run.spans[span[0]]
            return
        kept.skip(inputs)
        first, stop = span
        self.doing[first : stop - 1] = [PASS] * (stop - 1 - first)
        self.doing[stop - 1] = GIVE
        run.giving[stop - 1] = span

    def _replayed(self) -> Set[int]:
        """The blocks that do not run in this call."""
        doing = self.doing
        return {i for i, each in enumerate(doing) if each != RUN} if any(doing) else frozenset()

    def _end_call(self) -> None:
        """Account for the call that is over, if one is."""
        run = self._running
        if not run.in_call:
            return
        run.in_call = False
        run.block_time.stop()  # where the last block never ran
        if self._branch is not None:
            settle_elsewhere(run, self._branch, self._replayed())
        if self.doing:
            work = run.turn.work
            self.weighing = not all(work)
            run.evaluations += sum(work)
            ran = sum(each for each, d in zip(work, self.doing, strict=True) if d == RUN)
            run.evaluated += ran * (1.0 if self.part is None else self.part.share)
            self.part = None
        if any(self.doing):
            run.ran = [r or d == RUN for r, d in zip(run.ran, self.doing, strict=True)]
        else:
            run.ran = [True] * len(run.ran)


def _gated_site(method: Method) -> Site:
    """Which gates work for a method: where whole calls are passed by, the blocks' ones watch."""
    return "modules" if method.site == "modules" else "blocks"
