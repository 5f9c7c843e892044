"""What stands in for a guidance branch's call that is not made: the step's first branch, and how
the two last differed.

    estimate = first + w_high · Δ + (w_low − w_high) · low(Δ)       Δ = own − first, last computed

So low and high spatial frequencies of the difference have each a weight. Pure tensor code: knows
nothing of methods or pipelines. Source: FasterCache, arXiv 2410.19355, Eq. 8-11.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch

from .ask import NOT_CACHED
from .call_output import OutputForm, kinds_of, output_tensors
from .in_place import Held

RADIUS = 5  # low frequencies lie within this part of the shorter side, as published
UNLIKE = "its guidance branches do not give tensors of one shape"
ALTERED = "what the first guidance branch gave was altered in place"
PICTURE_AXES = 4  # of fewer, such as packed tokens, the last two are no picture


class FirstBranch:
    """What the first call of the running step has returned.

    Attributes:
        computed: Whether every block of it ran.
        why_none: Why there is nothing, where that is so.
    """

    def __init__(self) -> None:
        self._held = Held()
        self._form: OutputForm | None = None
        self.computed, self.why_none = False, NOT_CACHED

    def begin_step(self) -> None:
        """Forget the last step's."""
        self._held.drop()
        self._form, self.computed, self.why_none = None, False, NOT_CACHED

    def leave(self, output: Any, computed: bool) -> None:
        """The first call has returned this; whether every block of it ran."""
        values = output_tensors(output)
        if values is None:
            self.why_none = UNLIKE
            return
        self._held.put(tuple(x.detach() for x in values))
        self._form, self.computed = OutputForm.of(output), computed

    @property
    def form(self) -> OutputForm | None:
        """How it was returned; None where there is nothing."""
        return self._form

    def values(self) -> list[torch.Tensor] | None:
        """Its tensors as they were; None where there are none, or somebody has altered them."""
        if self._held.altered():  # from now on copies are kept
            self.begin_step()
            self.why_none = ALTERED
        kept = self._held.tensors
        return None if kept is None else [x for x in kept if x is not None]


class BranchDifference:
    """One later guidance branch: how its output last differed from the first branch's.

    Keeps one tensor of the size of each output.
    """

    def __init__(self) -> None:
        self._difference: list[torch.Tensor] = []
        self.why_none = NOT_CACHED  # why there is nothing to estimate with, where that is so

    @property
    def tensors(self) -> list[torch.Tensor]:
        """Everything that is kept between steps."""
        return self._difference

    def refusal(self, first: FirstBranch) -> str | None:
        """Why this branch cannot be estimated from the step's first; None if it can."""
        if not self._difference:
            return self.why_none
        values = first.values()
        if values is None:
            return first.why_none
        if kinds_of(values) != kinds_of(self._difference):
            return "what the first guidance branch gives changed shape or type"
        return None

    def leave(self, first: FirstBranch, output: Any) -> tuple[torch.Tensor, torch.Tensor] | None:
        """The branch's call was made, every block of it, as of the first: keep how they differ.

        Returns:
            The estimate that stood ready for its first output, of weights 1, and what came
            instead; None where none did.
        """
        values, before = output_tensors(output), first.values()
        if values is None or before is None or kinds_of(values) != kinds_of(before):
            self._difference = []
            self.why_none = first.why_none if before is None else UNLIKE
            return None
        ready = None
        if self._difference and kinds_of(self._difference) == kinds_of(before):
            ready = before[0] + self._difference[0], values[0].detach()
        self._difference = [x.detach() - y for x, y in zip(values, before, strict=True)]
        return ready

    def give(self, first: FirstBranch, low: float, high: float) -> Any:
        """What the branch's call would return, in the form in which the first returned it.

        Args:
            first: The step's first branch.
            low, high: Weights of the difference's low and high spatial frequencies.
        """
        values, form = first.values(), first.form
        assert values is not None
        assert form is not None
        pairs = zip(values, self._difference, strict=True)
        return form.make([_estimate(x, difference, low, high) for x, difference in pairs])


def _estimate(
    first: torch.Tensor, difference: torch.Tensor, low: float, high: float
) -> torch.Tensor:
    found = first.float().add(difference, alpha=high)
    if low != high and difference.ndim >= PICTURE_AXES:
        found.add_(low_frequencies(difference), alpha=low - high)
    return found.to(first.dtype)


def low_frequencies(x: torch.Tensor) -> torch.Tensor:
    """The low spatial frequencies of pictures `[…, H, W]`, float32.

    Those within a circle around the lowest whose radius is a fifth of the shorter side.
    """
    spectrum = torch.fft.fft2(x.float())
    return torch.fft.ifft2(spectrum * _circle(x.shape[-2], x.shape[-1], x.device)).real


@lru_cache(maxsize=8)
def _circle(height: int, width: int, device: torch.device) -> torch.Tensor:
    """Which entries of a spectrum `[H, W]` are low frequencies."""
    rows = torch.fft.fftfreq(height, 1 / height, device=device).round()
    columns = torch.fft.fftfreq(width, 1 / width, device=device).round()
    reach = min(height, width) // RADIUS
    return rows[:, None] ** 2 + columns[None, :] ** 2 <= reach**2
