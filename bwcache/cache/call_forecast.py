"""What stands in for a transformer's call that is not made: a forecast of what it would return.

The velocities that the last computed calls predict, flow matching's ε − x0, are continued on a
straight line over the share of noise, as far as they have gone straight before, and told again as
whatever the model predicts: of a flow model that is what it returns. Predictions of the noise are
continued as they are. Where the scheduler adds noise of its own, the clean video that they predict
takes the velocity's place.

The next computed call shows what lay between, and by how much the latents are off. That is added to
what the call returns, as a predictor-corrector method does without evaluating twice (PEC), so that
the scheduler's own steps make up for it: how far each call moves the latents in the end is known
from a rehearsal. Guidance is a weighted sum of branches, so that a forecast of each branch is a
forecast of the guided prediction. Pure tensor code: knows nothing of methods or pipelines.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from .ask import NOT_CACHED
from .call_output import OutputForm, kinds_of, output_tensors
from .in_place import Held
from .prediction import Prediction

HALF = (torch.float16, torch.bfloat16)
NOT_SEEN = 0.5  # how straight a path counts as of which two points are known
# What a stretch leaves to be made up for is trusted the less, the longer it was against the noise
# that is left: late in a run a velocity bends, and one that is off points where it is. For what it
# was chosen on see docs/methods/bwcache_plus.md.
DOUBT = 2.5
# While nearly all is noise what a video shows is not decided yet, and what the latents are off by
# grows before it is made up for: then by the root of what the share of signal has grown by, half as
# much again at most. Chosen with the other.
NEARLY_NOISE, GROWN = 0.95, 1.5
# A call that moves the latents by less than this share of what Euler's step would is not asked to
# make up for anything: it would have to be altered by too much.
LEAST_MOVED = 0.25
TINY = 1e-9  # what a share of signal is divided by at least


@dataclass(frozen=True)
class _Point:
    """A computed call: its level, and what it predicted, a tensor an output."""

    level: float
    values: tuple[torch.Tensor, ...]


@dataclass(frozen=True)
class Returned:
    """What there is to say of a call that a forecast stood ready for.

    Args:
        ready: The forecast of its first output, as what is forecast, `[batch, …]`.
        came: What came instead.
        corrected: What the call returns to the pipeline instead of its output; None for that.
    """

    ready: torch.Tensor
    came: torch.Tensor
    corrected: Any | None


class CallForecast:
    """One guidance branch's computed calls: the last two at different levels.

    Args:
        prediction: What the calls predict.
        levels: The noise level of each step, for what is forecast as it is returned.
        reach: How far to go along the last change where the path is straight, in gaps between the
            two; 0 holds the last one.
        correction: How much of what the forecasts missed the next computed call makes up for.
        moves: How far a velocity of 1 moves the final latents, for each step; without, nothing is
            made up for. See `Rehearsal`.

    Keeps two tensors of the size and type of the call's output; what has to be reckoned from the
    output of a 16-bit model is kept as float16, whose steps at numbers around 1 are finer than
    bfloat16's. How straight the path was is a number for each video.
    """

    def __init__(
        self,
        prediction: Prediction,
        levels: Sequence[float],
        reach: float,
        correction: float = 0.0,
        moves: Sequence[float] = (),
    ):
        self._prediction, self._reach, self._correction = prediction, reach, correction
        self._moves = tuple(moves) if correction else ()
        self._levels = prediction.shares or tuple(levels)
        self._input = Held()
        self._points: list[_Point] = []
        self._straight: list[torch.Tensor] = []  # at the last point, of each output
        self._given: list[int] = []  # steps forecast since
        self._kind: list = []
        self._form: OutputForm | None = None
        self._why_none = NOT_CACHED
        self._clean = False
        self.note = ""  # what there is to say of how it forecasts

    def forecast_clean_video(self) -> None:
        """From now on: the scheduler adds noise of its own, which no earlier step can foretell."""
        if not self._clean:
            self._clean, self._moves = True, ()
            self._begin_again()

    @property
    def tensors(self) -> list[torch.Tensor]:
        """Everything that is kept between steps."""
        return [x for point in self._points for x in point.values] + self._straight

    def refusal(self, given: Sequence[torch.Tensor], step: int) -> str | None:
        """Why a call with these tensors cannot be forecast; None if it can."""
        if not self._points:
            return self._why_none
        if kinds_of(given) != self._kind:
            return "what the call is given changed shape or type"
        return None

    def compute(self, given: Sequence[torch.Tensor]) -> None:
        """The call is about to be made with these tensors."""
        self._input.put(tuple(given))
        if kinds_of(given) != self._kind:
            self._begin_again()
        self._kind = kinds_of(given)

    def leave(self, output: Any, step: int) -> Returned | None:
        """The call has returned: keep what it predicts; None where no forecast stood ready."""
        values = output_tensors(output)
        if values is None:
            self._forget("the call returns something else than tensors")
            return None
        if self._input.altered(values):
            self._forget("the call altered its input in place")
            return None
        given = [x for x in self._input.tensors or () if x is not None]
        latents = [_latents(given, place, x) for place, x in enumerate(values)]
        self._say(latents[0])
        told = tuple(
            self._kept(x.detach(), seen, step) for x, seen in zip(values, latents, strict=True)
        )
        self._input.drop()
        self._form = OutputForm.of(output)
        found = None
        if self._points and kinds_of(told) == kinds_of(self._points[-1].values):
            ready = self._line(step)[0].to(told[0].dtype)
            found = Returned(ready, told[0], self._corrected(told, latents, step))
        else:
            self._begin_again()
        level = self._levels[step]
        if len(self._points) == 2 and self._points[-1].level != level:
            self._straight = [
                _straightness(*path)
                for path in zip(*(point.values for point in self._points), told, strict=True)
            ]
        earlier = [point for point in self._points if point.level != level]
        self._points, self._given = [*earlier, _Point(level, told)][-2:], []
        return found

    def give(self, given: Sequence[torch.Tensor], step: int) -> Any:
        """What the call would return, in the form in which it returns it."""
        form, values = self._form, []
        assert form is not None
        self._given.append(step)
        for place, (value, like) in enumerate(zip(self._line(step), form.like, strict=True)):
            seen = _latents(given, place, like)
            values.append(self._as_output(value, seen, step).to(like.dtype))
        return form.make(values)

    # -- inside ----------------------------------------------------------------------------------

    @property
    def _is_reckoned(self) -> bool:
        """Whether what is forecast is something else than what the call returns."""
        known = self._prediction.kind != "unknown"
        return known and self._prediction.needs_input(self._clean)

    def _kept(self, x: torch.Tensor, latents: torch.Tensor | None, step: int) -> torch.Tensor:
        if latents is None or not self._is_reckoned:
            return x.clone()
        told = self._prediction.meaning_of(step, x, latents, self._clean)
        return told.to(torch.float16 if x.dtype in HALF else x.dtype)

    def _as_output(
        self, value: torch.Tensor, latents: torch.Tensor | None, step: int
    ) -> torch.Tensor:
        """What the call returns where this is what it predicts. Alters `value`."""
        if latents is None or not self._is_reckoned:
            return value
        return self._prediction.output_of(step, value, latents, self._clean)

    def _line(self, step: int) -> list[torch.Tensor]:
        """The forecast at a step, in float32 and of nobody else."""
        last = self._points[-1]
        found = [x.float() if x.dtype != torch.float32 else x.clone() for x in last.values]
        if self._reach and len(self._points) == 2:
            for place, x in enumerate(found):
                x.add_(self._last_change(place).mul_(self._gaps(step, place)))
        return found

    def _last_change(self, place: int) -> torch.Tensor:
        before, last = (point.values[place].float() for point in self._points)
        return last - before

    def _gaps(self, step: int, place: int) -> torch.Tensor | float:
        """How many times the last change is added to an output, for each video."""
        before, last = (point.level for point in self._points)
        ahead = max(0.0, (self._levels[step] - last) / (last - before))
        if not self._straight:
            return min(ahead, NOT_SEEN * self._reach)
        return (self._straight[place] * self._reach).clamp(max=ahead)

    def _corrected(
        self,
        told: Sequence[torch.Tensor],
        latents: Sequence[torch.Tensor | None],
        step: int,
    ) -> Any | None:
        """What a computed call returns so that the steps make up for what forecasts have missed.

        Between the two computed calls velocities lie on a line, as far as is known now: w of the
        way from the one to the other at a step's level. The latents moved along other ones, and end
        off by the sum over the forecast steps of the difference, each times how far its call moves
        them. None where nothing is owed, or nothing is known of how latents move.
        """
        moves, last = self._moves, self._points[-1]
        over = self._levels[step] - last.level
        blind = self._is_reckoned and any(x is None for x in latents)
        if not (self._given and moves and over) or blind:
            return None
        if moves[step] < LEAST_MOVED * self._goes(step):
            return None
        there = [(self._levels[each] - last.level) / over for each in self._given]
        owes = [moves[each] for each in self._given]
        wrong = sum(w * self._goes(each) for w, each in zip(there, self._given, strict=True))
        doubt = DOUBT * wrong / self._levels[step]
        grown = _grown(last.level, self._levels[step])
        per_move = self._correction * grown / (moves[step] * (1 + doubt * doubt))
        between = sum(w * each for w, each in zip(there, owes, strict=True))
        values = []
        for place, (x, seen) in enumerate(zip(told, latents, strict=True)):
            owed = (x.float() - last.values[place].float()).mul_(between)
            if self._reach and len(self._points) == 2:
                gaps = [self._gaps(each, place) for each in self._given]
                along = sum(gap * each for gap, each in zip(gaps, owes, strict=True))
                owed.sub_(self._last_change(place).mul_(along))
            meant = owed.mul_(per_move).add_(x)
            values.append(self._as_output(meant, seen, step))
        assert self._form is not None
        return self._form.make(
            [value.to(like.dtype) for value, like in zip(values, self._form.like, strict=True)]
        )

    def _goes(self, step: int) -> float:
        """The share of noise that goes in a step."""
        later = self._levels[step + 1] if step + 1 < len(self._levels) else 0.0
        return self._levels[step] - later

    def _say(self, latents: torch.Tensor | None) -> None:
        if self._prediction.kind == "unknown":
            self.note = "what the call returns is forecast, since what it predicts is not known"
        elif self._is_reckoned and latents is None:
            self.note = "what the call returns is forecast, since its input has another shape"
        elif self._clean:
            self.note = "the clean video is forecast, since the scheduler adds noise"

    def _forget(self, why: str) -> None:
        self._input.drop()
        self._begin_again()
        self._why_none = why

    def _begin_again(self) -> None:
        self._points, self._straight, self._given = [], [], []


def _grown(before: float, level: float) -> float:
    """By how much more is made up for at a level while nearly all is noise: see `GROWN`."""
    if level <= NEARLY_NOISE:
        return 1.0
    return math.sqrt(min(GROWN * GROWN, (1 - level) / max(1 - before, TINY)))


def _straightness(before: torch.Tensor, last: torch.Tensor, now: torch.Tensor) -> torch.Tensor:
    """The cosine between a path's last two changes, 1 where it is straight, no less than 0.

    0 where a number is not finite: what follows from it would not be, either.

    Returns:
        One for each video, float32, in as many dimensions as the three have.
    """
    rows = (len(now), math.prod(now.shape[1:])) if now.ndim else (1, 1)
    went = (last.float() - before.float()).reshape(rows)
    goes = (now.float() - last.float()).reshape(rows)
    found = torch.nn.functional.cosine_similarity(went, goes).nan_to_num(0, 0, 0).clamp(min=0)
    return found.reshape(now.shape[:1] + (1,) * (now.ndim - 1))


def _latents(
    given: Sequence[torch.Tensor], place: int, output: torch.Tensor
) -> torch.Tensor | None:
    """The part of what a call is given that its output stands for; None where that cannot be told.

    The first channels, where a condition is joined to the latents' own: pictures to start from.
    """
    if place >= len(given) or given[place].ndim != output.ndim:
        return None
    found = given[place]
    differing = [d for d in range(found.ndim) if found.shape[d] != output.shape[d]]
    if not differing:
        return found
    if place or len(differing) > 1 or found.shape[differing[0]] < output.shape[differing[0]]:
        return None
    return found.narrow(differing[0], 0, output.shape[differing[0]])
