"""Many comparisons: a search for the setting that meets a goal, and a plain sweep into a file.

Both are iterators over the comparisons that they make one after the other; the uncached run of a
prompt is made once. Closing either stops the comparison under way.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from statistics import fmean

from ..cache.methods.bwcache import Reuse
from ..models.progress import Loading
from ..runs.baselines import BaselineStore
from ..runs.compare import compare
from ..runs.events import ComparisonFinished, Event, RunFinished, StepDone
from ..runs.request import Request
from ..runs.video import filmstrip
from .candidates import Candidate, candidates
from .recommend import Recommendation, recommend
from .results_file import RowsFile, key
from .search import MOST_TRIALS, Goal, Measured, Search

Compare = Callable[..., Iterator[Event]]


@dataclass(frozen=True)
class BaselineStarted:
    """The uncached run begins, since none is remembered."""

    steps: int


@dataclass(frozen=True)
class SearchStarted:
    """The uncached run is known.

    Args:
        baseline: That run.
        remembered: Whether it was made earlier.
        candidates: How many settings there are to choose from, each with a schedule of its own.
        runs_saved: How many more settings need no run.
        most: Trials at most.
        strip: A WebP picture of the uncached video, 3 KiB at most.
    """

    baseline: RunFinished
    remembered: bool
    candidates: int
    runs_saved: int
    most: int
    strip: bytes | None


@dataclass(frozen=True)
class TrialStarted:
    """A trial begins. `seconds_left`: until the end, estimated, were every trial needed."""

    number: int
    candidate: Candidate
    seconds_left: float


@dataclass(frozen=True)
class Trial:
    """A trial is complete.

    Args:
        number: From 1.
        candidate: What was tried, with its predicted schedule.
        measured: What it gave.
        meets: Whether that meets the goal.
        summary: As in `summary.json`.
        strip: A WebP picture of the cached video, 3 KiB at most.
    """

    number: int
    candidate: Candidate
    measured: Measured
    meets: bool
    summary: dict[str, object]
    strip: bytes | None


@dataclass(frozen=True)
class SearchFinished:
    """The search is over. `summary` is that of the recommended trial; None where nothing ran."""

    recommendation: Recommendation
    baseline_runs: int
    summary: dict[str, object] | None


SearchEvent = (
    BaselineStarted | SearchStarted | TrialStarted | Loading | StepDone | Trial | SearchFinished
)


def search(
    request: Request,
    goal: Goal,
    compare: Compare = compare,
    store: BaselineStore | None = None,
    device: str | None = None,
    thresholds: Sequence[float] | None = None,
    intervals: Sequence[int | float] | None = None,
    methods: Sequence[Reuse] | None = None,
    most: int = MOST_TRIALS,
) -> Iterator[SearchEvent]:
    """Find the setting that meets a goal for a prompt.

    Args:
        request: The prompt and everything else; its threshold and interval do not matter.
        goal: What to look for.
        compare: As `bwcache.runs.compare.compare`.
        store: Where the uncached run is looked up and remembered.
        device: "cpu", "cuda"…; the best there is where None.
        thresholds, intervals, methods: To choose from; see `candidates.candidates`.
        most: Trials at most.

    Yields:
        `BaselineStarted` unless it is remembered, `SearchStarted`, for each trial `TrialStarted`
        and `Trial`, then `SearchFinished`; in between, what loading does, and the steps as they
        are done: anew after `Loading("retry")`.

    Raises:
        ConfigError: The model or the prompt cannot be used.
        ModelError: The model cannot be loaded or does not run here.
    """
    store = BaselineStore() if store is None else store
    request = replace(request, control=False)
    baseline = store.get(request)
    remembered = baseline is not None
    if baseline is None:
        yield BaselineStarted(request.steps)
        baseline = yield from _baseline(compare(request, store, device))
    choice, saved = candidates(baseline.trace, request.config, thresholds, intervals, methods)
    strip = filmstrip(baseline.frames)
    yield SearchStarted(baseline, remembered, len(choice), saved, most, strip)

    finder = Search(goal, choice, baseline.trace.net_seconds, most)
    around = max(0.0, baseline.total_seconds - baseline.trace.seconds)  # text and decoding
    summaries: dict[Candidate, dict[str, object]] = {}
    while (candidate := finder.next_trial()) is not None:
        usual = fmean([c.seconds for c in choice if c not in finder.results] or [0.0]) + around
        later = (most - finder.trials - 1) * usual
        yield TrialStarted(finder.trials + 1, candidate, candidate.seconds + around + later)
        asked = replace(request, config=candidate.config)
        finished = yield from _comparison(compare(asked, store, device))
        summary = finished.summary.as_dict()
        measured = Measured(
            *(summary[name] for name in ("cached_seconds", "speedup", "psnr_db", "ssim"))
        )
        finder.tell(candidate, measured)
        summaries.setdefault(candidate, summary)
        strip = filmstrip(finished.runs[1].frames)
        meets = finder.met(measured)
        yield Trial(finder.trials, candidate, measured, meets, summary, strip)
    result = recommend(finder, saved)
    yield SearchFinished(result, int(not remembered), summaries.get(result.candidate))


def _baseline(events: Iterator[Event]) -> Iterator[Loading | StepDone]:
    """Run a comparison up to the end of its uncached run, which is returned."""
    with closing(events):
        for event in events:
            if isinstance(event, Loading | StepDone):
                yield event
            elif isinstance(event, RunFinished):
                return event
    raise RuntimeError("a comparison ended before its uncached run")


def _comparison(events: Iterator[Event]) -> Iterator[Loading | StepDone]:
    """Run a comparison, pass loading and the cached run's steps on, and return the end."""
    last = None
    with closing(events):
        for last in events:
            if isinstance(last, Loading) or (isinstance(last, StepDone) and last.run == "cached"):
                yield last
    return last


def sweep(
    requests: Sequence[Request],
    file: RowsFile,
    compare: Compare = compare,
    device: str | None = None,
) -> Iterator[Loading | StepDone | ComparisonFinished | None]:
    """Make the comparisons that a file does not hold yet, and add each one's summary to it.

    Yields:
        What loading does, and steps as they are done; for each request its end, None where the
        file had it already.

    Raises:
        ConfigError: The file is of some other kind; or see `compare`.
    """
    there, store = {key(row) for row in file.rows()}, BaselineStore()
    for request in requests:
        if key(described(request)) in there:
            yield None
            continue
        finished = yield from _comparison(compare(request, store, device))
        file.append(finished.summary.as_dict())
        yield finished


def described(request: Request) -> dict[str, object]:
    """The part of a request's summary that is known before it is run."""
    names = ("model", "random_weights", "prompt", "seed", "steps")
    return {name: getattr(request, name) for name in names} | {"config": request.config.as_dict()}


class Share:
    """This process's part of the prompts: all of them, unless `accelerate launch` started several.

    Args:
        device: As asked for; with several processes each one's own, where None or "cuda".
    """

    def __init__(self, device: str | None = None):
        self._state, self.device = None, device
        if int(os.environ.get("WORLD_SIZE", 1)) > 1:
            from accelerate import PartialState

            self._state = PartialState(cpu=device == "cpu")
            self.device = str(self._state.device)

    @property
    def first(self) -> bool:
        """Whether this is the process that speaks for all."""
        return self._state is None or self._state.is_main_process

    def of(self, prompts: Sequence[str]) -> list[str]:
        if self._state is None:
            return list(prompts)
        with self._state.split_between_processes(list(prompts)) as own:
            return list(own)

    def wait(self) -> None:
        """Until every process is here."""
        if self._state is not None:
            self._state.wait_for_everyone()
