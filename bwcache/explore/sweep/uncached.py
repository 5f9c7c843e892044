"""Uncached runs on disk, so that another process can go on with their group: exact, to the bit."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ...cache.trace import Trace
from ...errors import TraceError
from ...files import finite, parse_json, read_text, replacing, write_text
from ...runs.baselines import BaselineStore
from ...runs.events import RunFinished
from ...runs.request import Request
from .plan import Plan

ABOUT, FRAMES, SOUND = "run.json", "frames.npy", "sound.npy"
OFFLOADED = ("total_seconds", "peak_memory_bytes", "offload")


class UncachedRuns(BaselineStore):
    """The last uncached run in memory, and each on disk as long as its group has jobs to do.

    Args:
        plan: Gives each group's name.
        folder: Shared by all processes; each group has a folder there, written whole or not at all.
        hardware: In words. A run of another machine's is no measure of this one's: it is not used.
    """

    def __init__(self, plan: Plan, folder: Path, hardware: str):
        super().__init__(limit=1)
        self._plan, self._folder, self._hardware = plan, folder, hardware
        self._group = 0

    def use(self, group: int) -> None:
        """Say of which group the coming requests are."""
        self._group = group

    def has(self, group: int) -> bool:
        """Whether a group's run lies on disk, of hardware like this."""
        return self._about(group).get("hardware") == self._hardware

    def get(self, request: Request, device: str | None = None) -> RunFinished | None:
        if (run := super().get(request, device)) is not None or not self.has(self._group):
            return run
        run = self._load(self._group)
        if run is not None:
            super()._keep(request, run, device)
        return run

    def _keep(self, request: Request, run: RunFinished, device: str | None) -> None:
        if not run.remembered:
            self._write(run)
        super()._keep(request, run, device)

    def _path(self, group: int) -> Path:
        return self._folder / self._plan.group_name(group)

    def _about(self, group: int) -> dict[str, Any]:
        try:
            return parse_json(read_text(self._path(group) / ABOUT))
        except (OSError, ValueError):  # there is none, or it is damaged
            return {}

    def _load(self, group: int) -> RunFinished | None:
        about, folder = self._about(group), self._path(group)
        try:
            sound, trace = folder / SOUND, Trace.from_dict(about["trace"])
            return RunFinished(
                "baseline",
                trace,
                np.load(folder / FRAMES),
                previews=(None,) * len(trace.steps),  # nobody looks on
                sound=np.load(sound) if sound.exists() else None,
                **{name: about[name] for name in OFFLOADED},
            )
        except (OSError, ValueError, KeyError, TraceError):
            return None  # gone meanwhile, or damaged: it is made anew

    def _write(self, run: RunFinished) -> None:
        about = {name: getattr(run, name) for name in OFFLOADED}
        about |= {"hardware": self._hardware, "trace": asdict(run.trace)}
        with replacing(self._path(self._group)) as folder:
            np.save(folder / FRAMES, run.frames)
            if run.sound is not None:
                np.save(folder / SOUND, run.sound)
            write_text(folder / ABOUT, json.dumps(finite(about), allow_nan=False))
