"""Find the setting that meets a goal for a prompt: one comparison after the other, as events.

The uncached run is made once. Closing the iterator stops the comparison under way.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from statistics import fmean, median

from ..cache.methods.bwcache import BWCacheConfig, Reuse
from ..cache.trace import Trace
from ..errors import ConfigError
from ..models.progress import Loading
from ..runs.baselines import BaselineStore
from ..runs.compare import compare
from ..runs.events import ComparisonFinished, Events, RunFinished, StepDone
from ..runs.request import Request
from ..runs.video import filmstrip
from .candidates import Candidate, candidates
from .search import MOST_TRIALS, Goal, Measured, Recommendation, Search, recommend

Compare = Callable[..., Events]


@dataclass(frozen=True)
class BaselineStarted:
    """The uncached run begins, since none is remembered."""

    steps: int


@dataclass(frozen=True)
class BaselineKnown:
    """The uncached run is there to be compared with.

    Args:
        baseline: That run.
        remembered: Whether it was made earlier.
        most: How many runs will be compared with it, at most.
        filmstrip: A WebP picture of the uncached video, 3 KiB at most.
    """

    baseline: RunFinished
    remembered: bool
    most: int
    filmstrip: bytes | None


@dataclass(frozen=True)
class SearchStarted(BaselineKnown):
    """The same in a search, where each run is a trial.

    Args:
        candidates: How many settings there are to choose from, each with a schedule of its own.
        runs_saved: How many more settings need no run.
    """

    candidates: int
    runs_saved: int


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
        filmstrip: A WebP picture of the cached video, 3 KiB at most.
    """

    number: int
    candidate: Candidate
    measured: Measured
    meets: bool
    summary: dict[str, object]
    filmstrip: bytes | None


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
    reuses: Sequence[Reuse] | None = None,
    most: int = MOST_TRIALS,
) -> Iterator[SearchEvent]:
    """Find the setting that meets a goal for a prompt.

    Args:
        request: The prompt and everything else; its threshold and interval do not matter.
        goal: What to look for.
        compare: As `bwcache.runs.compare.compare`.
        store: Where the uncached run is looked up and remembered.
        device: "cpu", "cuda"…; the best there is where None.
        thresholds, intervals, reuses: To choose from; see `candidates.candidates`.
        most: Trials at most.

    Yields:
        `BaselineStarted` unless it is remembered, `SearchStarted`, for each trial `TrialStarted`
        and `Trial`, then `SearchFinished`; in between, what loading does, and the steps as they
        are done: anew after `Loading("retry")`.

    Raises:
        ConfigError: The model or the prompt cannot be used, or the method is not BWCache.
        ModelError: The model cannot be loaded or does not run here.
    """
    config = request.config
    if not isinstance(config, BWCacheConfig):
        allowed = "bwcache, among whose thresholds and intervals a search chooses"
        raise ConfigError("method", config.name, allowed)
    store = BaselineStore() if store is None else store
    request = replace(request, control=False)
    baseline = store.get(request, device)
    remembered = baseline is not None
    if baseline is None:
        yield BaselineStarted(request.steps)
        baseline = yield from baseline_alone(request, compare, store, device)
    choice, saved = candidates(baseline.trace, config, thresholds, intervals, reuses)
    strip = filmstrip(baseline.frames)
    yield SearchStarted(baseline, remembered, most, strip, len(choice), saved)

    finder = Search(goal, choice, most, _block_share(baseline.trace))
    around = max(0.0, baseline.total_seconds - baseline.trace.seconds)  # text and decoding
    summaries: dict[Candidate, dict[str, object]] = {}
    while (candidate := finder.next_trial()) is not None:
        usual = fmean([c.seconds for c in choice if c not in finder.results] or [0.0]) + around
        later = (most - finder.trials - 1) * usual
        yield TrialStarted(finder.trials + 1, candidate, candidate.seconds + around + later)
        asked = replace(request, config=candidate.config)
        finished = yield from comparison(compare(asked, store, device))
        summary = finished.summary.as_dict()
        measured = Measured.of(summary)
        finder.record(candidate, measured)
        summaries[candidate] = summary
        meets, pictures = finder.met(measured), filmstrip(finished.runs[1].frames)
        yield Trial(finder.trials, candidate, measured, meets, summary, pictures)
    result = recommend(finder, saved)
    best = result.candidate
    yield SearchFinished(result, int(not remembered), None if best is None else summaries[best])


def _block_share(trace: Trace) -> float:
    """Of an uncached step's time, what blocks take: the median, which no disturbance moves."""
    shares = [step.block_seconds / step.net_seconds for step in trace.steps if step.net_seconds > 0]
    return median(shares) if shares else 1.0


def baseline_alone(
    request: Request, compare: Compare, store: BaselineStore, device: str | None
) -> Generator[Loading | StepDone, None, RunFinished]:
    """Run a comparison up to the end of its uncached run, which is returned."""
    alone = replace(request, sequential=True)  # the schedules come of it: no other run yet
    with closing(compare(alone, store, device)) as events:
        for event in events:
            if isinstance(event, Loading | StepDone):
                yield event
            elif isinstance(event, RunFinished):
                return event
    raise RuntimeError("a comparison ended before its uncached run")


def comparison(
    events: Events,
) -> Generator[Loading | StepDone, None, ComparisonFinished]:
    """Run a comparison, pass loading and the cached run's steps on, and return its end."""
    finished = None
    with closing(events):
        for event in events:
            if isinstance(event, ComparisonFinished):
                finished = event
            elif isinstance(event, Loading) or (
                isinstance(event, StepDone) and event.run == "cached"
            ):
                yield event
    if finished is None:
        raise RuntimeError("a comparison ended before its summary")
    return finished
