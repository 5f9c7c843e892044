"""What stands in for a span of blocks that does not run: replays as typed objects.

A replay sees what goes into its span and what comes out of it whenever the span is computed, and
gives the output where it is not. Pure tensor code: knows nothing of steps, methods or pipelines.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import torch

Tensors = tuple[torch.Tensor | None, ...]

# A forecast is `residual + reach · (1 − share) · change`: the reach in gaps between the two steps
# that the change was taken from, the share that it is of the residual. On TinyWorld straight
# extrapolation (no limit, no share) fell up to 25 dB below holding; see `bench methods` for this.
LONGEST_REACH = 0.5
LEAST_COMPUTED = 3  # what follows the run's first step, from pure noise, is not yet a trend


class Residual:
    """Replays what the span last added to its input: `x + (out − in)`.

    Args:
        swapped: Whether the span's last block sees frames and tokens the other way round than its
            first (see `BlockStack.alternating`).
    """

    keeps_old = False  # whether the last residual is needed while the span is computed anew
    needs_input = True

    def __init__(self, swapped: bool = False):
        self._swapped = swapped
        self._input: Tensors | None = None
        self._kind: list | None = None
        self.kept: Tensors | None = None

    @property
    def tensors(self) -> list[torch.Tensor]:
        """Everything that is kept between steps."""
        return [x for x in self.kept or () if x is not None]

    def refusal(self, inputs: Tensors) -> str | None:
        """Why these inputs cannot be answered by a replay; None if they can."""
        if self.kept is None and self._kind is None:
            return "nothing is cached for this call yet"
        if self.kept is None:
            return "the last block did not run, so there is nothing to replay"
        return None if _kind(inputs) == self._kind else "the features changed shape or type"

    def compute(self, inputs: Tensors) -> None:
        """The span is about to run on these inputs."""
        self._input = inputs if self.needs_input else None
        if not self.keeps_old:
            self.kept = None  # about to be replaced: its memory serves the blocks meanwhile
        self._kind = _kind(inputs)

    def drop(self) -> None:
        """Part of the span did not run: what comes out is not to be kept."""
        self.kept = self._input = None

    def leave(self, outputs: Tensors, level: float) -> None:
        """The span has run, at this noise level: keep what a replay needs."""
        before, self._input = self._seen_by_last_block(outputs), None
        self.kept = _each(_residual, outputs, before)

    def skip(self, inputs: Tensors) -> None:
        """The span is about to be passed by, with these inputs."""
        self._input = inputs if self.needs_input else None

    def give(self, passed: Tensors, level: float) -> Tensors:
        """What the span would give at this noise level, as its last block returns it.

        Args:
            passed: What reached the last block of the span, passed by the others.
            level: The noise level.
        """
        before, self._input = self._seen_by_last_block(passed), None
        return _each(_with_residual, before, self.kept)

    def _seen_by_last_block(self, like: Tensors) -> Tensors:
        if not self._swapped:
            return self._input
        return tuple(map(_swap_frames_and_tokens, self._input, like))


class Output(Residual):
    """Replays what the span last gave."""

    needs_input = False

    def leave(self, outputs: Tensors, level: float) -> None:
        self.kept = tuple(None if x is None else x.detach() for x in outputs)

    def give(self, passed: Tensors, level: float) -> Tensors:
        return self.kept


class ForecastResidual(Residual):
    """Continues the residual along its last change, linear in the noise level, and damped."""

    keeps_old = True

    def __init__(self, swapped: bool = False):
        super().__init__(swapped)
        self._change: Tensors | None = None
        self._computed = 0
        self._level = self._gap = 0.0

    @property
    def tensors(self) -> list[torch.Tensor]:
        return [*super().tensors, *(x for x in self._change or () if x is not None)]

    def leave(self, outputs: Tensors, level: float) -> None:
        last = self.kept
        super().leave(outputs, level)
        self._follow(last, level)
        self._level = level

    def give(self, passed: Tensors, level: float) -> Tensors:
        result = super().give(passed, level)
        reach = self._reach(level)
        if reach:
            result = _each(lambda x, change: x.add_(change, alpha=reach), result, self._change)
        return result

    def _follow(self, last: Tensors | None, level: float) -> None:
        """Keep how the residual changed since the last computed step, as far as it is a trend."""
        self._change, self._computed = None, self._computed + 1
        if self._computed < LEAST_COMPUTED or last is None or _kind(last) != _kind(self.kept):
            return
        self._gap = level - self._level
        if self._gap:
            self._change = _each(_trend, self.kept, last)

    def _reach(self, level: float) -> float:
        """How many times the last change is added; 0 holds the last residual."""
        if self._change is None:
            return 0.0
        return max(0.0, min((level - self._level) / self._gap, LONGEST_REACH))


REPLAYS: Mapping[str, type[Residual]] = MappingProxyType(
    {"residual": Residual, "output": Output, "forecast": ForecastResidual}
)


def _residual(after: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
    """What the span added; its output where a stream begins and ends as different things."""
    return after - before.to(after.device) if after.shape == before.shape else after


def _with_residual(before: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
    same = residual.shape == before.shape
    return before.to(residual.device) + residual if same else residual.clone()


def _trend(residual: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
    """The change since `before`, less the share that it is of the residual.

    A change as large as the residual itself says nothing of what comes next. The share stays on
    the device: nothing here waits for the host.
    """
    change = residual - before
    share = _size(change) / _size(residual)
    return change.mul_((1 - share).clamp(0, 1).nan_to_num(0.0).to(change.dtype))


def _size(x: torch.Tensor) -> torch.Tensor:
    return torch.linalg.vector_norm(x, 1, dtype=torch.float32)


def _each(function, *streams: Tensors) -> Tensors:
    """A function over streams in parallel; a stream that is None stays None."""
    groups = list(zip(*streams, strict=True))
    gone = [any(x is None for x in group) for group in groups]
    return tuple(None if g else function(*x).detach() for x, g in zip(groups, gone, strict=True))


def _kind(tensors: Tensors) -> list:
    return [None if x is None else (x.shape, x.dtype, x.device) for x in tensors]


def _swap_frames_and_tokens(features: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """`[B·F, tokens, C]` as `[B·tokens, F, C]`, F being that of `like`; and the other way."""
    by_frame = features.unflatten(0, (-1, like.shape[1]))
    return by_frame.transpose(1, 2).flatten(0, 1)
