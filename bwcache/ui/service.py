"""What a served page has beside its components: its end, its health, its tidying. No component."""

from __future__ import annotations

import logging
import threading
import time

import psutil

from ..errors import MachineError
from ..runs.baselines import BaselineStore, Compare
from ..runs.events import Events
from ..runs.request import Request
from ..space.host_settings import Settings
from .devices import Devices
from .line import Line
from .results import Results
from .run_log import RunLog
from .sessions import Visitors

log = logging.getLogger(__name__)

STOPPING = "the server is being stopped"
TOO_LONG = "the run took longer than is allowed here"
TIDY_SECONDS = 60.0  # between two looks at what is too old
GRACE = 2.0  # seconds that runs get to end at their next step, and pages to hear of it


class Service:
    """The page's common state.

    Args:
        settings: The host's.
        line: In front of the model.
        visitors: Their uncached runs.
        run_log: What became of the runs.
        devices: Where there are several.

    Attributes:
        results: What the runs have shown.
        closing: Set once it is being stopped.
    """

    def __init__(
        self,
        settings: Settings,
        line: Line,
        visitors: Visitors,
        run_log: RunLog,
        devices: Devices | None = None,
    ):
        self.devices = devices
        self.settings, self.line, self.visitors, self.run_log = settings, line, visitors, run_log
        self.results: list[Results] = []
        self.closing = threading.Event()
        self._over = threading.Event()

    def bounded(self, compare: Compare) -> Compare:
        """The same comparison, which ends with an error once it took too long or all is stopped."""

        def within(
            request: Request, store: BaselineStore | None = None, device: str | None = None
        ) -> Events:
            until = time.monotonic() + self.settings.max_seconds
            events = compare(request, store, device)
            try:
                for event in events:
                    if self.closing.is_set():
                        raise MachineError(STOPPING)
                    if time.monotonic() > until:
                        raise MachineError(TOO_LONG)
                    yield event
            finally:
                events.close()

        return within

    def stop(self, seconds: float = GRACE) -> None:
        """End all runs at their next step, telling those who follow them; waits so long at most."""
        self.closing.set()
        self.line.close()
        for results in self.results:
            results.close()
        until = time.monotonic() + seconds
        while any(each.running for each in self.results) and time.monotonic() < until:
            time.sleep(0.05)
        self._over.set()

    def tidy(self) -> None:
        """Delete what is older than is said to visitors."""
        for results in self.results:
            results.tidy()
        self.visitors.tidy()

    def keep_tidy(self) -> None:
        """Go on with that, on a thread of its own, until the service is stopped."""

        def work() -> None:
            while not self._over.wait(TIDY_SECONDS):
                try:
                    self.tidy()
                except OSError as error:  # the next look may succeed
                    log.warning("what is too old could not be deleted: %s", error)

        threading.Thread(target=work, name="tidy-results", daemon=True).start()

    def health(self) -> dict[str, object]:
        """Whether it serves, and how busy it is."""
        status = "out of service" if self.line.out_of_service else "ok"
        told: dict[str, object] = {
            "status": "stopping" if self.closing.is_set() else status,
            "running": self.line.running,
            "waiting": self.line.waiting,
        }
        return told if self.devices is None else told | {"devices": self.devices.told()}

    def metrics(self) -> str:
        """Counters and gauges in Prometheus' text format."""
        process = psutil.Process()
        gauges = {
            "running": float(self.line.running),
            "waiting": float(self.line.waiting),
            "results_kept": float(sum(len(each) for each in self.results)),
            "visitors_remembered": float(len(self.visitors)),
            "resident_bytes": float(process.memory_info().rss),
            "threads": float(process.num_threads()),
            **({} if self.devices is None else self.devices.gauges()),
        }
        return self.run_log.metrics(gauges)
