"""What was measured on a model beforehand, for methods that need it: small JSON files.

    FOLDER/MODEL/METHOD.json

    {"format": "bwcache-calibration", "version": 1, "method": "smoothcache", "model": "tinyworld",
     "made": {"date": …, "prompts": […], …},         where it is from
     "borrowed": "",                                 whose it is where it was not measured here
     "by_steps": {"30": {"errors": […]}}}            the numbers, by the number of steps

Looked for in the folder that the variable BWCACHE_CALIBRATIONS names, by default the user's own,
then in the package, which brings those of TinyWorld. `python -m bwcache calibrate` writes them.
Standard library only.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from ..errors import ConfigError
from ..files import parse_json, read_text

FORMAT, VERSION = "bwcache-calibration", 1
SHIPPED = Path(__file__).parent / "calibrations"
VARIABLE = "BWCACHE_CALIBRATIONS"
Each = TypeVar("Each")


@dataclass(frozen=True)
class Calibration:
    """What a file holds.

    Args:
        method, model: What it belongs to.
        made: When, on which prompts, shapes and versions, and with which scheduler.
        borrowed: Whose numbers they are, where nobody has measured them with this program.
        by_steps: The numbers by the number of denoising steps that they were measured with.
    """

    method: str
    model: str
    made: Mapping[str, Any]
    borrowed: str
    by_steps: Mapping[int, Mapping[str, Any]]

    def nearest(self, num_steps: int) -> tuple[int, Mapping[str, Any]]:
        """The numbers for the nearest number of steps, and that number."""
        steps = min(self.by_steps, key=lambda each: (abs(each - num_steps), each))
        return steps, self.by_steps[steps]

    def said(self, num_steps: int) -> str:
        """Where the numbers for a run are from, in a few words."""
        if self.borrowed:
            return f"borrowed, uncalibrated here: {self.borrowed}"
        steps, _ = self.nearest(num_steps)
        exactly = "" if steps == num_steps else f", the nearest to {num_steps}"
        return f"calibrated on {self.model} with {steps} steps{exactly}"


def folders() -> list[Path]:
    """Where files are looked for, first to last."""
    own = os.environ.get(VARIABLE) or Path.home() / ".cache" / "bwcache" / "calibrations"
    return [Path(own), SHIPPED]


def path_of(reference: str, method: str) -> Path | None:
    """The file of a model's name, or of a path; None where there is none.

    Args:
        reference: A model's name; or a path, which has a separator or ends in ".json".
        method: Its name.
    """
    if not reference:
        return None
    if Path(reference).name != reference or reference.endswith(".json"):
        return Path(reference) if Path(reference).is_file() else None
    paths = (folder / reference / f"{method}.json" for folder in folders())
    return next((path for path in paths if path.is_file()), None)


def is_known(model: str, method: str) -> bool:
    """Whether a method has been calibrated on a model of that name."""
    return Path(model).name == model and path_of(model, method) is not None


def find(reference: str, method: str) -> Calibration | None:
    """What was measured; None where nothing was.

    Raises:
        ConfigError: The file is damaged or of another method.
    """
    path = path_of(reference, method)
    return None if path is None else _read(path, path.stat().st_mtime_ns, method)


def needed(reference: str, method: str) -> Calibration:
    """The same where it has to be there.

    Raises:
        ConfigError: It is not; names the command that makes it.
    """
    found = find(reference, method)
    if found is None:
        model = reference or "MODEL"
        allowed = (
            "a model on which this method was calibrated, or a file: "
            f"`python -m bwcache calibrate {method} {model}` makes one"
        )
        raise ConfigError("calibration", reference, allowed)
    return found


@lru_cache(maxsize=64)
def _read(path: Path, changed: int, method: str) -> Calibration:
    try:
        data = parse_json(read_text(path))
        by_steps = {int(steps): dict(numbers) for steps, numbers in data["by_steps"].items()}
        right = data["format"] == FORMAT and data["version"] == VERSION and bool(by_steps)
        found = Calibration(
            data["method"], data["model"], dict(data["made"]), data["borrowed"], by_steps
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        right = False
    if not right:
        raise ConfigError("calibration", str(path), f"a file of the format {FORMAT} {VERSION}")
    if found.method != method:
        raise ConfigError("calibration", str(path), f"one of {method}, not of {found.method}")
    return found


def resampled(row: Sequence[Each], length: int) -> tuple[Each, ...]:
    """So many of a row's entries, evenly spaced, both ends included: for another step count."""
    if len(row) == length:
        return tuple(row)
    if length == 1:
        return tuple(row[-1:])
    scale = (len(row) - 1) / (length - 1)
    return tuple(row[round(step * scale)] for step in range(length))
