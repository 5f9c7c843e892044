"""What became of the runs: a structured line in the log for each, and counters. No component."""

from __future__ import annotations

import json
import logging
import threading
from collections import Counter
from collections.abc import Mapping

from ..errors import plain
from ..runs.request import Request

log = logging.getLogger("bwcache.runs")
PREFIX = "bwcache"
HELP = {
    "runs_total": "Runs that ended, by how: done, stopped, error or cut.",
    "refused_total": "Requests that were refused, by why.",
    "run_seconds_total": "Seconds that runs took at the model.",
    "waited_seconds_total": "Seconds that runs waited for it.",
    "device_runs_total": "Runs that ended on each of several devices.",
    "device_seconds_total": "Seconds that runs took on each of them.",
}


class RunLog:
    """Counts, and writes a line of JSON for each run that ends.

    Args:
        prompts: Whether a line holds the prompt; else it says how long that was.
    """

    def __init__(self, prompts: bool = False):
        self._prompts = prompts
        self._lock = threading.Lock()
        self._counted: Counter[tuple[str, str]] = Counter()

    def ended(
        self,
        run: str,
        asked: object,
        state: str,
        waited: float,
        took: float,
        problem: str = "",
        device: str | None = None,
    ) -> None:
        """A run has ended.

        Args:
            run: Its id's beginning.
            asked: What it made; of a comparison its request.
            state: How it ended.
            waited, took: Seconds in line, and at the model.
            problem: What was said of an error.
            device: Which it was on, where there are several.
        """
        line: dict[str, object] = {
            "event": "run",
            "run": run,
            "state": state,
            "waited_seconds": round(waited, 3),
            "seconds": round(took, 3),
        }
        if device is not None:
            line["device"] = device
        if problem:
            line["problem"] = plain(problem)[:200]
        request = getattr(asked, "request", asked)
        if isinstance(request, Request):
            line |= {
                "model": request.model,
                "steps": request.steps,
                "method": request.config.name,
                "picture": request.image is not None,
                "prompt_characters": len(request.prompt),
            }
            if self._prompts:
                line["prompt"] = request.prompt
        log.info("%s", json.dumps(line))
        with self._lock:
            self._counted["runs_total", f'{{state="{state}"}}'] += 1
            self._counted["run_seconds_total", ""] += took  # type: ignore[assignment]
            self._counted["waited_seconds_total", ""] += waited  # type: ignore[assignment]
            if device is not None:
                of = f'{{device="{device}"}}'
                self._counted["device_runs_total", of] += 1
                self._counted["device_seconds_total", of] += took  # type: ignore[assignment]

    def refused(self, why: str) -> None:
        """A request was refused: "rate", "size", "login" or "line"."""
        with self._lock:
            self._counted["refused_total", f'{{why="{why}"}}'] += 1

    def counted(self) -> dict[tuple[str, str], float]:
        """Every counter so far, by its name and labels."""
        with self._lock:
            return dict(self._counted)

    def metrics(self, gauges: Mapping[str, float]) -> str:
        """All of it in Prometheus' text format.

        Args:
            gauges: What is so right now, by name, with labels where it has some.
        """
        lines, counted = [], self.counted()
        for name, about in HELP.items():
            found = {labels: n for (of, labels), n in sorted(counted.items()) if of == name}
            if name.startswith("device_") and not found:
                continue  # there is one device
            lines += [f"# HELP {PREFIX}_{name} {about}", f"# TYPE {PREFIX}_{name} counter"]
            lines += [f"{PREFIX}_{name}{labels} {n:g}" for labels, n in found.items()]
        for name, value in gauges.items():
            kind = f"# TYPE {PREFIX}_{name.partition('{')[0]} gauge"
            lines += [*([] if kind in lines else [kind]), f"{PREFIX}_{name} {value:g}"]
        return "\n".join(lines) + "\n"
