"""A Space's folder as `deploy --dry-run` writes it."""

import subprocess
import sys
from pathlib import Path

from ..environments import ROOT


def deployed(folder: Path, hardware: str) -> Path:
    """The folder for that hardware, written by the command itself."""
    command = [sys.executable, "-m", "bwcache", "deploy", "somebody/their-space"]
    command += ["--hardware", hardware, "--dry-run", "--out", str(folder)]
    subprocess.run(command, check=True, cwd=ROOT)
    return folder
