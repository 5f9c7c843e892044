"""Settings of the caching method, checked once and then immutable. Standard library only."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Literal, get_args

from ...errors import ConfigError, is_number

Reuse = Literal["residual", "output", "forecast"]
Gate = Literal["once", "recheck"]
REUSE_NAMES: dict[str, str] = {
    "residual": "BWCache (paper)",
    "forecast": "BWCache + forecast",
    "output": "BWCache (block output)",
}
ROUNDING = 1e-9  # forgives binary fractions: 0.1 of 30 steps is 3, 0.29 of 100 is 29


@dataclass(frozen=True)
class BWCacheConfig:
    """How BWCache decides and what it replays.

    Args:
        threshold: δ. Caching starts after the first step whose indicator is below it. Any finite
            number ≥ 0; 0 measures and never reuses. The paper's 0.15 does not transfer between
            models: look at the indicator's measured range first.
        reuse_interval: R, the steps reused after a computed one. An int counts steps; a float in
            (0, 1) is a share of all steps, rounded down, at least one. The paper's default is 0.1.
        tail_fraction: The last `floor(k * tail_fraction)` steps are computed whatever the pattern
            says, k being the 0-based trigger step. 0.5 in the paper.
        reuse: "residual" replays `x + (out - in)` of the whole block stack, as the released code
            is described; "output" replays the last block's output, as the paper's text reads;
            "forecast" is ours: the residual, continued along its last change, linear in the noise
            level and damped (see `branch.py`), at the price of one more tensor a branch.
            On TinyWorld they are equally good: 39.2 dB each, mean of twelve settings on eight
            prompts (`assets/results/tinyworld-presets.json`).
        gate: "once" keeps the fixed pattern after the trigger; "recheck" reuses after a computed
            step only when that step's indicator is below the threshold too.
        indicator_blocks: How many evenly spaced blocks are measured; None for all. Leaving blocks
            out costs more in wrong decisions than it saves.
        indicator_tokens: How many evenly spaced tokens of each are measured, over a whole batch;
            None for all. With 128 the decision was the exact one for 99.8 % of TinyWorld's steps
            (`assets/results/sampling-tinyworld.json`).

    Raises:
        ConfigError: A field is of the wrong kind or out of its bounds.

    Source: arXiv 2509.13789, Eq. 5-8. "residual" and "recheck" are second readings of it.
    """

    threshold: float = 0.15
    reuse_interval: int | float = 0.1
    tail_fraction: float = 0.5
    reuse: Reuse = "residual"
    gate: Gate = "once"
    indicator_blocks: int | None = None
    indicator_tokens: int | None = 128

    def __post_init__(self) -> None:
        self._check_number("threshold", 0, math.inf, "a finite number of at least 0")
        self._check_number("tail_fraction", 0, 1, "a number from 0 to 1")
        interval = self.reuse_interval
        whole = isinstance(interval, int) and not isinstance(interval, bool) and interval >= 1
        if not whole and not (isinstance(interval, float) and 0 < interval < 1):
            allowed = "a whole number of steps from 1, or a share of the steps between 0 and 1"
            raise ConfigError("reuse_interval", interval, allowed)
        for field, choices in (("reuse", get_args(Reuse)), ("gate", get_args(Gate))):
            if getattr(self, field) not in choices:
                raise ConfigError(field, getattr(self, field), " or ".join(map(repr, choices)))
        for field in ("indicator_blocks", "indicator_tokens"):
            value = getattr(self, field)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
                raise ConfigError(field, value, "a whole number from 1, or None for all")
            if value is not None and value < 1:
                raise ConfigError(field, value, "a whole number from 1, or None for all")

    def _check_number(self, field: str, low: float, high: float, allowed: str) -> None:
        value = getattr(self, field)
        if not is_number(value) or not math.isfinite(value) or not low <= value <= high:
            raise ConfigError(field, value, allowed)

    def interval_steps(self, num_steps: int) -> int:
        """R in steps, for a run of `num_steps`."""
        if isinstance(self.reuse_interval, int):
            return self.reuse_interval
        return max(1, math.floor(self.reuse_interval * num_steps + ROUNDING))

    def tail_steps(self, trigger_step: int) -> int:
        """How many last steps are computed whatever the pattern says."""
        return math.floor(trigger_step * self.tail_fraction + ROUNDING)

    def measuring(self) -> BWCacheConfig:
        """Settings for an uncached run that measures just as a run with these would."""
        return BWCacheConfig(
            threshold=0.0,
            indicator_blocks=self.indicator_blocks,
            indicator_tokens=self.indicator_tokens,
        )

    def as_dict(self) -> dict[str, object]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: object) -> BWCacheConfig:
        """The config a file describes; unknown fields are refused."""
        if not isinstance(data, dict):
            raise ConfigError("config", data, "an object of settings")
        known = [field.name for field in fields(cls)]
        for name in data:
            if name not in known:
                raise ConfigError("config", name, f"one of {', '.join(known)}")
        return cls(**data)


def parse_interval(text: str) -> int | float:
    """A reuse interval as typed: "3" counts steps, "0.1" is a share of them."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        raise ConfigError("reuse_interval", text, "a number such as 3 or 0.1") from None
