"""The devices that a page serves from: which is free, what each does, which are out of service.

Each has its own replica of a model and makes one comparison at a time. Knows no component, and no
torch before something has failed.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from dataclasses import dataclass

from ..errors import ConfigError, DeviceError, MachineError, ModelError, first_line, machine_fault
from ..models.loaded_models import LoadedModels
from ..models.progress import Loading
from ..runs.baselines import BaselineStore, Compare
from ..runs.events import Events, RunStarted
from ..runs.request import Request

log = logging.getLogger("bwcache.devices")
OUT_OF_MEMORY_TWICE = 2  # times one after the other; once, a model may have been too large
FAILED = (
    "The device that this run was on failed and is out of service: please start it again, and "
    "another one makes it."
)
NONE_LEFT = (
    "All devices of this page have failed, so that nothing can be generated until its host starts "
    "it anew."
)


@dataclass
class _Device:
    """One of them.

    Args:
        name: As `models.replicas` has it: "cuda:1".
        making: The model at work; None while it is free.
        since: When that began.
        runs, seconds: Made so far, and what they took.
        ran_out: How often in a row memory ran out.
        fault: Why it is out of service; "" while it serves.
    """

    name: str
    making: str | None = None
    since: float = 0.0
    runs: int = 0
    seconds: float = 0.0
    ran_out: int = 0
    fault: str = ""


class Devices:
    """Several devices.

    Args:
        names: Theirs, each another.
        kept: The models that are loaded, by device.
        clock: Gives seconds.

    Attributes:
        changed: Called when one is taken out of service.
    """

    def __init__(
        self,
        names: Sequence[str],
        kept: LoadedModels | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._kept, self._clock = kept, clock
        self._lock = threading.Lock()
        self._devices = {name: _Device(name) for name in names}
        self.changed: Callable[[], None] = lambda: None

    def __len__(self) -> int:
        """How many are in service."""
        with self._lock:
            return sum(not each.fault for each in self._devices.values())

    def take(self, model: str, wanted: Collection[str] = ()) -> str | None:
        """A free device for a job: one that is wanted, else one that holds the model, else the one
        that has worked least; None where none is free.

        Args:
            model: What the job runs.
            wanted: Where something lies that the job could go on from.
        """
        with self._lock:
            free = [d for d in self._devices.values() if not d.fault and d.making is None]
            if not free:
                return None
            chosen = min(
                free,
                key=lambda d: (d.name not in wanted, not self._holds(model, d.name), d.seconds),
            )
            chosen.making, chosen.since = model, self._clock()
            return chosen.name

    def _holds(self, model: str, device: str) -> bool:
        return self._kept is not None and self._kept.holds(model, device)

    def give_back(self, name: str) -> None:
        """A job has ended, however."""
        with self._lock:
            device = self._devices[name]
            device.runs += 1
            device.seconds += self._clock() - device.since
            device.making = None

    def take_out(self, name: str, why: str) -> None:
        """Let a device make nothing any more; the log says so."""
        with self._lock:
            device = self._devices[name]
            if device.fault:
                return
            device.fault = why
            left = [each.name for each in self._devices.values() if not each.fault]
        line = {"event": "device", "device": name, "state": "out of service", "why": why}
        log.error("%s", json.dumps(line | {"in_service": left}))
        if self._kept is not None:
            self._kept.drop(device=name)
        self.changed()

    def watched(self, compare: Compare) -> Compare:
        """The same comparison, which takes a device out of service that fails in it.

        Raises:
            DeviceError: It has; in the place of what went wrong, which the log has.
        """

        def compare_on(
            request: Request, store: BaselineStore | None = None, device: str | None = None
        ) -> Events:
            loaded = False
            try:
                with closing(compare(request, store, device)) as events:
                    for event in events:
                        if isinstance(event, RunStarted):
                            loaded = True
                        elif isinstance(event, Loading):
                            loaded = False
                        yield event
            except Exception as error:
                if device not in self._devices:
                    raise
                why = self._fault(device, error, loaded)
                if why is None:
                    raise
                log.error("%s failed", device, exc_info=error)
                self.take_out(device, why)
                raise DeviceError(FAILED if len(self) else NONE_LEFT) from None
            if device in self._devices:
                self._went_well(device)

        return compare_on

    def _fault(self, name: str, error: Exception, loaded: bool) -> str | None:
        """Why a device cannot be used any more; None where that does not follow from an error."""
        from ..models.loading import device_error, out_of_memory

        if out_of_memory(error):
            with self._lock:
                self._devices[name].ran_out += 1
                again = self._devices[name].ran_out >= OUT_OF_MEMORY_TWICE
            return "memory ran out again" if again else None
        if device_error(error):
            return f"a CUDA error: {first_line(error)}"
        others = (ConfigError, MachineError, ModelError, OSError)  # asked, machine, weights, files
        if loaded or isinstance(error, others) or machine_fault(error):
            return None
        return f"a model could not be loaded: {type(error).__name__}: {first_line(error)}"

    def _went_well(self, name: str) -> None:
        with self._lock:
            self._devices[name].ran_out = 0

    def told(self) -> list[dict[str, object]]:
        """What each does: for `/health`."""
        now, found = self._clock(), []
        with self._lock:
            for each in self._devices.values():
                busy = each.making is not None
                state = "out of service" if each.fault else "running" if busy else "free"
                line: dict[str, object] = {"device": each.name, "state": state, "runs": each.runs}
                if busy:
                    line |= {"model": each.making, "seconds": round(now - each.since, 3)}
                if each.fault:
                    line["why"] = each.fault
                found.append(line)
        return found

    def gauges(self) -> dict[str, float]:
        """What is so right now, by the name and labels of a metric."""
        with self._lock:
            found = list(self._devices.values())
            return {
                **{f'device_in_service{{device="{d.name}"}}': float(not d.fault) for d in found},
                **{f'device_running{{device="{d.name}"}}': float(bool(d.making)) for d in found},
            }
