"""What stands in for a transformer's call that is not made: a forecast of what it would return.

The velocities that the last computed calls predict, flow matching's ε − x0, are continued on a
straight line over the share of noise, and told again as whatever the model predicts: of a flow
model that is what it returns. Predictions of the noise are continued as they are. Where the
scheduler adds noise of its own, the clean video that they predict takes the velocity's place.
Guidance is a weighted sum of branches, so that a forecast of each branch is a forecast of the
guided prediction. Pure tensor code: knows nothing of methods or pipelines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from .call_output import OutputForm, kinds_of, output_tensors
from .in_place import Held
from .method import NOT_CACHED
from .prediction import Prediction

HALF = (torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class _Point:
    """A computed call: its step, its level, and what it predicted, a tensor an output."""

    step: int
    level: float
    values: tuple[torch.Tensor, ...]


class CallForecast:
    """One guidance branch's computed calls: the last two at different levels.

    Args:
        prediction: What the calls predict.
        levels: The noise level of each step, for what is forecast as it is returned.
        reach: How far to go along the last change, in gaps between the two; 0 holds the last one.

    Keeps two tensors of the size and type of the call's output; what has to be reckoned from the
    output of a 16-bit model is kept as float16, whose steps at numbers around 1 are finer than
    bfloat16's.
    """

    def __init__(self, prediction: Prediction, levels: Sequence[float], reach: float):
        self._prediction, self._reach = prediction, reach
        self._levels = prediction.shares or tuple(levels)
        self._input = Held()
        self._points: list[_Point] = []
        self._kind: list = []
        self._form: OutputForm | None = None
        self._why_none = NOT_CACHED
        self._clean = False
        self.note = ""  # what there is to say of how it forecasts

    def forecast_clean_video(self) -> None:
        """From now on: the scheduler adds noise of its own, which no earlier step can foretell."""
        if not self._clean:
            self._clean, self._points = True, []

    @property
    def tensors(self) -> list[torch.Tensor]:
        """Everything that is kept between steps."""
        return [x for point in self._points for x in point.values]

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
            self._points = []
        self._kind = kinds_of(given)

    def leave(self, output: Any, step: int) -> tuple[torch.Tensor, torch.Tensor] | None:
        """The call has returned: keep what it predicts.

        Returns:
            The forecast that stood ready for its first output and what came instead, both as what
            is forecast, `[batch, …]`; None where none did.
        """
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
        ready = None
        if self._points and kinds_of(told) == kinds_of(self._points[-1].values):
            ready = self._line(step)[0].to(told[0].dtype), told[0]
        else:
            self._points = []
        level = self._levels[step]
        earlier = [point for point in self._points if point.level != level]
        self._points = [*earlier, _Point(step, level, told)][-2:]
        return ready

    def give(self, given: Sequence[torch.Tensor], step: int) -> Any:
        """What the call would return, in the form in which it returns it."""
        form, values = self._form, []
        assert form is not None
        for place, (value, like) in enumerate(zip(self._line(step), form.like, strict=True)):
            seen = _latents(given, place, like)
            if self._is_reckoned and seen is not None:
                value = self._prediction.output_of(step, value, seen, self._clean)
            values.append(value.to(like.dtype))
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

    def _line(self, step: int) -> list[torch.Tensor]:
        """The forecast at a step, in float32 and of nobody else."""
        last = self._points[-1]
        found = [x.float() if x.dtype != torch.float32 else x.clone() for x in last.values]
        reach = self._reach_at(step)
        if reach:
            for x, now, before in zip(found, last.values, self._points[0].values, strict=True):
                x.add_(now.float() - before.float(), alpha=reach)
        return found

    def _reach_at(self, step: int) -> float:
        """How many times the last change is added."""
        if len(self._points) < 2:
            return 0.0
        before, last = (point.level for point in self._points)
        return max(0.0, min((self._levels[step] - last) / (last - before), self._reach))

    def _say(self, latents: torch.Tensor | None) -> None:
        if self._prediction.kind == "unknown":
            self.note = "what the call returns is forecast, since what it predicts is not known"
        elif self._is_reckoned and latents is None:
            self.note = "what the call returns is forecast, since its input has another shape"
        elif self._clean:
            self.note = "the clean video is forecast, since the scheduler adds noise"

    def _forget(self, why: str) -> None:
        self._input.drop()
        self._points, self._why_none = [], why


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
