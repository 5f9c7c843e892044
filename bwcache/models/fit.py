"""What fits on a machine, and how: the offload mode, or a sentence why not.

Estimates only: what a model needs is reckoned from its parameters, what a machine has is asked of
it. Nothing is loaded; torch is imported only where the machine is looked at. Only `default` asks
the hub anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from .catalogue import CATALOGUE
from .hub.download import reachable
from .hub.local_files import at_hand, free_bytes
from .machine_memory import ram_bytes
from .offloading import lightest_tried
from .spec import OFFLOADS, ModelSpec, Offload
from .timings import Timing, last

GB = 1e9
MARGIN = 1.1  # times the estimated need: allocators waste some, and estimates are estimates
RAM_SHARE = 0.9  # of the machine's; the rest is the system's and this program's
LONGEST = 600.0  # seconds that a comparison may take and still run well
ZERO_GPU_GB = 48.0  # of the size called large


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
    """

    device: Literal["cpu", "cuda"]
    name: str
    ram_gb: float
    disk_gb: float
    device_gb: float = 0.0
    free_gb: float = 0.0
    zerogpu: bool = False

    @property
    def modes(self) -> tuple[Offload, ...]:
        """Offload modes that make sense here, from fastest to lightest.

        Without a GPU there is nowhere to offload from. On ZeroGPU weights are packed at the start
        and are on the GPU when a visitor's seconds begin to count; offloading would move them back
        and forth within those seconds, from memory of another process.
        """
        return OFFLOADS if self.device == "cuda" and not self.zerogpu else OFFLOADS[:1]


@dataclass(frozen=True)
class Fit:
    """Whether and how a model runs on a machine.

    Args:
        offload: The fastest mode that fits; None where none does.
        reason: Why none does, a sentence; "" where one does.
        seconds: Of a comparison (uncached and cached) with the model's usual steps, from what the
            last one in this process took; None where there was none.
        download_gb: What is fetched from the hub first, about; 0 where all is here.
    """

    offload: Offload | None
    reason: str = ""
    seconds: float | None = None
    download_gb: float = 0.0

    @property
    def well(self) -> bool:
        """Whether it runs without moving weights layer by layer, nor for longer than one waits."""
        return self.offload in ("none", "model") and (self.seconds or 0.0) <= LONGEST


def this_machine(device: str | None = None) -> Machine:
    """What this program runs on.

    Args:
        device: "cpu" or "cuda"; the best there is where None.
    """
    import torch

    from .machine import default_device, describe_device, on_zerogpu

    device = device or default_device()
    here = {"ram_gb": ram_bytes() / GB, "disk_gb": free_bytes() / GB}
    if not device.startswith("cuda"):
        return Machine("cpu", describe_device(device), **here)
    if on_zerogpu():  # the GPU is not there to be asked
        lent = {"device_gb": ZERO_GPU_GB, "free_gb": ZERO_GPU_GB}
        return Machine("cuda", "ZeroGPU", **here, **lent, zerogpu=True)
    free, total = torch.cuda.mem_get_info(device)
    free += torch.cuda.memory_reserved(device)  # by models that would make room
    memory = {"device_gb": total / GB, "free_gb": free / GB}
    return Machine("cuda", describe_device(device), **here, **memory)


def fit(
    spec: ModelSpec,
    machine: Machine,
    measured: Timing | None = None,
    fetched: bool = True,
    at_least: Offload = "none",
) -> Fit:
    """Whether and how a model runs on a machine. A pure function.

    Args:
        spec: Its entry.
        machine: What it is to run on.
        measured: What its last comparison there took.
        fetched: Whether its weights are here already.
        at_least: The fastest mode that is considered: a faster one has run out of memory.
    """
    weights = weights_gb(spec)
    download = 0.0 if fetched or not spec.on_hub else weights
    modes = [mode for mode in machine.modes if OFFLOADS.index(mode) >= OFFLOADS.index(at_least)]
    fitting = [mode for mode in modes if device_need_gb(spec, machine, mode) <= machine.free_gb]
    if reason := _lacking(spec, machine, download) or ("" if fitting else _too_big(spec, machine)):
        return Fit(None, reason, download_gb=download)
    seconds = None
    if measured is not None and measured.offload == fitting[0]:
        seconds = measured.comparison_seconds(spec.steps)
    return Fit(fitting[0], seconds=seconds, download_gb=download)


def weights_gb(spec: ModelSpec) -> float:
    """All components, each in its own type."""
    return sum(map(spec.weights_gb, spec.parameters))


def device_need_gb(spec: ModelSpec, machine: Machine, offload: Offload) -> float:
    """GPU memory that a run takes, with a margin; 0 without a GPU."""
    return MARGIN * spec.memory_gb(offload) if machine.device == "cuda" else 0.0


def ram_need_gb(spec: ModelSpec, machine: Machine) -> float:
    """RAM that it takes to load a model, with a margin; its weights pass through it on any way."""
    on_gpu = machine.device == "cuda"
    return MARGIN * (weights_gb(spec) if on_gpu else spec.memory_gb("none"))


def _lacking(spec: ModelSpec, machine: Machine, download: float) -> str:
    if spec.needs_cuda and machine.device != "cuda":
        return "Needs a CUDA GPU, and this machine has none."
    if (needed := ram_need_gb(spec, machine)) > (there := RAM_SHARE * machine.ram_gb):
        return (
            f"Needs about {needed:.0f} GB of RAM to hold its weights, and this machine has "
            f"{there:.0f} GB to give."
        )
    if download > machine.disk_gb:
        return (
            f"Its download needs about {download:.0f} GB of disk, and {machine.disk_gb:.0f} GB "
            "are free; free some, or set HF_HOME to another disk."
        )
    return ""


def _too_big(spec: ModelSpec, machine: Machine) -> str:
    needed = device_need_gb(spec, machine, machine.modes[-1])
    if needed <= machine.free_gb:
        return "Ran out of GPU memory here, even with the lightest offload."
    if machine.zerogpu:
        return f"Needs about {needed:.0f} GB of GPU memory, and ZeroGPU lends {ZERO_GPU_GB:.0f} GB."
    return (
        f"Needs about {needed:.0f} GB of GPU memory even with the lightest offload, and this "
        f"machine has {machine.free_gb:.0f} of {machine.device_gb:.0f} GB free."
    )


def fit_here(spec: ModelSpec, machine: Machine) -> Fit:
    """`fit`, with what this process has learnt and what its cache holds."""
    measured = last(spec, machine.device)
    return fit(spec, machine, measured, at_hand(spec), lightest_tried(spec, machine.device))


def offers(
    machine: Machine, catalogue: Iterable[ModelSpec] | None = None
) -> list[tuple[ModelSpec, Fit]]:
    """Every model with its fit: those that run first, each part in the catalogue's order.

    That order is the maintainers' judgement; nothing measured here could stand in for it.
    """
    specs = CATALOGUE.values() if catalogue is None else catalogue
    found = [(spec, fit_here(spec, machine)) for spec in specs]
    return sorted(found, key=lambda offer: offer[1].offload is None)


def default(machine: Machine, catalogue: Iterable[ModelSpec] | None = None) -> ModelSpec:
    """The model that a visitor finds chosen: the best that runs well; else TinyWorld.

    Of the models that run well (see `Fit.well`), those that need a GPU come before others; of
    these, those whose weights are here before those that have to be fetched, and those that fit
    whole before those whose components take turns; then the catalogue's order counts. One that has
    to be fetched is chosen only where the hub answers; it is asked where that matters, once.
    """
    running = [(spec, found) for spec, found in offers(machine, catalogue) if found.well]
    running.sort(key=lambda o: (not o[0].needs_cuda, o[1].download_gb > 0, o[1].offload != "none"))
    online = None
    for spec, found in running:
        if found.download_gb and online is None:
            online = reachable(spec)
        if not found.download_gb or online:
            return spec
    return CATALOGUE["tinyworld"]


def lighter(machine: Machine, offload: Offload) -> Offload | None:
    """The next lighter mode; None where there is none."""
    later = machine.modes[machine.modes.index(offload) + 1 :]
    return later[0] if later else None
