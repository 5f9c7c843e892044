"""What this machine is, in words, for whoever reads a number measured on it."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

import torch

from .. import __version__

PACKAGES = ("torch", "diffusers", "transformers")


def default_device() -> str:
    """The name "cuda" where there is a CUDA GPU, else "cpu"."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def processor() -> str:
    """Name and cores of the processor: "AMD EPYC, 2 cores"."""
    name = platform.processor() or platform.machine()
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        lines = listing.read_text(encoding="utf-8", errors="replace").splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        name = names[0] if names else name
    return f"{name}, {os.cpu_count()} cores"


def describe_device(device: str) -> str:
    """The hardware behind a device: "cuda: NVIDIA H200", "cpu: AMD EPYC, 2 cores"."""
    if device.startswith("cuda"):
        return f"{device}: {torch.cuda.get_device_name(device)}"
    return f"{device}: {processor()}"


def versions() -> dict[str, str]:
    """Of bwcache, Python and what a result depends on."""
    own = {"bwcache": __version__, "python": platform.python_version()}
    return own | {name: version(name) for name in PACKAGES}


def on_zerogpu() -> bool:
    """Whether this is a ZeroGPU Space."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")
