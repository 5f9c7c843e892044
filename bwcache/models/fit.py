"""What fits on a machine, and how: the offload mode, or a sentence why not.

Estimates only: what a model needs is reckoned from its parameters. Nothing is loaded, and no torch
is imported. Only `default` asks the hub anything.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass

from .catalogue import CATALOGUE
from .hub.download import reachable
from .hub.local_files import at_hand
from .machine import ZERO_GPU_GB, Machine
from .spec import OFFLOADS, ModelSpec, Offload
from .timings import Timing, last_timing

MARGIN = 1.1  # times the estimated need: allocators waste some, and estimates are estimates
RAM_SHARE = 0.9  # of the machine's; the rest is the system's and this program's
LONGEST = 600.0  # seconds that a comparison may take and still run well


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
    download = 0.0 if fetched or not spec.weights.on_hub else spec.weights.total_gb
    modes = [mode for mode in machine.modes if OFFLOADS.index(mode) >= OFFLOADS.index(at_least)]
    fitting = [mode for mode in modes if device_need_gb(spec, machine, mode) <= machine.free_gb]
    if reason := _lacking(spec, machine, download) or ("" if fitting else _too_big(spec, machine)):
        return Fit(None, reason, download_gb=download)
    seconds = None
    if measured is not None and measured.offload == fitting[0]:
        seconds = measured.comparison_seconds(spec.steps)
    return Fit(fitting[0], seconds=seconds, download_gb=download)


def device_need_gb(spec: ModelSpec, machine: Machine, offload: Offload) -> float:
    """GPU memory that a run takes, with a margin; 0 without a GPU."""
    return MARGIN * spec.memory_gb(offload) if machine.device == "cuda" else 0.0


def ram_need_gb(spec: ModelSpec, machine: Machine) -> float:
    """RAM that it takes to load a model, with a margin; its weights pass through it on any way."""
    on_gpu = machine.device == "cuda"
    return MARGIN * (spec.weights.total_gb if on_gpu else spec.memory_gb("none"))


# for the host; the page leaves it out
DISK_REMEDY = "; free some, or set HF_HOME to another disk"


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
            f"are free{DISK_REMEDY}."
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
    measured = last_timing(spec, machine.device)
    viable = fastest_viable(spec, machine.place or machine.device)
    return fit(spec, machine, measured, at_hand(spec), viable)


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


# -- the mode, put to use --------------------------------------------------------------------------

_lock = threading.Lock()
_fastest_viable: dict[tuple[str, str], Offload] = {}


def put_on_device(pipe, device: str, offload: Offload) -> None:
    """Put a pipeline from the CPU where it is to run, with diffusers' own offloading."""
    if offload == "model":
        pipe.enable_model_cpu_offload(device=device)
    elif offload == "sequential":
        pipe.enable_sequential_cpu_offload(device=device)
    else:
        pipe.to(device)


def remember_lighter(spec: ModelSpec, device: str, offload: Offload) -> None:
    """From now on, use no faster mode for a model: it ran out of memory in one."""
    with _lock:
        _fastest_viable[spec.name, device] = offload


def fastest_viable(spec: ModelSpec, device: str) -> Offload:
    """The fastest mode that has not run out of memory in this process.

    What happened on one of several devices says nothing of the others: "cuda:0" is not "cuda:1",
    and "cuda" is any of them.
    """

    def is_of(other: str) -> bool:
        one, two = sorted((device, other), key=len)
        return one == two or two.startswith(f"{one}:")

    with _lock:
        found = [m for (name, of), m in _fastest_viable.items() if name == spec.name and is_of(of)]
    return max(found, key=OFFLOADS.index, default="none")


def clear_remembered() -> None:
    """Let go of which modes ran out of memory."""
    with _lock:
        _fastest_viable.clear()
