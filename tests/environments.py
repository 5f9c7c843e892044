"""Fresh environments: virtual ones without a package, and variables that say nothing."""

import os
import subprocess
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def clean() -> dict[str, str]:
    """This process's variables, but those that would reach Python, the hub or the page, or keep
    pip from saying what it would do."""
    named = ("PYTHON", "VIRTUAL_ENV", "HF_", "GRADIO_", "BWCACHE_", "SPACE", "PIP_QUIET")
    return {key: value for key, value in os.environ.items() if not key.startswith(named)}


def fresh_python(folder: Path, *install: str) -> Path:
    """A new virtual environment's Python, with these arguments of `pip install` carried out."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    if install:
        pip(python, "install", "--no-compile", *install)  # the few that are used, Python compiles
    return python


def pip(python: Path, *arguments: str) -> str:
    """What pip says to these arguments; the test fails with it where pip does."""
    command = [str(python), "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=clean(), cwd=python.parent)
    if done.returncode:
        pytest.fail(f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return done.stdout
