"""This process among those that `accelerate launch` or `torchrun` started, if any."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ONE_ON_CPU = (
    "accelerate started one process: with --cpu it starts more under mpirun only; "
    "`accelerate launch --multi_gpu` or `torchrun` start as many as asked for, on a CPU, too"
)


class Processes:
    """Which process this is, of how many, and the device that is its own.

    Args:
        device: As asked for: "cpu", "cuda" or None for the best there is. Of several GPUs each
            process takes the one that accelerate gives it.

    Attributes:
        rank, count: From 0; of all machines.
        device: This process's, or None for the best there is.
        note: What to say of how they were started, or None.
    """

    def __init__(self, device: str | None = None):
        self.rank, self.count, self.device = 0, 1, device
        told = os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("true", "1")
        on_cpu = told or device == "cpu"
        alone = int(os.environ.get("WORLD_SIZE", 1)) < 2
        self.note = ONE_ON_CPU if alone and told and "MASTER_PORT" in os.environ else None
        if on_cpu:
            self.device = "cpu"
        if alone:
            return
        import torch
        from accelerate import PartialState

        self._state = PartialState(cpu=on_cpu or not torch.cuda.is_available())
        self.rank, self.count = self._state.process_index, self._state.num_processes
        own = self._state.device
        self.device = "cpu" if own.type == "cpu" else str(own)

    @property
    def first(self) -> bool:
        """Whether this is the process that speaks for all."""
        return self.rank == 0

    @property
    def place(self) -> float:
        """Where this process begins, from 0 to below 1: processes begin far from one another."""
        return self.rank / self.count

    def close(self) -> None:
        """Leave the others; waits for none."""
        if self.count > 1:
            self._state.destroy_process_group()


@contextmanager
def stopping() -> Iterator[threading.Event]:
    """An event that a first SIGTERM sets, so that the job under way is finished; a second one ends.

    `accelerate launch` sends it to the others where one process dies.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    usual = signal.getsignal(signal.SIGTERM)

    def on_signal(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, usual)
