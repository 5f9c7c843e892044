"""How a result's numbers are rounded: once, so that a sentence and a tile say the same.

The browser does likewise in `ui/static/lib/numbers.js`. Standard library only.
"""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal

EXACT = 9  # significant digits of a number that is rounded once more where it is shown
SECONDS = "seconds"  # a format of `Shown`, beside those such as ".1f"


def rounded(value: float | None, digits: int = 4) -> float | None:
    """A float with so many significant digits, None where it is not finite; the rest as it is."""
    if not isinstance(value, float):
        return value
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None


class Shown(float):
    """A number in a text: rounded as the panel's rows are, then as a browser rounds.

    Its formats are those of a fixed number of digits, and "seconds": two digits below a second,
    else one. As in browsers, what counts are the decimal digits of the number, and a half is
    rounded up.
    """

    def __new__(cls, value: float) -> Shown:
        found = rounded(float(value), EXACT)
        return super().__new__(cls, value if found is None else found)

    def __format__(self, spec: str) -> str:
        value = float(self)
        digits = _digits(value, spec)
        if digits is None or not math.isfinite(value):
            return format(value, "" if spec == SECONDS else spec)
        step = Decimal(1).scaleb(-digits)
        return str(Decimal(repr(value)).quantize(step, rounding=ROUND_HALF_UP))


def _digits(value: float, spec: str) -> int | None:
    if spec == SECONDS:
        return 2 if abs(value) < 1 else 1
    fixed = spec.startswith(".") and spec.endswith("f") and spec[1:-1].isdigit()
    return int(spec[1:-1]) if fixed else None
