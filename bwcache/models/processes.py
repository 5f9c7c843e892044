"""Processes that make one video together: they join, load, and all end when one of them is lost.

Started by torchrun, one for each GPU, which tells each its place by the environment. The first
leads: it alone speaks and writes.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
import typing
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import diffusers
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh

from ..cache.context_parallel import PLANS, limit_waiting, mesh_of, split
from ..cache.transformers_in import transformers_in
from ..errors import ConfigError, MachineError, chain, first_line, plain
from .spec import ModelSpec

OPTION = "context_parallel"
BEAT = 1.0  # seconds between two signs of life
LOST_AFTER = 30.0  # seconds without one
START = timedelta(minutes=10)  # how long one waits for the others to start
COLLECTIVE = timedelta(seconds=50)  # how long one waits for the others while they compute
LOST = "another process of this run has ended or does not answer"


@dataclass(frozen=True)
class Processes:
    """Those that make one video together.

    Args:
        rank: This one's place among them.
        size: How many there are.
        store: What all of them can read and write.
        mesh: As diffusers wants them.
    """

    rank: int
    size: int
    store: dist.Store
    mesh: DeviceMesh

    @property
    def leads(self) -> bool:
        """Whether this one speaks and writes."""
        return self.rank == 0


_joined: Processes | None = None


def check_model(spec: ModelSpec) -> None:
    """Refuse a model that cannot be split, before anything is loaded.

    Raises:
        ConfigError: Naming those that can.
    """
    hints = typing.get_type_hints(getattr(diffusers, spec.pipeline).__init__)
    kinds = typing.get_args(hints["transformer"]) or (hints["transformer"],)
    if not any(kind.__name__ in PLANS for kind in kinds):
        raise ConfigError(
            OPTION, spec.name, f"a model with one of the transformers {', '.join(PLANS)}"
        )


def check_device(device: str) -> None:
    """Refuse more processes on a machine than it has GPUs; from here on "cuda" is this one's.

    Raises:
        ConfigError: There is no GPU for this process.
    """
    if device.startswith("cuda"):
        here, count = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if here >= count:
            allowed = f"at most one process for each GPU of a machine, here {count}"
            raise ConfigError(OPTION, int(os.environ["WORLD_SIZE"]), allowed)
        torch.cuda.set_device(here)


@contextmanager
def joined(device: str) -> Iterator[Processes]:
    """Join the others; what `models.loading` builds inside is split among all.

    Args:
        device: "cpu" or "cuda".

    Raises:
        SystemExit: With status 1, where another process has ended or does not answer: that has been
            said then, or another one says it.
    """
    global _joined
    diffusers.utils.logging.set_verbosity_error()  # else each warns that this is experimental
    kind = "cuda" if device.startswith("cuda") else "cpu"
    store, rank, size = next(dist.rendezvous("env://"))
    backend = "cpu:gloo,cuda:nccl" if kind == "cuda" else "gloo"
    shared: dict[str, Any] = {"store": dist.PrefixStore("groups", store), "timeout": START}
    dist.init_process_group(backend, rank=rank, world_size=size, **shared)
    watch = _Watch(store.clone(), rank, size)
    watch.start()
    try:
        _joined = Processes(rank, size, store, mesh_of(size, kind))
        limit_waiting(_joined.mesh, COLLECTIVE)
        yield _joined
    except BaseException as error:
        said = watch.last_words(error)
        if said is error:
            raise
        raise said from error
    else:
        watch.leave()
        if rank:  # whatever went wrong in taking this apart would end the first one, which writes
            atexit.register(_end_at_once, 0)
        else:
            dist.destroy_process_group()
    finally:
        _joined = None


def share(pipe: object) -> None:
    """Split a pipeline's transformers among the processes that have joined, if any have.

    Waits until all have loaded theirs: that may take long, and differs between machines.
    """
    if _joined is None:
        return
    _wait_for_all(_joined, "loaded")
    for transformer in transformers_in(pipe):
        split(transformer, _joined.mesh)


def described(device: str) -> str:
    """A device in words, and how many processes have one each."""
    return device if _joined is None else f"{_joined.size} processes, each on {device}"


def _wait_for_all(processes: Processes, what: str) -> None:
    """Wait until all have come to the same place; a lost one is found by `_Watch`."""
    store, ranks = processes.store, range(processes.size)
    store.set(f"{what}/{processes.rank}", "")
    while not store.check([f"{what}/{rank}" for rank in ranks]):
        if any(store.check([f"words/{rank}"]) for rank in ranks):
            raise MachineError(LOST)
        time.sleep(BEAT / 5)


class _Watch(threading.Thread):
    """Gives signs of life, and ends this process when another gives none any more.

    A collective operation on GPUs cannot be called off from Python; so the whole process ends.
    """

    def __init__(self, store: dist.Store, rank: int, size: int):
        super().__init__(name="bwcache-watch", daemon=True)
        self._store, self._rank, self._size = store, rank, size
        self._over, self._ending = threading.Event(), threading.Lock()
        self._store.set(f"beat/{rank}", "0")
        self._before: Any = None
        with suppress(ValueError):  # not in the main thread: whoever has it sees to signals
            self._before = signal.signal(signal.SIGTERM, self._terminated)

    def run(self) -> None:
        now, count = time.monotonic(), 0
        heard = {rank: (b"", now) for rank in range(self._size) if rank != self._rank}
        while not self._over.wait(BEAT):
            last, now, count = now, time.monotonic(), count + 1
            slept = now - last > 5 * BEAT  # as when all were stopped and went on
            try:
                self._store.set(f"beat/{self._rank}", str(count))
                for rank, (beat, since) in list(heard.items()):
                    key = f"beat/{rank}"
                    found = self._store.get(key) if self._store.check([key]) else b""
                    if self._store.check([f"left/{rank}"]):
                        del heard[rank]
                    elif found != beat or slept:
                        heard[rank] = (found, now)
                    elif now - since > LOST_AFTER:
                        self._end(
                            f"process {rank + 1} of {self._size} has not been heard of for "
                            f"{LOST_AFTER:g} s: it was ended, or it hangs"
                        )
            except dist.DistError:
                if not self._over.is_set():
                    self._end(LOST)

    def leave(self) -> None:
        """This process has done its part; the first stays until all have, as they talk by it."""
        self._store.set(f"left/{self._rank}", "")
        if not self._rank:
            keys = [f"left/{rank}" for rank in range(self._size)]
            with suppress(dist.DistError):
                self._store.wait(keys, COLLECTIVE)
        self._over.set()
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)

    def last_words(self, error: BaseException) -> BaseException:
        """What to raise when an error ends this process: one of them says why.

        The first one says it. What another one died of it reads from what that one has left.
        """
        if not self._ending.acquire(blocking=False):
            self._over.wait()  # the watch ends the process
        lost = any(_is_lost(each) for each in chain(error))
        said = f"process {self._rank + 1} of {self._size} ended: {first_line(error)}"
        words: list[str] = []
        with suppress(dist.DistError):
            if not lost:
                self._store.set(f"words/{self._rank}", said)
            words = self._words()
        speaks = self._first_to_speak() if lost else self._rank == 0 and self._first_to_speak()
        self._over.set()
        if self._before is not None:  # torchrun's, which would cut short what is said
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if not lost and speaks:
            return error
        atexit.register(_end_at_once, 1)
        if speaks:
            _say("; ".join([LOST, *words]))
        return SystemExit(1)

    def _words(self) -> list[str]:
        others = [f"words/{rank}" for rank in range(self._size) if rank != self._rank]
        return [self._store.get(key).decode() for key in others if self._store.check([key])]

    def _first_to_speak(self) -> bool:
        """Whether nobody else has said why the run ends; alone, whoever asks speaks."""
        try:
            return self._store.add("spoken", 1) == 1
        except dist.DistError:
            return True

    def _terminated(self, *given: object) -> None:
        self._end("ended by a signal, as torchrun sends it when another process has ended")

    def _end(self, why: str) -> None:
        if not self._ending.acquire(blocking=False):
            return  # another thread is at it
        if self._first_to_speak():
            _say(why)
        os._exit(1)


def _say(why: str) -> None:
    """One line on the terminal, also of a process that else keeps silent."""
    with suppress(OSError):
        if sys.__stderr__ is not None:  # the first line ends that of a bar
            print(f"\nbwcache: {plain(why)}", file=sys.__stderr__, flush=True)


def _end_at_once(status: int) -> None:
    """At Python's end: PyTorch would complain of operations that others were to take part in."""
    os._exit(status)


def _is_lost(error: BaseException) -> bool:
    """Whether an error says that the others cannot be reached."""
    return (
        isinstance(error, dist.DistError)
        or (isinstance(error, MachineError) and error.said == LOST)
        or (isinstance(error, RuntimeError) and "gloo" in str(error).lower())
    )
