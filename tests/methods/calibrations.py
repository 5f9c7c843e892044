"""Small calibrations written down by hand, in a folder of a test's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bwcache.cache.calibration import FORMAT, VARIABLE, VERSION
from bwcache.cache.methods import METHODS

FLAT = {  # for any number of steps: nothing much changes
    "magcache": {"ratios": [1.0] * 4},
    "smoothcache": {"errors": [[0.1, 0.2, 0.3]] * 4},
    "lemica": {"errors": [[0.1, 0.2, 0.3]] * 4},
    "block_caching": {"changes": [[0.1]] * 4},
    "bac": {"similarities": [[[0.9, 0.8, 0.7]] * 4]},
}


def write(folder: Path, method: str, numbers: dict, steps: int = 6, model: str = "mine") -> None:
    """Write a file as `bwcache calibrate` would, for a model of that name."""
    path = folder / model / f"{method}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    data = {"format": FORMAT, "version": VERSION, "method": method, "model": model}
    data |= {"made": {}, "borrowed": "", "by_steps": {str(steps): numbers}}
    path.write_text(json.dumps(data), encoding="utf-8")


@pytest.fixture
def calibrations(tmp_path, monkeypatch) -> Path:
    """The folder, which stands before the package's own; every method has one for "mine"."""
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    for method, numbers in FLAT.items():
        write(tmp_path, method, numbers)
    return tmp_path


def needing() -> list[str]:
    """The methods that cannot run without one."""
    return [name for name, method in METHODS.items() if method.needs_calibration]
