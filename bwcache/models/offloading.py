"""A pipeline put where it runs, in an offload mode; and which modes have run out of memory."""

from __future__ import annotations

import threading

from .spec import ModelSpec, Offload

_lock = threading.Lock()
_ran_out: dict[tuple[str, str], Offload] = {}


def place(pipe, device: str, offload: Offload) -> None:
    """Put a pipeline from the CPU where it is to run."""
    if offload == "model":
        pipe.enable_model_cpu_offload(device=device)
    elif offload == "sequential":
        pipe.enable_sequential_cpu_offload(device=device)
    else:
        pipe.to(device)


def remember_lighter(spec: ModelSpec, device: str, offload: Offload) -> None:
    """From now on, use no faster mode for a model: it ran out of memory in one."""
    with _lock:
        _ran_out[spec.name, device.partition(":")[0]] = offload


def lightest_tried(spec: ModelSpec, device: str) -> Offload:
    """The fastest mode that has not run out of memory in this process."""
    with _lock:
        return _ran_out.get((spec.name, device.partition(":")[0]), "none")


def forget() -> None:
    """Let go of what was remembered."""
    with _lock:
        _ran_out.clear()
