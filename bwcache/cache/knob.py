"""A method's setting, described once: what is allowed, how it is read, and what people are told.

Forms, options, links, file formats and the docs are made of it. Standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ..errors import ConfigError, is_number

KnobKind = Literal[
    "number", "whole", "steps", "count", "choice", "numbers", "start", "mask", "name"
]
ROUNDING = 1e-9  # forgives binary fractions: 0.1 of 30 steps is 3, 0.29 of 100 is 29


@dataclass(frozen=True)
class Knob:
    """One setting of a method, described once: what forms, options, links and docs are made of.

    Args:
        name: The config's field.
        kind: "number" (finite float), "whole", "steps" (an int counts steps, a float in (0, 1) is
            a share of all), "count" (a whole number from 1, or None for all), "choice", "numbers"
            (a tuple of finite floats).
        default: Its default.
        title: A few words.
        everybody: One line for everybody.
        expert: One line for experts, with symbol and source.
        low, high: Bounds of numbers, both allowed.
        choices: Value and title of each choice.
        basic: Whether it stands in sight; the others are for experts.
    """

    name: str
    kind: KnobKind
    default: Any
    title: str
    everybody: str
    expert: str
    low: float = 0
    high: float = math.inf
    choices: tuple[tuple[str, str], ...] = ()
    basic: bool = False

    @property
    def allowed(self) -> str:
        """What may be given, in words."""
        if self.kind == "choice":
            return " or ".join(repr(value) for value, _ in self.choices)
        if self.kind == "steps":
            return "a whole number of steps from 1, or a share of the steps between 0 and 1"
        if self.kind == "start":
            return "a whole number of steps from 0, or a share of the steps from 0 to below 1"
        if self.kind == "mask":
            return "a letter a step: C computes it, R reuses it, ? leaves it to the method"
        if self.kind == "count":
            return "a whole number from 1, or None for all"
        if self.kind == "numbers":
            return "a list of finite numbers"
        if self.kind == "name":
            return "a model's name in the catalogue, or a JSON file"
        what = "a whole number" if self.kind == "whole" else "a number"
        if self.high < math.inf:
            return f"{what} from {self.low:g} to {self.high:g}"
        if self.kind == "whole":
            return f"{what} from {self.low:g}"
        return f"a finite number of at least {self.low:g}"

    def check(self, value: object) -> None:
        """Refuse a value that is not allowed.

        Raises:
            ConfigError: Naming the field, what was given and what is allowed.
        """
        if not self._allows(value):
            raise ConfigError(self.name, value, self.allowed)

    def _allows(self, value: Any) -> bool:
        whole = isinstance(value, int) and not isinstance(value, bool)
        match self.kind:
            case "choice":
                return isinstance(value, str) and value in dict(self.choices)
            case "steps":
                return (whole and value >= 1) or (isinstance(value, float) and 0 < value < 1)
            case "start":
                return (whole and value >= 0) or (isinstance(value, float) and 0 <= value < 1)
            case "mask":
                return isinstance(value, str) and not set(value) - set("CR?")
            case "count":
                return value is None or (whole and value >= 1)
            case "name":
                return isinstance(value, str)
            case "numbers":
                return isinstance(value, tuple) and all(
                    is_number(each) and math.isfinite(each) for each in value
                )
            case "whole":
                return whole and self.low <= value <= self.high
        return is_number(value) and math.isfinite(value) and self.low <= value <= self.high

    def read(self, text: str) -> Any:
        """The value that a text stands for, checked: "3", "0.1", "all", "1.0,1.02".

        Raises:
            ConfigError: It stands for none that is allowed.
        """
        value: object = text
        try:
            match self.kind:
                case "number":
                    value = float(text)
                case "whole":
                    value = int(text)
                case "steps" | "start":
                    value = int(text) if text.strip().lstrip("+-").isdigit() else float(text)
                case "mask":
                    value = text.strip().upper()
                case "count":
                    value = None if text.strip() == "all" else int(text)
                case "numbers":
                    value = tuple(float(part) for part in text.split(","))
        except ValueError:
            raise ConfigError(self.name, text, self.allowed) from None
        self.check(value)
        return value


def knob(
    default: Any,
    kind: KnobKind,
    title: str,
    everybody: str,
    expert: str,
    *,
    low: float = 0,
    high: float = math.inf,
    choices: Sequence[tuple[str, str]] = (),
    basic: bool = False,
    by_name: bool = False,
) -> Any:
    """A dataclass field that carries its description; see `Knob` for the arguments.

    `by_name` makes it one that is given by its name only, behind a method's own in every list.
    """
    about = Knob("", kind, default, title, everybody, expert, low, high, tuple(choices), basic)
    return field(default=default, metadata={"knob": about}, kw_only=by_name)


def steps_of(setting: int | float, num_steps: int) -> int:
    """A number of steps as a setting gives it: counted, or as a share of all, rounded down."""
    if isinstance(setting, int):
        return setting
    return math.floor(setting * num_steps + ROUNDING)
