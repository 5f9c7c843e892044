"""BWCache+, ours: whole calls are forecast, and what is computed lies where the run's own noise
levels say.

    site       the transformer's call: a reused step runs no layer, embedding and head included
    forecast   a straight line over the share of noise through the last two computed velocities,
               ε − x0, as far as they have gone straight before (`../call_forecast.py`)
    corrector  the next computed call makes up for what the forecasts missed
    budget     a share of the steps is computed: the first, then each where the share of signal
               has grown by about the same ratio as before, so that stretches grow
    tolerance  a closed loop: each computed call tells by how much its forecast missed, and the next
               stretch grows or shrinks by the square root of what is allowed over what was missed

The share of noise is flow matching's σ, and what it corresponds to elsewhere: both schedules are
derived from the run's own grid, so that neither belongs to a number of steps, a scheduler or a
flow shift. Nothing is calibrated. Standard library only.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from ..ask import MASK_COMPUTE, MASK_METHOD
from ..knob import knob, steps_of
from ..method import WHOLE, Forecast, Method, Plan, Probe, RunFacts, Seen, Site

MISS = "miss"  # the probe: how far the forecast of a computed call was off
SCHEDULES = {"budget": "Budget: a fixed share", "tolerance": "Tolerance: a closed loop"}
LOOP_DENSE = 4  # before the closed loop sets in; with the third, how straight the path is is known
# Chosen at flow shifts 2 and 5; on which prompts, and what has seen the reported ones, is told in
# docs/methods/bwcache_plus.md. For the first stretch so much signal counts as there from the start
# that it does not take a single step in any case, the more, the more of the run lies at nearly pure
# noise, where steps change little; and that it is one of so many and a half.
NEARLY_NOISE, START, LEAST_START = 0.95, 0.24, 0.01
FIRST_STRETCH = 0.5
LAST_COUNTS = 2.4  # a last step that takes so many times the average step's noise is computed
LEAST_SIGNAL = 1e-9  # what a logarithm is taken of
LEAST_CORRECTED = 6  # computed steps; with fewer, what lies between two is no line
# Of the closed loop: steps from one computed to the next, and by how many more than before. A loop
# that may double them jumps to and fro.
LONGEST, GROWTH = 8, 1
TOKENS = 1024  # rows of the latents that the miss is measured on


@dataclass(frozen=True)
class BWCachePlusState:
    """What the decision remembers of a run.

    Args:
        noise: The share of noise at each step; see `RunFacts.noise`, or what stands in for it.
        first_step: The step with which this transformer began.
        computed: Of a fixed schedule, the steps that are computed.
        last: Of the closed loop, the last step that was meant to be computed.
        stretch: From there to the next one, in steps.
        miss: What the last computed call told, weighted; None before it.
    """

    noise: tuple[float, ...]
    first_step: int = 0
    computed: tuple[int, ...] = ()
    last: int | None = None
    stretch: int = 1
    miss: float | None = None


@dataclass(frozen=True)
class BWCachePlusConfig(Method):
    """How BWCache+ chooses the steps that it computes, and how far it forecasts.

    Args:
        schedule: "budget" computes a fixed share of the steps, known beforehand; "tolerance" a
            number that follows from how well this run's calls can be forecast.
        work_share: Of a budget, the share of the steps that is computed, above 0 and up to 1, to
            the nearest whole step; 1 computes all.
        tolerance: τ of the closed loop: how far off the latents may be where a stretch ends, as a
            share of the velocity's size; 0 computes all.
        reach: How far the line is followed behind the last computed step, in gaps between the last
            two, times the cosine between the last two changes, or 0.5 where only one is known. 0
            holds the last velocity. Beyond 1 single prompts can be destroyed.
        correction: How much of what the forecasts missed the next computed step makes up for, by
            what it adds to the call's output: 1 for as much as is known, 0 for nothing. A budget of
            fewer than six computed steps makes up for nothing.

    Raises:
        ConfigError: A field is of the wrong kind or out of its bounds.
    """

    name = "bwcache_plus"
    title = "BWCache+"
    about = "Forecasts whole steps along a line, and computes most of them where the video forms."
    source = "this project; see docs/methods/bwcache_plus.md"

    schedule: str = knob(
        "budget",
        "choice",
        "Schedule",
        "Whether a share of the work is given, or an error that is allowed.",
        "budget: fixed beforehand from the run's noise levels; tolerance: a closed loop on the "
        "forecast's own error.",
        choices=tuple(SCHEDULES.items()),
        basic=True,
    )
    work_share: float = knob(
        0.4,
        "number",
        "Share of the work",
        "How much of the work is done: less is faster and less alike.",
        "Of the budget: computed steps over all, to the nearest step; from one to the next the "
        "share of signal grows by about a fixed ratio.",
        low=0.05,
        high=1,
        basic=True,
    )
    tolerance: float = knob(
        0.01,
        "number",
        "Tolerance τ",
        "How far off a forecast may be: higher is faster and less alike.",
        "τ of the closed loop: next stretch = last · √(τ / miss), the miss times the noise that "
        "goes meanwhile.",
    )
    reach: float = knob(
        1.0,
        "number",
        "Reach",
        "How far the last change is continued.",
        "In gaps between the last two computed noise levels, times the cosine between the last two "
        "changes: less where the path bends; 0 holds, above 1 is not safe.",
        high=2,
    )
    correction: float = knob(
        1.0,
        "number",
        "Correction",
        "How much a computed step makes up for what the forecasts before it missed.",
        "Added to the computed call's output: a share of the miss, less where a stretch was long "
        "for the noise that is left; 0, or a budget of fewer than six steps, adds nothing.",
        high=1,
    )

    @property
    def title_here(self) -> str:
        return self.title if self.schedule == "budget" else f"{self.title} (closed loop)"

    @property
    def only_measures(self) -> bool:
        return (self.tolerance == 0) if self.schedule == "tolerance" else self.work_share == 1

    @property
    def forecast(self) -> Forecast:
        """A budget's schedule is fixed by the noise levels; the loop's own misses decide later."""
        return "exact" if self.schedule == "budget" else "none"

    @property
    def site(self) -> Site:
        return "call"

    def probes(self, run: RunFacts) -> tuple[Probe, ...]:
        if self.schedule == "budget":
            return ()
        return (Probe(MISS, "forecast", (0,), "neighbour", tokens=TOKENS),)

    def kept(self, run: RunFacts) -> tuple:
        return () if self.only_measures else (WHOLE,)

    @property
    def forecast_reach(self) -> float:
        return self.reach

    def forecast_correction(self, run: RunFacts) -> float:
        """See `correction`; none of a budget whose stretches are too long for a line between."""
        if self.schedule == "tolerance":
            return self.correction
        count = self._budget(run)
        mask = self.step_mask[: run.num_steps]
        if len(mask) == run.num_steps and MASK_METHOD not in mask:
            count = mask.count(MASK_COMPUTE)
        count = max(count, steps_of(self.warm_up_steps, run.num_steps))
        return self.correction if count >= LEAST_CORRECTED else 0.0

    def _budget(self, run: RunFacts) -> int:
        return math.floor(self.work_share * run.num_steps + 0.5)

    def begin(self, run: RunFacts) -> BWCachePlusState:
        noise = run.noise or tuple(1 - i / run.num_steps for i in range(run.num_steps))
        if self.schedule == "tolerance":
            return BWCachePlusState(noise, run.first_step)
        computed = computed_steps(noise, self._budget(run))
        if run.first_step:  # a second expert has nothing to draw a line through yet
            fresh = {run.first_step, run.first_step + 1}
            computed = tuple(sorted(fresh | {x for x in computed if x >= run.first_step}))
        return BWCachePlusState(noise, run.first_step, computed)

    def decide(self, state: BWCachePlusState, seen: Seen) -> tuple[Plan, BWCachePlusState]:
        if self.schedule == "budget":
            return self._by_budget(state, seen.step), state
        return self._by_miss(state, seen)

    def _by_budget(self, state: BWCachePlusState, step: int) -> Plan:
        count = len(state.computed)
        place = bisect_left(state.computed, step)
        if place < count and state.computed[place] == step:
            return Plan(reason=f"computed: {place + 1} of {count}")
        after = state.computed[place - 1] if place else state.first_step
        until = state.computed[place] if place < count else len(state.noise)
        return Plan((WHOLE,), reason=f"forecast {step - after} of {until - after - 1}")

    def _by_miss(self, state: BWCachePlusState, seen: Seen) -> tuple[Plan, BWCachePlusState]:
        step = seen.step
        measured = seen.numbers.get(MISS)
        if measured is not None and state.last is not None:
            state = self._adjusted(state, measured[0])
        dense = step - state.first_step < LOOP_DENSE
        if dense or seen.computed or state.last is None or step >= state.last + state.stretch:
            said = "one of the first" if dense else f"computed after {_steps(state.stretch - 1)}"
            stretch = 1 if dense else state.stretch
            return Plan(reason=said), replace(state, last=step, stretch=stretch)
        said = "" if state.miss is None else f", the last one missed by {state.miss:.3g}"
        reason = f"forecast {step - state.last} of {state.stretch - 1}{said}"
        return Plan((WHOLE,), reason=reason), state

    def _adjusted(self, state: BWCachePlusState, missed: float) -> BWCachePlusState:
        """The stretch behind a computed step, from how far its forecast was off.

        The miss of the velocity counts by the share of noise that goes in a stretch as long as the
        last: by so much, times the miss, the latents would end up elsewhere.
        """
        at = state.last
        assert at is not None
        noise = state.noise[at]
        behind = at + state.stretch
        later = state.noise[behind] if behind < len(state.noise) else 0.0
        error = missed * (noise - later)
        if error <= 0:
            wanted = float(LONGEST) if self.tolerance else 1.0
        else:
            wanted = state.stretch * math.sqrt(self.tolerance / error)
        stretch = math.floor(min(wanted, state.stretch + GROWTH, LONGEST))
        return replace(state, stretch=max(1, stretch), miss=error)

    def facts(self, state: BWCachePlusState) -> dict[str, object]:
        return {"computed": list(state.computed)} if state.computed else {}


def computed_steps(noise: Sequence[float], count: int) -> tuple[int, ...]:
    """So many steps of a run: the first one, then at equal ratios of the share of signal.

    Args:
        noise: The share of noise at each step, falling; what repeats (Heun's) is one level.
        count: How many steps to compute, at least one.

    Returns:
        Step numbers, rising, the first one among them. Each is the step nearest to the ratio that
        divides what is left evenly, so that steps which are all there is early on leave more for
        later. The last of them is the second last of the run, or its last where that takes so much
        noise as `LAST_COUNTS` says. Where the first stretch leaves steps out no later one is a
        single step, as far as there are enough: two neighbours tell of a small piece of the path.
    """
    total = len(noise)
    if count >= total:
        return tuple(range(total))
    last = total - 1 if noise[-1] * total > LAST_COUNTS else total - 2
    found = [0]
    while len(found) < count:
        here, left = found[-1], count - len(found)
        if not here:
            floor = max(LEAST_START, START * _share_above(noise, NEARLY_NOISE))
            signal = [math.log(max(0.0, 1 - each) + floor) for each in [*noise, 0.0]]
            aim = signal[0] + (signal[-1] - signal[0]) / (left + FIRST_STRETCH)
        else:
            signal = [math.log(max(LEAST_SIGNAL, 1 - each)) for each in [*noise, 0.0]]
            aim = signal[here] + (signal[last + 1] - signal[here]) / left
        ahead = range(here + 1, last - left + 2)
        step = min(ahead, key=lambda step: (abs(signal[step] - aim), step))
        if len(found) > 1 and found[1] > 1 and last - here >= 2 * left:
            step = max(step, here + 2)
        found.append(step)
    return tuple(found)


def _share_above(noise: Sequence[float], level: float) -> float:
    """The share of a run's steps that it takes until the share of noise has fallen to a level."""
    for step, (here, later) in enumerate(pairwise([*noise, 0.0])):
        if later < level:
            return (step + max(0.0, here - level) / (here - later)) / len(noise) if here else 0.0
    return 1.0


def _steps(count: int) -> str:
    return f"{count} forecast" if count else "no forecast"
