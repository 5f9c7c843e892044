"""What one guidance branch keeps between steps, and the arithmetic of a replay.

Pure tensor code: knows nothing of steps, policies or pipelines.
"""

from __future__ import annotations

import torch

from .methods.bwcache import BWCacheConfig
from .probes import Samples

Tensors = tuple[torch.Tensor | None, ...]

# A forecast is `residual + reach · (1 − share) · change`: the reach in gaps between the two steps
# that the change was taken from, the share that it is of the residual. On TinyWorld straight
# extrapolation (no limit, no share) fell up to 25 dB below holding; see `bench methods` for this.
LONGEST_REACH = 0.5
LEAST_COMPUTED = 3  # what follows the run's first step, from pure noise, is not yet a trend


class Branch:
    """The memory of one branch: sampled features, and what a reused step replays.

    Args:
        config: The settings.
        alternating: Whether the stack's last block sees frames and tokens the other way round
            than its first (see `BlockStack`).
    """

    def __init__(self, config: BWCacheConfig, alternating: bool = False):
        self._config, self._alternating = config, alternating
        self._keeps = config.threshold > 0  # a run that only measures has nothing to replay
        self.samples = Samples(config.indicator_tokens)
        self.ratios: torch.Tensor | None = None
        self.replayed: Tensors | None = None
        self._change: Tensors | None = None
        self._computed = 0
        self._level = self._gap = 0.0
        self._stack_input: Tensors | None = None
        self._kind: list | None = None

    def refusal(self, stack_input: Tensors) -> str | None:
        """Why these inputs cannot be answered by a replay; None if they can."""
        if self.replayed is None and self._kind is None:
            return "nothing is cached for this call yet"
        if self.replayed is None:
            return "the last block did not run, so there is nothing to replay"
        return None if _kind(stack_input) == self._kind else "the features changed shape or type"

    def enter(self, stack_input: Tensors, reusing: bool) -> None:
        """The stack is about to run on these inputs, or to be passed by."""
        self.samples.begin()
        self._stack_input = stack_input if reusing or self._needs_input else None
        if not reusing and self._config.reuse != "forecast":
            self.replayed = None  # about to be replaced: its memory serves the blocks meanwhile
        if not reusing:
            self._kind = _kind(stack_input)

    def leave(self, stack_output: Tensors, level: float) -> None:
        """The stack has run, at this noise level: keep what a reused step would replay."""
        if not self._keeps:
            return
        if self._config.reuse == "output":
            self.replayed = tuple(None if x is None else x.detach() for x in stack_output)
            return
        before = self._inputs_as_last_block_sees_them(stack_output)
        self._stack_input = None
        residual = _each(_residual, stack_output, before)
        if self._config.reuse == "forecast":
            self._follow(residual, level)
        self.replayed, self._level = residual, level

    def replay(self, passed_by: Tensors, level: float) -> Tensors:
        """What the stack would give at this noise level, as its last block returns it."""
        if self._config.reuse == "output":
            return self.replayed
        before = self._inputs_as_last_block_sees_them(passed_by)
        self._stack_input = None
        result = _each(_with_residual, before, self.replayed)
        reach = self._reach(level)
        if reach:
            result = _each(lambda x, change: x.add_(change, alpha=reach), result, self._change)
        return result

    # -- inside ---------------------------------------------------------------------------------

    @property
    def _needs_input(self) -> bool:
        return self._keeps and self._config.reuse != "output"

    def _follow(self, residual: Tensors, level: float) -> None:
        """Keep how the residual changed since the last computed step, as far as it is a trend."""
        self._change, self._computed = None, self._computed + 1
        if self._computed < LEAST_COMPUTED or _kind(self.replayed) != _kind(residual):
            return
        self._gap = level - self._level
        if self._gap:
            self._change = _each(_trend, residual, self.replayed)

    def _reach(self, level: float) -> float:
        """How many times the last change is added; 0 holds the last residual."""
        if self._change is None:
            return 0.0
        return max(0.0, min((level - self._level) / self._gap, LONGEST_REACH))

    def _inputs_as_last_block_sees_them(self, like: Tensors) -> Tensors:
        if not self._alternating:
            return self._stack_input
        return tuple(map(_swap_frames_and_tokens, self._stack_input, like))


def _residual(after: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
    """What the stack added; its output where a stream begins and ends as different things."""
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


def _kind(tensors) -> list:
    return [None if x is None else (x.shape, x.dtype, x.device) for x in tensors]


def _swap_frames_and_tokens(features: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """`[B·F, tokens, C]` as `[B·tokens, F, C]`, F being that of `like`."""
    by_frame = features.unflatten(0, (-1, like.shape[1]))
    return by_frame.transpose(1, 2).flatten(0, 1)
