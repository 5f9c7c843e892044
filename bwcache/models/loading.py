"""A model made ready, as a stream of what is being done; the pipelines of the last models kept.

Each model is loaded once. Whoever asks while another is being loaded waits for that, and a model
that is running for somebody does not have to make room.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from diffusers import DiffusionPipeline

from ..errors import ConfigError, ModelError
from ..files import ASSETS
from . import find, function, memory_errors
from .call import warm_up
from .fit import (
    RAM_SHARE,
    Machine,
    device_need_gb,
    fit_here,
    lighter,
    ram_need_gb,
    this_machine,
    weights_gb,
)
from .hub.download import fetch
from .hub.errors import damaged
from .hub.local_files import discard_damaged
from .loaded_models import Kept, Ready, Shelf, Taken
from .offloading import place, remember_lighter
from .progress import Loading
from .spec import OFFLOADS, ModelSpec, Offload

SHELF = Shelf()
TURN = 1.0  # seconds between two looks whether another's turn is over
WAITING = "Another run has the memory; this one starts when that ends."
Result = TypeVar("Result")
Told = TypeVar("Told")
_turn = threading.Lock()  # one model is made ready at a time; not held while one is fetched


def loading(
    spec: ModelSpec,
    device: str,
    random_weights: bool = False,
    offload: Offload | None = None,
    warm: bool = True,
    retry: bool = True,
) -> Generator[Loading, None, Ready]:
    """Make a model ready.

    Args:
        spec: Its entry.
        device: "cpu", "cuda"…
        random_weights: See `load`.
        offload: How; the fastest mode that fits where None.
        warm: Also run it for two steps, so that no measured run pays for what happens once.
        retry: Whether to try once more, in a lighter mode, where the GPU's memory runs out.

    Yields:
        What is being done, as it goes on; nothing where the model is ready already.

    Returns:
        The pipeline, and how it was made ready.

    Raises:
        ModelError: It cannot be loaded or does not run here.
    """
    _check(spec, device, random_weights, offload)
    key = (spec.name, spec.source, spec.revision, device, random_weights)
    retried = False
    while True:
        kept = SHELF.find(key, offload)
        if kept is not None and (kept.warm or not warm):
            return replace(kept.ready, retried=retried)
        mode = kept.ready.offload if kept else offload or _mode(spec, device, random_weights)
        del kept
        try:
            ready = yield from _ready(spec, key, mode, offload, warm)
            return replace(ready, retried=retried)
        except Exception as error:
            if not memory_errors.out_of_memory(error):
                raise
            again = step_down(spec, device, mode, error, retry and offload is None and not retried)
        retried = True
        yield again


def _ready(
    spec: ModelSpec, key: tuple, mode: Offload, asked: Offload | None, warm: bool
) -> Generator[Loading, None, Ready]:
    """Load a model in a mode, unless it is there as asked, and warm it up."""
    *_, device, random_weights = key
    folder = None
    if SHELF.find(key, asked) is None and not random_weights:
        folder = (yield from fetch(spec)) if spec.on_hub else ASSETS / spec.source
    while not _turn.acquire(timeout=TURN):
        yield Loading("load")
    try:
        kept = SHELF.find(key, asked)
        if kept is None:
            stale = SHELF.find(key)  # in another mode
            if stale is not None and not stale.users:
                SHELF.drop(spec.name)
            del stale
            machine = this_machine(device)
            new = Taken(device_need_gb(spec, machine, mode), ram_need_gb(spec, machine))
            while not SHELF.make_room(new, machine.free_gb, RAM_SHARE * machine.ram_gb):
                yield Loading("load", note=WAITING)
                time.sleep(TURN)
            memory_errors.let_go()
            yield Loading("load")
            kept = _made(spec, machine, device, random_weights, mode, folder)
            SHELF.put(key, kept)
        if warm and not kept.warm:
            yield Loading("warm_up")
            warm_up(kept.ready.pipe, spec)
            kept.warm = True
        return kept.ready
    finally:
        _turn.release()


def _check(spec: ModelSpec, device: str, random_weights: bool, offload: Offload | None) -> None:
    if random_weights and spec.random_builder is None:
        raise ModelError(f"model: {spec.title} has no random-weight version; use tinyworld")
    if not random_weights and spec.needs_cuda and not device.startswith("cuda"):
        raise ModelError(f"model: {spec.title} needs a CUDA GPU; use tinyworld on this machine")
    modes = OFFLOADS[:1] if offload in (None, "none") else this_machine(device).modes
    if offload not in (None, *modes):
        raise ConfigError("offload", offload, f"{', '.join(modes)} on this machine")


def _mode(spec: ModelSpec, device: str, random_weights: bool) -> Offload:
    """The fastest that fits. Only for a download is an estimate reason enough to refuse."""
    machine = this_machine(device)
    found = fit_here(spec, machine)
    if found.offload is None and spec.on_hub and not random_weights:
        raise ModelError(f"model: {spec.title} does not run here. {found.reason} Or use tinyworld.")
    return found.offload or machine.modes[-1]


def _made(
    spec: ModelSpec,
    machine: Machine,
    device: str,
    random_weights: bool,
    mode: Offload,
    folder: Path | None,
) -> Kept:
    try:
        pipe = build(spec, device, random_weights, mode, folder)
    except ModelError as error:
        fetched = folder is not None and spec.on_hub and not memory_errors.out_of_memory(error)
        if fetched and (names := discard_damaged(folder)):
            raise ModelError(damaged(spec, names)) from error
        raise
    weights = weights_gb(spec)
    on_device = machine.device == "cuda" and mode == "none"
    taken = Taken(weights if on_device else 0.0, 0.0 if on_device else weights)
    revision = folder.name if folder is not None and spec.on_hub else None
    return Kept(Ready(pipe, mode, revision), taken)


def build(
    spec: ModelSpec, device: str, random_weights: bool, mode: Offload, folder: Path | None
) -> DiffusionPipeline:
    """The pipeline, made anew and put where it is to run."""
    if random_weights:
        pipe = function(spec.random_builder)(spec, device if mode == "none" else "cpu")
    else:
        pipe = function(spec.loader)(spec, folder)
    place(pipe, device, mode)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def step_down(
    spec: ModelSpec, device: str, failed: Offload, error: BaseException, allowed: bool
) -> Loading:
    """Let go of a model that ran out of memory; from now on it is loaded in the next lighter mode.

    Args:
        spec: Its entry.
        device: Where it ran.
        failed: The mode it ran in.
        error: What it raised.
        allowed: Whether a lighter mode may be tried.

    Returns:
        What to tell.

    Raises:
        ModelError: There is no lighter mode, or it is not allowed.
    """
    SHELF.drop(spec.name)
    memory_errors.let_go(error)
    machine = this_machine(device)
    mode = lighter(machine, failed) if allowed else None
    if mode is None:
        raise ModelError(memory_errors.sentence(spec, machine, failed)) from None
    remember_lighter(spec, device, mode)
    return Loading("retry", note=memory_errors.retry_note(spec, mode))


def forget() -> None:
    """Let go of every pipeline that is kept."""
    SHELF.drop()
    memory_errors.let_go()


def result_of(
    steps: Generator[Told, None, Result], tell: Callable[[Told], None] = lambda event: None
) -> Result:
    """Run a generator to its end, telling what it yields, and give what it returns."""
    while True:
        try:
            tell(next(steps))
        except StopIteration as end:
            return end.value


def load(
    name: str,
    device: str,
    random_weights: bool = False,
    tell: Callable[[object], None] = lambda event: None,
):
    """The model's pipeline on a device, ready to be called; loaded once, then kept.

    Args:
        name: Catalogue name.
        device: "cpu", "cuda"…
        random_weights: Build it with seeded random weights instead: nothing is downloaded, every
            shape and every cost is the real one, and the videos show nothing. Runs on any machine
            with the memory for it.
        tell: Called with each `stream.Loading` of what is being done.

    Raises:
        ConfigError: The name is not in the catalogue.
        ModelError: It cannot be loaded or does not run here.
    """
    return result_of(loading(find(name), device, random_weights, warm=False), tell).pipe
