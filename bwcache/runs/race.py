"""The runs of a comparison, made in turns over one set of weights, as an iterator of events.

The uncached and the cached run denoise side by side on one common clock, so that whatever else the
machine does hits both alike; each gives, bit for bit, what it gives alone (`generate`).
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from ..cache.in_turns import Entrant, cached_in_turns
from ..cache.lanes import sharing
from ..cache.method import Method
from ..cache.run import Run
from ..cache.trace import StepRecord, Trace
from ..cache.transformers_in import transformers_in
from ..cache.turns import RaceEnded, Runner, Turns
from ..models import ModelSpec
from ..models.call import call_arguments, warm_up, with_image
from ..models.replicas import at, pipeline_lock
from .baselines import measuring
from .controls import Controlled
from .events import Event, RunFinished, RunName, RunStarted, StepDone
from .generate import place_of, same_noise, sound_of
from .preview import latent_preview
from .request import Request


def race(
    pipe, spec: ModelSpec, request: Request, ghost: RunFinished | None = None
) -> Generator[Event, None, list[RunFinished]]:
    """Make a comparison's runs in turns.

    Args:
        pipe: The model's pipeline, not cached.
        spec: Its catalogue entry.
        request: What to make.
        ghost: The uncached run, where one is remembered: it is not made again, and each of its
            steps appears when the others' clocks pass it.

    Yields:
        `RunStarted` for both runs, `StepDone` as steps end, in whatever order, a control run's
        `RunStarted` once it is known how many steps it has, and `RunFinished` for each. Closing the
        iterator stops all of them at the end of the running step, and waits for that.

    Returns:
        The finished runs: uncached, cached, and the control run if one was asked for.

    Raises:
        Exception: Whatever a pipeline raises, in the reader's thread; the other runs end, too.
    """
    made = _Race(pipe, spec, request, ghost)
    supervisor = threading.Thread(target=made.work, name="bwcache-race", daemon=True)
    finished: dict[RunName, RunFinished] = {}
    supervisor.start()
    try:
        yield RunStarted("baseline", request.steps, remembered=ghost is not None)
        yield RunStarted("cached", request.steps)
        while (event := made.events.get()) is not None:
            if isinstance(event, BaseException):
                raise event
            if isinstance(event, RunFinished):
                finished[event.run] = event
            yield event
    finally:
        made.stop()
        supervisor.join()
    names: tuple[RunName, ...] = ("baseline", "cached", "control")
    return [finished[name] for name in names if name in finished]


def steps_of_work(trace: Trace) -> int:
    """How many whole steps a run's computed blocks amount to; at least one."""
    return max(1, round((trace.compute_share or 0.0) * trace.num_steps))


@dataclass
class _Run:
    """One of the runs that are made.

    Args:
        name: Which.
        config: Its method and settings.
        pipe: A pipeline of its own, over the shared modules.
    """

    name: RunName
    config: Method
    pipe: Any
    previews: list[bytes | None] = field(default_factory=list)
    entrant: Entrant = field(init=False)
    state: Run = field(init=False)

    @property
    def runner(self) -> Runner:
        return self.entrant.runner


class _Race:
    """What the threads of a race share."""

    def __init__(self, pipe, spec: ModelSpec, request: Request, ghost: RunFinished | None):
        self.events: queue.Queue[Event | BaseException | None] = queue.Queue()
        self._pipe, self._spec, self._request = pipe, spec, request
        self._ghost = None if ghost is None else _Ghost(ghost)
        self._stopped = threading.Event()
        self._turns: Turns | None = None
        self._threads: list[threading.Thread] = []
        self._runs: list[_Run] = []
        self._control_steps: int | None = None  # known once the cached run has made its steps
        self._controlled: Controlled | None = None

    def stop(self) -> None:
        """End every run at its next step; nothing where all have ended."""
        self._stopped.set()
        if self._turns is not None:
            self._turns.end()

    def work(self) -> None:
        """Make the runs; in a thread of its own, which holds the lock while they run."""
        try:
            with pipeline_lock(self._pipe), at(place_of(self._pipe)):
                self._make()
        except BaseException as error:  # handed over, so that nobody waits for ever
            self.events.put(error)
        finally:
            self.events.put(None)

    def _make(self) -> None:
        request, spec = self._request, self._spec
        pipe = self._pipe if request.image is None else with_image(self._pipe, spec)
        warm_up(pipe, spec, request.image)
        device = place_of(pipe)
        configs: dict[RunName, Method] = {"baseline": measuring(spec), "cached": request.config}
        if self._ghost is not None:
            del configs["baseline"]
        if request.control:
            configs["control"] = measuring(spec)
        self._runs = [_Run(name, config, sharing(pipe)) for name, config in configs.items()]
        kind = request.control_kind
        if kind is not None:
            self._controlled = Controlled(self._runs[-1].pipe, kind)
        for run in self._runs:
            run.entrant = Entrant(
                run.pipe, run.config, Runner(run.name), self._reporting(run), _clock_of(run.name)
            )
        with (
            same_noise(device, request.seed),
            nullcontext() if self._controlled is None else self._controlled.inside(),
            cached_in_turns([run.entrant for run in self._runs], device) as (turns, states),
        ):
            self._turns = turns
            for run, state in zip(self._runs, states, strict=True):
                run.state = state
            if self._stopped.is_set():
                return
            # All are known before the first of them begins.
            try:
                self._start(turns, [r for r in self._runs if r.name != "control"], request.steps)
            finally:  # none may go on in what is taken apart
                for thread in self._threads:  # the control run's comes behind them meanwhile
                    thread.join()

    def _start(self, turns: Turns, runs: list[_Run], steps: int) -> None:
        for run in runs:
            turns.add(run.runner)
        for run in runs:
            given, name = (turns, run, steps), f"bwcache-{run.name}"
            thread = threading.Thread(target=self._run, args=given, name=name, daemon=True)
            try:
                thread.start()
            except BaseException:  # too many threads: those that have one must not wait for it
                turns.end()
                for each in runs[runs.index(run) :]:
                    turns.leave_out(each.runner)
                raise
            self._threads.append(thread)

    def _run(self, turns: Turns, run: _Run, steps: int) -> None:
        request = self._request
        try:
            with at(turns.device, request.seed), turns.taking_part(run.runner):
                call = call_arguments(
                    self._spec, request.prompt, request.seed, steps, request.image
                )
                output = run.pipe(**call)
                frames, sound = output.frames[0], sound_of(output)
        except RaceEnded:
            return
        except BaseException as error:
            turns.end()
            self.events.put(error)
            return
        self.events.put(
            RunFinished(
                run.name,
                run.state.trace,
                frames,
                run.runner.active_seconds,
                None,
                sound=sound,
                previews=tuple(run.previews),
            )
        )

    def _reporting(self, run: _Run) -> Callable[[StepRecord, torch.Tensor | None], None]:
        def report(record: StepRecord, latents: torch.Tensor | None) -> None:
            preview = latent_preview(run.pipe, latents, self._spec.latent_frames_axis)
            run.previews.append(preview)
            self.events.put(StepDone(run.name, record, preview))
            arrived = record.step_index + 1 == run.state.trace.num_steps
            if arrived and run.name == "cached" and self._request.control:
                self._start_control(run)
            if self._ghost is not None:
                is_last = run.name == ("control" if self._request.control else "cached")
                clock = max(each.runner.clock for each in self._runs)
                for event in self._ghost.until(None if arrived and is_last else clock):
                    self.events.put(event)

        return report

    def _start_control(self, cached: _Run) -> None:
        """As many uncached steps as the cached run has computed: from here on that is known."""
        if self._turns is None or self._control_steps is not None:
            return  # another loop of a pipeline that has several
        controlled = self._controlled
        assert controlled is not None
        asked, made = controlled.steps_to_ask_for(cached.state.trace, steps_of_work)
        self._control_steps = asked
        self.events.put(RunStarted("control", made))
        self._turns.make_room(transformers_in(cached.pipe))
        control = [run for run in self._runs if run.name == "control"]
        self._start(self._turns, control, self._control_steps)


class _Ghost:
    """A run made earlier, whose steps appear at the pace at which they were measured.

    Args:
        run: The run.
    """

    def __init__(self, run: RunFinished):
        self._run = run
        self._done, self._clock = 0, 0.0

    def until(self, clock: float | None) -> Iterator[Event]:
        """The steps that ended up to a time on the common clock; all that are left where None."""
        steps, previews = self._run.trace.steps, self._run.previews
        while self._done < len(steps):
            step = steps[self._done]
            if clock is not None and self._clock + step.net_seconds > clock:
                return
            preview = previews[self._done] if self._done < len(previews) else None
            yield StepDone("baseline", step, preview)
            self._done, self._clock = self._done + 1, self._clock + step.net_seconds
            if self._done == len(steps):
                yield replace(self._run, remembered=True)


def _clock_of(name: RunName) -> Callable[[StepRecord], float]:
    """What a step adds to a run's clock: without the measurement for uncached runs."""
    return (lambda r: r.seconds) if name == "cached" else (lambda r: r.net_seconds)
