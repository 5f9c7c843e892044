"""A training loop that can be stopped and resumed: progress bar, time limit, checkpoints.

Knows nothing of what is trained.
"""

from __future__ import annotations

import argparse
import os
import time
from abc import ABC, abstractmethod
from typing import Protocol

import torch
from tqdm import tqdm

from ..models.machine import describe_device

LOSS_EVERY, SAVE_EVERY = 50, 200  # steps


def memory_format(device: str) -> torch.memory_format:
    """In which order a device's convolutions like their weights best."""
    return torch.channels_last_3d if device.startswith("cuda") else torch.preserve_format


class Stateful(Protocol):
    """A module or an optimizer."""

    def state_dict(self) -> dict: ...

    def load_state_dict(self, state: dict) -> object: ...


class Trainer(ABC):
    """What every training here shares; `stateful` and `train_step` are a subclass's own.

    Args:
        args: Has `out` (a folder), `steps`, `minutes` and `device`.
        file_name: Of the checkpoint in that folder.
        rank: Only process 0 shows a bar and writes.
    """

    def __init__(self, args: argparse.Namespace, file_name: str, rank: int = 0):
        self.args, self.rank, self.file_name = args, rank, file_name
        self.step, self.seconds, self.losses = 0, 0.0, []

    @abstractmethod
    def stateful(self) -> dict[str, Stateful]:
        """Everything that a resumed run must have back, by name."""

    @abstractmethod
    def train_step(self) -> torch.Tensor:
        """One update; returns its loss, still on the device: reading it would wait for the device.

        All randomness follows from the seed and the step.
        """

    def run(self) -> None:
        """Train until the steps or the minutes are used up; saved then and on the way."""
        deadline = time.monotonic() + 60 * self.args.minutes
        bar = tqdm(total=self.args.steps, initial=self.step, unit="step", disable=self.rank > 0)
        recent: list[torch.Tensor] = []
        while self.step < self.args.steps and time.monotonic() < deadline:
            started = time.perf_counter()
            recent.append(self.train_step())
            self.step += 1
            self.seconds += time.perf_counter() - started
            bar.update()
            if self.step % LOSS_EVERY == 0:
                self.losses.append((self.step, round(float(torch.stack(recent).mean()), 5)))
                bar.set_postfix(loss=self.losses[-1][1])
                recent.clear()
            if self.step % SAVE_EVERY == 0:
                self.save()
        bar.close()
        self.save()

    def save(self) -> None:
        """Write the checkpoint, whole or not at all."""
        if self.rank > 0:
            return
        state = {name: part.state_dict() for name, part in self.stateful().items()}
        state |= {"step": self.step, "seconds": self.seconds, "losses": self.losses}
        state["device"] = describe_device(self.args.device)
        self.args.out.mkdir(parents=True, exist_ok=True)
        target = self.args.out / self.file_name
        partial = target.with_suffix(".partial")
        torch.save(state, partial)
        os.replace(partial, target)

    def load(self) -> bool:
        """Go on from the checkpoint; False where there is none."""
        path = self.args.out / self.file_name
        if not path.exists():
            return False
        state = torch.load(path, map_location=self.args.device, weights_only=True)
        for name, part in self.stateful().items():
            part.load_state_dict(state[name])
        self.step, self.seconds, self.losses = state["step"], state["seconds"], state["losses"]
        return True
