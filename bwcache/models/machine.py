"""What this machine is: its memory, and in words, for whoever reads a number measured on it.

Importing it loads no torch: only where a GPU is looked at is torch needed.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import psutil

from .. import __version__
from ..errors import ConfigError
from .hub.local_files import free_bytes
from .spec import OFFLOADS, Offload

GB = 1e9
PACKAGES = ("torch", "diffusers", "transformers")
ZERO_GPU_GB = 48.0  # of the size called large
CONTAINER_LIMITS = (  # control groups, version 2 and 1
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


@dataclass(frozen=True)
class Machine:
    """What a model is to run on, in GB (10^9 bytes).

    Args:
        device: "cpu", or "cuda" where there is a CUDA GPU.
        name: For people.
        device_gb: Memory of the GPU; 0 without one.
        free_gb: Of that, what nobody else uses; models that are kept here count as free.
        ram_gb: Memory of the machine, or of the container.
        disk_gb: Room where downloads go.
        zerogpu: Whether the GPU is lent by ZeroGPU for each run.
        place: The device's name where there are several: "cuda:1".
    """

    device: Literal["cpu", "cuda"]
    name: str
    ram_gb: float
    disk_gb: float
    device_gb: float = 0.0
    free_gb: float = 0.0
    zerogpu: bool = False
    place: str = ""

    @property
    def modes(self) -> tuple[Offload, ...]:
        """Offload modes that make sense here, from fastest to lightest.

        Without a GPU there is nowhere to offload from. On ZeroGPU weights are packed at the start
        and are on the GPU when a visitor's seconds begin to count; offloading would move them back
        and forth within those seconds, from memory of another process.
        """
        return OFFLOADS if self.device == "cuda" and not self.zerogpu else OFFLOADS[:1]


def this_machine(device: str | None = None) -> Machine:
    """What this program runs on.

    Args:
        device: "cpu", "cuda", or one of several, as "cuda:1"; the best there is where None.
    """
    import torch

    device = device or default_device()
    ram_gb, disk_gb = ram_bytes() / GB, free_bytes() / GB
    if not device.startswith("cuda"):
        return Machine("cpu", describe_device(device), ram_gb, disk_gb, place=device)
    if on_zerogpu():  # the GPU is not there to be asked
        return Machine("cuda", "ZeroGPU", ram_gb, disk_gb, ZERO_GPU_GB, ZERO_GPU_GB, zerogpu=True)
    free, total = torch.cuda.mem_get_info(device)
    free += torch.cuda.memory_reserved(device)  # by models that would make room
    sizes = (ram_gb, disk_gb, total / GB, free / GB)
    return Machine("cuda", describe_device(device), *sizes, place=device)


def ram_bytes(limits: tuple[Path, ...] = CONTAINER_LIMITS) -> int:
    """The machine's memory, or the container's share of it where a limit is set."""
    amounts = [psutil.virtual_memory().total]
    for path in limits:
        try:
            amounts.append(int(path.read_text(encoding="ascii")))
        except (OSError, ValueError):  # no such group, or "max"
            continue
    return min(amounts)


def default_device() -> str:
    """The name "cuda" where there is a CUDA GPU, else "cpu"."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def check_devices(devices: Sequence[str], name: str) -> None:
    """Refuse devices that are not there.

    Args:
        devices: Names such as "cuda:1".
        name: What the host calls the setting.

    Raises:
        ConfigError: One is not there, or on ZeroGPU, where none can be chosen.
    """
    import torch

    given = ",".join(devices)
    if devices and on_zerogpu():
        raise ConfigError(name, given, "nothing on ZeroGPU, which lends a card for each run")
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for device in devices:
        kind, _, index = device.partition(":")
        if kind == "cuda" and int(index or 0) >= there:
            has = ", ".join(f"cuda:{at}" for at in range(there)) or "no CUDA GPU"
            raise ConfigError(name, device, f"what this machine has: cpu, {has}")


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
        import torch

        return f"{device}: {torch.cuda.get_device_name(device)}"
    return f"{device}: {processor()}"


def versions() -> dict[str, str]:
    """Of bwcache, Python and what a result depends on."""
    own = {"bwcache": __version__, "python": platform.python_version()}
    return own | {name: version(name) for name in PACKAGES}


def on_zerogpu() -> bool:
    """Whether this is a ZeroGPU Space."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")
