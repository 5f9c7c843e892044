"""A model made ready, as a stream of what is being done; the pipelines of the last models kept.

Each model is loaded once for a device. Whoever asks for another one there meanwhile waits for that,
and a model that is running for somebody does not have to make room. Where the GPU's memory runs
out, while a model is loaded or while it runs, everything is done once more in a lighter mode.
"""

from __future__ import annotations

import gc
import threading
import time
import traceback
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TypeVar

import torch
from diffusers import DiffusionPipeline

from ..cache.noise import nobody_draws, own_noise
from ..cache.run_state import MODEL_NAME
from ..cache.transformers_in import transformers_in
from ..errors import ConfigError, ModelError, chain
from ..files import ASSETS
from . import find, function, processes
from .call import is_warm, warm_up
from .fit import (
    RAM_SHARE,
    device_need_gb,
    fit_here,
    lighter,
    put_on_device,
    ram_need_gb,
    remember_lighter,
)
from .hub.download import fetch
from .hub.errors import damaged
from .hub.local_files import discard_damaged
from .loaded_models import LOADED_MODELS, LoadedModel, MemoryUse
from .machine import Machine, this_machine
from .progress import Loading
from .replicas import apart, forget, loaded_for, torch_name
from .spec import OFFLOADS, ModelSpec, Offload

TURN = 1.0  # seconds between two looks whether another's turn is over
WAITING = "Another run has the memory; this one starts when that ends."
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")
DEVICE_FAILED = (
    *("CUDA error", "CUBLAS_STATUS_EXECUTION_FAILED", "CUBLAS_STATUS_INTERNAL_ERROR"),
    *("CUDNN_STATUS_EXECUTION_FAILED", "CUDNN_STATUS_INTERNAL_ERROR"),
)
LIGHTER = {"model": "one component at a time", "sequential": "a few layers at a time"}
Event = TypeVar("Event")
Result = TypeVar("Result")
_turns: dict[str, threading.Lock] = {}  # one model of a device is made ready at a time
# The libraries' loaders change settings of the whole process, such as the type of new tensors, so
# one builds at a time. Not held while one is fetched or warmed up, nor while one waits for room.
_building = threading.Lock()


def using_model(
    spec: ModelSpec,
    device: str,
    use: Callable[[LoadedModel], Generator[Event, None, Result]],
    random_weights: bool = False,
    offload: Offload | None = None,
    warm: bool = True,
) -> Generator[Loading | Event, None, Result]:
    """Make a model ready and use it; both once more, in a lighter mode, if memory runs out.

    Args:
        spec: Its entry.
        device: "cpu", "cuda"…
        use: What to do with it. While it does, the model does not have to make room. It must let
            go of the model when it ends, by an error too.
        random_weights: See `load`.
        offload: How; the fastest mode that fits where None. Only then is another one tried.
        warm: Also run it for two steps, so that no measured run pays for what happens once.

    Yields:
        What is being done to make the model ready, as it goes on, and what `use` yields. After
        `Loading("retry")` everything starts anew.

    Returns:
        What `use` returns.

    Raises:
        ModelError: It cannot be loaded or does not run here.
    """
    _check(spec, device, random_weights, offload)
    key = (spec.name, spec.weights.source, spec.weights.revision, device, random_weights)
    retried = False
    while True:
        model = LOADED_MODELS.find(key, offload)
        mode = model.offload if model else offload or _mode(spec, device, random_weights)
        try:
            model = yield from _ready(spec, key, mode, offload, warm)
            with LOADED_MODELS.in_use(model):
                return (yield from use(model))
        except Exception as error:
            if not out_of_memory(error):
                raise
            model = None  # else the memory that it takes is not free for the next try
            again = _step_down(spec, device, mode, error, offload is None and not retried)
        retried = True
        yield again


def loading(
    spec: ModelSpec,
    device: str,
    random_weights: bool = False,
    offload: Offload | None = None,
    warm: bool = True,
) -> Generator[Loading, None, LoadedModel]:
    """Make a model ready, and give it; else as `using_model`."""

    def give(model: LoadedModel) -> Generator[Loading, None, LoadedModel]:
        yield from ()
        return model

    return (yield from using_model(spec, device, give, random_weights, offload, warm))


def _ready(
    spec: ModelSpec, key: tuple, mode: Offload, asked: Offload | None, warm: bool
) -> Generator[Loading, None, LoadedModel]:
    """Load a model in a mode, unless it is there as asked, and warm it up."""
    *_, device, random_weights = key
    model = LOADED_MODELS.find(key, asked)
    if model is not None and (is_warm(model.pipe) or not warm):
        return model
    folder = None
    if model is None and not random_weights:
        source = spec.weights.source
        folder = (yield from fetch(spec)) if spec.weights.on_hub else ASSETS / source
    turn = _turns.setdefault(device, threading.Lock())
    while not turn.acquire(timeout=TURN):
        yield Loading("load")
    try:
        model = LOADED_MODELS.find(key, asked)
        if model is None:
            in_another_mode = LOADED_MODELS.find(key)
            if in_another_mode is not None and not in_another_mode.users:
                LOADED_MODELS.drop(spec.name, device)
            del in_another_mode
            model = yield from _loaded(spec, key, mode, folder)
        if warm and not is_warm(model.pipe):
            yield Loading("warm_up")
            warm_up(model.pipe, spec)
        return model
    finally:
        turn.release()


def _loaded(
    spec: ModelSpec, key: tuple, mode: Offload, folder: Path | None
) -> Generator[Loading, None, LoadedModel]:
    """Load a model once there is room for it, and keep it."""
    *_, device, random_weights = key
    machine = this_machine(device)
    needs = (device_need_gb(spec, machine, mode), ram_need_gb(spec, machine))
    new = MemoryUse(*needs, device=device)
    while True:
        while not _building.acquire(timeout=TURN):
            yield Loading("load")
        try:
            if LOADED_MODELS.make_room(new, machine.free_gb, RAM_SHARE * machine.ram_gb):
                free_memory()
                yield Loading("load")
                model = _made(spec, machine, device, random_weights, mode, folder)
                LOADED_MODELS.add(key, model)
                return model
        finally:
            _building.release()
        yield Loading("load", note=WAITING)
        time.sleep(TURN)


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
    if found.offload is None and spec.weights.on_hub and not random_weights:
        raise ModelError(f"model: {spec.title} does not run here. {found.reason} Or use tinyworld.")
    return found.offload or machine.modes[-1]


def _made(
    spec: ModelSpec,
    machine: Machine,
    device: str,
    random_weights: bool,
    mode: Offload,
    folder: Path | None,
) -> LoadedModel:
    fetched = folder if spec.weights.on_hub else None
    place = torch_name(device)
    alone: AbstractContextManager = nullcontext()
    if apart():  # a load may draw: not from what a run on another device draws from
        alone = nobody_draws() if random_weights else own_noise()
    try:
        with alone:
            pipe = build(spec, place, random_weights, mode, folder)
    except ModelError as error:
        if fetched and not out_of_memory(error) and (names := discard_damaged(fetched)):
            raise ModelError(damaged(spec, names)) from error
        raise
    loaded_for(pipe, device)
    size = spec.weights.total_gb
    on_device = machine.device == "cuda" and mode == "none"
    sizes = (size, 0.0) if on_device else (0.0, size)
    memory = MemoryUse(*sizes, device=device)
    return LoadedModel(pipe, mode, memory, fetched.name if fetched else None)


def build(
    spec: ModelSpec, device: str, random_weights: bool, mode: Offload, folder: Path | None
) -> DiffusionPipeline:
    """The pipeline, made anew and put where it is to run."""
    if random_weights and spec.random_builder is not None:
        pipe = function(spec.random_builder)(spec, device if mode == "none" else "cpu")
    else:
        pipe = function(spec.loader)(spec, folder)
        for transformer in transformers_in(pipe):
            setattr(transformer, MODEL_NAME, spec.name)
    put_on_device(pipe, device, mode)
    processes.share(pipe)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def unload_all() -> None:
    """Drop every pipeline that is kept."""
    LOADED_MODELS.drop()
    forget()
    free_memory()


# -- out of memory ---------------------------------------------------------------------------------


def out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, of the GPU or of the machine."""
    return any(
        isinstance(each, torch.OutOfMemoryError | MemoryError)
        or (isinstance(each, RuntimeError) and any(words in str(each) for words in OUT_OF_MEMORY))
        for each in chain(error)
    )


def device_error(error: BaseException) -> bool:
    """Whether a GPU itself has failed, after which nothing more can be computed on it."""
    kinds = getattr(torch, "AcceleratorError", ())
    return any(
        isinstance(each, kinds)
        or (isinstance(each, RuntimeError) and any(words in str(each) for words in DEVICE_FAILED))
        for each in chain(error)
    )


def free_memory(error: BaseException | None = None) -> None:
    """Free what nobody refers to any more, on the GPU too.

    Args:
        error: One whose traceback still refers to tensors of the frames that it went through.
    """
    for each in chain(error) if error is not None else ():
        traceback.clear_frames(each.__traceback__)
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _step_down(
    spec: ModelSpec, device: str, failed: Offload, error: BaseException, allowed: bool
) -> Loading:
    """Drop a model that ran out of memory; from now on it is loaded in the next lighter mode.

    Args:
        spec: Its entry.
        device: Where it ran.
        failed: The mode it ran in.
        error: What it raised.
        allowed: Whether a lighter mode may be tried.

    Returns:
        What to show.

    Raises:
        ModelError: There is no lighter mode, or it is not allowed.
    """
    LOADED_MODELS.drop(spec.name, device)
    free_memory(error)
    machine = this_machine(device)
    mode = lighter(machine, failed) if allowed else None
    if mode is None:
        tried = "" if failed == "none" else f", even with {LIGHTER[failed]} on the GPU"
        memory = "GPU memory" if machine.device == "cuda" else "memory"
        raise ModelError(
            f"model: {spec.title} ran out of {memory} on this machine{tried}; use a smaller model "
            "such as tinyworld, a smaller video, or a machine with more"
        ) from None
    remember_lighter(spec, device, mode)
    note = (
        f"{spec.title} ran out of GPU memory; it is tried once more with {LIGHTER[mode]} on the "
        "GPU, which is slower. The comparison starts anew, so that both runs are made alike."
    )
    return Loading("retry", note=note)


# -- all at once -----------------------------------------------------------------------------------


def result_of(
    events: Generator[Event, None, Result], on_event: Callable[[Event], None] = lambda event: None
) -> Result:
    """Run a generator to its end, handing on what it yields, and give what it returns."""
    while True:
        try:
            on_event(next(events))
        except StopIteration as end:
            return end.value


def load(
    name: str,
    device: str,
    random_weights: bool = False,
    on_event: Callable[[Loading], None] = lambda event: None,
) -> DiffusionPipeline:
    """The model's pipeline on a device, ready to be called; loaded once, then kept.

    Args:
        name: Catalogue name.
        device: "cpu", "cuda"…
        random_weights: Build it with seeded random weights instead: nothing is downloaded, every
            shape and every cost is the real one, and the videos show nothing. Runs on any machine
            with the memory for it.
        on_event: Called with each `Loading` of what is being done.

    Raises:
        ConfigError: The name is not in the catalogue.
        ModelError: It cannot be loaded or does not run here.
    """
    steps = loading(find(name), device, random_weights, warm=False)
    return result_of(steps, on_event).pipe
