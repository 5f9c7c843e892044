"""What stands in for a span of blocks that does not run: replays as typed objects.

A replay sees what goes into its span and what comes out of it whenever the span is computed, and
gives the output where it is not. Pure tensor code: knows nothing of steps, methods or pipelines.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

import torch

from .ask import NOT_CACHED
from .in_place import Held, Tensors
from .ranks import Ranks

# A forecast is `residual + reach · (1 − share) · change`: the reach in gaps between the two steps
# that the change was taken from, the share that it is of the residual. On TinyWorld straight
# extrapolation (no limit, no share) fell up to 25 dB below holding; see `bench replays` for this.
LONGEST_REACH = 0.5
LEAST_COMPUTED = 3  # what follows the run's first step, from pure noise, is not yet a trend


class Residual:
    """Replays what the span last added to its input: `x + (out − in)`.

    Args:
        swapped: Whether the span's last block sees frames and tokens the other way round than its
            first (see `BlockStack.alternating`).
        ranks: The processes among which the blocks split a video's tokens, if they do.
    """

    keeps_old = False  # whether the last residual is needed while the span is computed anew
    needs_input = True

    def __init__(self, swapped: bool = False, ranks: Ranks | None = None):
        self._swapped, self._ranks = swapped, ranks
        self._input, self._passed, self._results = Held(), Held(), Held()
        self._kind: list | None = None
        self._entered: Tensors = ()
        self._in_place: list[bool] = []
        self._why_none = NOT_CACHED

    @property
    def kept(self) -> Tensors | None:
        """What a replay is made of; None where there is nothing to replay."""
        return self._results.tensors

    @property
    def tensors(self) -> list[torch.Tensor]:
        """Everything that is kept between steps."""
        return [x for x in self.kept or () if x is not None]

    def refusal(self, inputs: Tensors) -> str | None:
        """Why these inputs cannot be answered by a replay; None if they can."""
        if self.kept is not None and self._results.altered():
            self._forget("what the blocks gave was altered in place behind them")
        if self.kept is None:
            return self._why_none
        return None if _kind(inputs) == self._kind else "the features changed shape or type"

    def compute(self, inputs: Tensors) -> None:
        """The span is about to run on these inputs."""
        if self.needs_input:
            self._input.put(inputs)
            self._entered = inputs
        if self._results.altered() or not self.keeps_old:
            self._results.drop()  # about to be replaced: its memory serves the blocks meanwhile
        self._kind = _kind(inputs)

    def follow_lead(self, added: torch.Tensor) -> None:
        """What the block before the span added to its input, where a probe measures that."""

    def drop(self) -> None:
        """Part of the span did not run: what comes out is not to be kept."""
        self._forget("the last block did not run, so there is nothing to replay")

    def leave(self, outputs: Tensors, level: float, lent: bool = False) -> None:
        """The span has run, at this noise level: keep what a replay needs.

        Args:
            outputs: What it returned.
            level: The noise level.
            lent: Whether they lie in memory that the next call writes into, which no version
                counter tells: CUDA graphs return every call's result there, another guidance
                branch's too.
        """
        if self._input.altered(outputs):
            return self._forget("the blocks altered their input in place")
        before = self._seen_by_last_block(self._input.tensors, outputs)
        self._results.put(_each(_residual, outputs, before), own=_all_alike(outputs, before))
        if self._input.copying:
            self._in_place = [x is y for x, y in zip(outputs, self._entered, strict=True)]
        self._input.drop()
        self._entered = ()
        return None

    def skip(self, inputs: Tensors) -> None:
        """The span is about to be passed by, with these inputs."""
        if self.needs_input:
            self._passed.put(inputs, carefully=True)
            self._entered = inputs

    def give(self, passed: Tensors, level: float) -> Tensors:
        """What the span would give at this noise level, as its last block returns it.

        Args:
            passed: What reached the last block of the span, passed by the others.
            level: The noise level.
        """
        self._passed.altered()
        before = self._seen_by_last_block(self._passed.tensors, passed)
        self._passed.drop()
        given, entered, self._entered = _each(_with_residual, before, self.kept), self._entered, ()
        if any(self._in_place):  # such blocks leave their result where their input was
            pairs = zip(self._in_place, entered, given, strict=True)
            given = tuple(x.copy_(y) if here else y for here, x, y in pairs)
        return given

    def _forget(self, why: str) -> None:
        self._results.drop()
        self._input.drop()
        self._entered, self._why_none = (), why

    def _quotient(self, of: torch.Tensor, by: torch.Tensor) -> torch.Tensor:
        """‖of‖₁ / ‖by‖₁ over the whole video, whatever part of it is here."""
        sizes = torch.stack([torch.linalg.vector_norm(x, 1, dtype=torch.float32) for x in (of, by)])
        if self._ranks is not None:
            sizes = self._ranks.add_up(sizes)
        return sizes[0] / sizes[1]

    def _seen_by_last_block(self, inputs: Tensors, like: Tensors) -> Tensors:
        if self._swapped:
            inputs = tuple(map(_swap_frames_and_tokens, inputs, like))
        if self._ranks is not None:
            inputs = tuple(map(self._ranks.part, inputs, self.kept or like))
        return inputs


class Output(Residual):
    """Replays what the span last gave."""

    needs_input = False

    def leave(self, outputs: Tensors, level: float, lent: bool = False) -> None:
        own = (None if x is None else x.detach().clone() if lent else x.detach() for x in outputs)
        self._results.put(tuple(own))

    def give(self, passed: Tensors, level: float) -> Tensors:
        if self._results.copying:  # what is kept must not be altered by whoever is given it
            return tuple(None if x is None else x.clone() for x in self.kept)
        return self.kept


class ChunkResidual(Residual):
    """Replays each chunk's residual from when that chunk was last computed."""

    keeps_old = True

    def __init__(self, swapped: bool = False, ranks: Ranks | None = None):
        super().__init__(swapped, ranks)
        self._to_hold: torch.Tensor | None = None
        self._held: torch.Tensor | None = None

    def hold(self, tokens: torch.Tensor) -> None:
        """In the call that is about to run, the residual of these tokens stays what it is."""
        self._to_hold = tokens

    def compute(self, inputs: Tensors) -> None:
        self._held, self._to_hold = self._to_hold, None
        super().compute(inputs)

    def leave(self, outputs: Tensors, level: float, lent: bool = False) -> None:
        before, held, self._held = self.kept, self._held, None
        super().leave(outputs, level)
        if held is not None and before is not None and self.kept is not None:
            # not what adding and subtracting made of it, which would drift
            put_back = lambda now, then: now.index_copy(1, held, then[:, held])  # noqa: E731
            self._results.put(_each(put_back, self.kept, before), own=True)


class ForecastResidual(Residual):
    """Continues the residual along its last change, linear in the noise level, and damped."""

    keeps_old = True

    def __init__(self, swapped: bool = False, ranks: Ranks | None = None):
        super().__init__(swapped, ranks)
        self._change: Tensors | None = None
        self._computed = 0
        self._level = self._gap = 0.0

    @property
    def tensors(self) -> list[torch.Tensor]:
        return [*super().tensors, *(x for x in self._change or () if x is not None)]

    def leave(self, outputs: Tensors, level: float, lent: bool = False) -> None:
        last = self.kept
        super().leave(outputs, level, lent)
        if self.kept is None:
            self._change = None
            return
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
            self._change = _each(self._trend, self.kept, last)

    def _trend(self, residual: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
        """The change since `before`, less the share that it is of the residual.

        A change as large as the residual itself says nothing of what comes next. The share stays
        on the device: nothing here waits for the host.
        """
        change = residual - before
        share = self._quotient(change, residual)
        return change.mul_((1 - share).clamp(0, 1).nan_to_num(0.0).to(change.dtype))

    def _reach(self, level: float) -> float:
        """How many times the last change is added; 0 holds the last residual."""
        if self._change is None:
            return 0.0
        return max(0.0, min((level - self._level) / self._gap, LONGEST_REACH))


class Taylor(Residual):
    """Continues the residual by its finite differences, a Taylor series in the number of steps.

    Source: TaylorSeer, arXiv 2503.06923, Eq. 4-6, on a span's residual. Its clock counts the steps
    in which the span was computed or replayed.
    """

    keeps_old = True
    order = 1

    def __init__(self, swapped: bool = False, ranks: Ranks | None = None):
        super().__init__(swapped, ranks)
        self._derivatives: list[Tensors] = []
        self._clock = self._at = self._computed = 0

    @property
    def tensors(self) -> list[torch.Tensor]:
        own = [x for each in self._derivatives for x in each if x is not None]
        return [*super().tensors, *own]

    def compute(self, inputs: Tensors) -> None:
        self._clock += 1
        super().compute(inputs)

    def skip(self, inputs: Tensors) -> None:
        self._clock += 1
        super().skip(inputs)

    def leave(self, outputs: Tensors, level: float, lent: bool = False) -> None:
        last, derivatives, self._derivatives = self.kept, self._derivatives, []
        super().leave(outputs, level, lent)
        gap, self._at, self._computed = self._clock - self._at, self._clock, self._computed + 1
        if self._computed < LEAST_COMPUTED or last is None or self.kept is None:
            return
        if _kind(last) != _kind(self.kept):
            return
        now = self.kept
        for before in [last, *derivatives][: self.order]:
            now = _each(lambda x, y: (x - y) / gap, now, before)
            self._derivatives.append(now)

    def give(self, passed: Tensors, level: float) -> Tensors:
        result, ahead = super().give(passed, level), self._clock - self._at
        if result is self.kept and self._derivatives:  # what is added to must be nobody else's
            result = tuple(None if x is None else x.clone() for x in result)
        for n, each in enumerate(self._derivatives, 1):
            factor = ahead**n / math.factorial(n)
            result = _each(lambda x, change, f=factor: x.add_(change, alpha=f), result, each)
        return result


class TaylorOutput(Taylor, Output):
    """The same of what the span gives: of a module, whose input it does not add to."""


class Mix(Residual):
    """Continues the residual as far as the block before the span has moved: r₋₂ + γ (r₋₁ − r₋₂).

    γ = ‖p − p₋₂‖₁ / ‖p₋₁ − p₋₂‖₁ within [1, 2], p being what that block adds to its input. It stays
    on the device: nothing here waits for the host.

    Source: DiCache, arXiv 2508.17356.
    """

    keeps_old = True

    def __init__(self, swapped: bool = False, ranks: Ranks | None = None):
        super().__init__(swapped, ranks)
        self._before: Tensors | None = None
        self._leads: tuple[torch.Tensor | None, torch.Tensor | None] = (None, None)
        self._lead: torch.Tensor | None = None

    @property
    def tensors(self) -> list[torch.Tensor]:
        own = (*(self._before or ()), *self._leads)
        return [*super().tensors, *(x for x in own if x is not None)]

    def follow_lead(self, added: torch.Tensor) -> None:
        self._lead = added.detach()

    def leave(self, outputs: Tensors, level: float, lent: bool = False) -> None:
        last = self.kept
        super().leave(outputs, level, lent)
        alike = last is not None and self.kept is not None and _kind(last) == _kind(self.kept)
        self._before = last if alike else None
        self._leads, self._lead = (self._leads[1], self._lead), None

    def give(self, passed: Tensors, level: float) -> Tensors:
        result = super().give(passed, level)
        beyond, self._lead = self._beyond(), None
        if beyond is None or self._before is None:
            return result
        return _each(
            lambda x, now, before: x.add_((now - before) * beyond.to(now)),
            result,
            self.kept,
            self._before,
        )

    def _beyond(self) -> torch.Tensor | None:
        """γ − 1; None where there is nothing to tell it from."""
        now, (before, last) = self._lead, self._leads
        if now is None or before is None or last is None or now.shape != before.shape:
            return None
        gamma = self._quotient(now - before, last - before)
        return gamma.nan_to_num(1.0).clamp(1, 2) - 1


def _of_order(kind: type[Taylor], order: int) -> type[Taylor]:
    return type(f"{kind.__name__}{order}", (kind,), {"order": order})


HIGHEST_ORDER = 4
REPLAYS: Mapping[str, type[Residual]] = MappingProxyType(
    {"residual": Residual, "output": Output, "forecast": ForecastResidual, "mix": Mix}
    | {"chunks": ChunkResidual}
    | {f"taylor:{n}": _of_order(Taylor, n) for n in range(HIGHEST_ORDER + 1)}
    | {f"taylor_output:{n}": _of_order(TaylorOutput, n) for n in range(HIGHEST_ORDER + 1)}
)


def _residual(after: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
    """What the span added; its output where a stream begins and ends as different things."""
    return after - before.to(after.device) if after.shape == before.shape else after


def _with_residual(before: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
    same = residual.shape == before.shape
    return before.to(residual.device) + residual if same else residual.clone()


def _each(function, *streams: Tensors) -> Tensors:
    """A function over streams in parallel; a stream that is None stays None."""
    groups = list(zip(*streams, strict=True))
    gone = [any(x is None for x in group) for group in groups]
    return tuple(None if g else function(*x).detach() for x, g in zip(groups, gone, strict=True))


def _all_alike(outputs: Tensors, inputs: Tensors) -> bool:
    pairs = zip(outputs, inputs, strict=True)
    return all(x is None or y is None or x.shape == y.shape for x, y in pairs)


def _kind(tensors: Tensors) -> list:
    return [None if x is None else (x.shape, x.dtype, x.device) for x in tensors]


def _swap_frames_and_tokens(features: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """`[B·F, tokens, C]` as `[B·tokens, F, C]`, F being that of `like`; and the other way."""
    by_frame = features.unflatten(0, (-1, like.shape[1]))
    return by_frame.transpose(1, 2).flatten(0, 1)
