"""Run a pipeline once, as an iterator of events: a worker thread, a queue, a stop flag.

Streaming is the only path; whoever wants just the result takes the last event.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch

from ..cache.install import cached
from ..cache.method import Method
from ..cache.noise import own_noise
from ..cache.trace import StepRecord
from ..models import ModelSpec
from ..models.call import call_arguments, warm_up, with_image
from ..models.replicas import apart, at, pipeline_lock, place_of
from .events import Event, Events, RunFinished, RunName, RunStarted, StepDone
from .preview import latent_preview

Report = Callable[[StepRecord, torch.Tensor | None], None]  # called after each step


class Stopped(Exception):
    """The reader went away; raised inside the pipeline to end it."""


def generate(
    pipe,
    spec: ModelSpec,
    run: RunName,
    prompt: str,
    seed: int,
    steps: int,
    config: Method,
    image: bytes | None = None,
) -> Events:
    """Make one video, reporting each step as it ends.

    Args:
        pipe: The model's pipeline, not cached.
        spec: Its catalogue entry.
        run: What to call this run.
        prompt: What the video shows.
        seed: Of the initial noise, drawn on the CPU, so that it is the same on every device.
        steps: Denoising steps.
        config: The caching method and its settings; see `baselines.measuring` for an uncached run.
        image: The picture to start from, if any.

    Yields:
        `RunStarted`, a `StepDone` for each step, `RunFinished`. Closing the iterator stops the
        run at its next step and waits for that.

    Raises:
        Exception: Whatever the pipeline raises, in the reader's thread.
    """
    events: queue.Queue[Event | BaseException | None] = queue.Queue()
    previews: list[bytes | None] = []
    stop = threading.Event()

    def report(record: StepRecord, latents: torch.Tensor | None) -> None:
        if stop.is_set():
            raise Stopped
        previews.append(latent_preview(pipe, latents, spec.latent_frames_axis))
        events.put(StepDone(run, record, previews[-1]))

    def work() -> None:
        try:
            with pipeline_lock(pipe), at(place_of(pipe)):
                called = pipe if image is None else with_image(pipe, spec)
                warm_up(called, spec, image)
                call = call_arguments(spec, prompt, seed, steps, image)
                finished = _run(called, run, call, config, report, seed)
                events.put(replace(finished, previews=tuple(previews)))
        except Stopped:
            pass
        except BaseException as error:  # handed over, so that nobody waits for ever
            events.put(error)
        finally:
            events.put(None)

    worker = threading.Thread(target=work, name=f"bwcache-{run}", daemon=True)
    worker.start()
    try:
        yield RunStarted(run, steps)
        while (event := events.get()) is not None:
            if isinstance(event, BaseException):
                raise event
            yield event
    finally:
        stop.set()
        worker.join()


def _run(
    pipe,
    run: RunName,
    call: Mapping[str, object],
    config: Method,
    report: Report,
    seed: int,
) -> RunFinished:
    device = place_of(pipe)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    started = time.perf_counter()
    with cached(pipe, config, on_step=report) as state, same_noise(device, seed):
        output = pipe(**call)
    seconds = time.perf_counter() - started
    peak, sound = _peak_bytes(device), sound_of(output)
    return RunFinished(run, state.trace, output.frames[0], seconds, peak, sound=sound)


def sound_of(output: object) -> np.ndarray | None:
    """The first video's sound, where a model makes one (LTX-2): it is cached with the picture."""
    audio = getattr(output, "audio", None)
    if audio is None:
        return None
    return torch.as_tensor(audio[0]).detach().float().cpu().numpy()


@contextmanager
def same_noise(device: torch.device, seed: int) -> Iterator[None]:
    """Whatever a scheduler draws from PyTorch's own generators is the same in every run of a seed.

    Stochastic schedulers add noise in each step, and most pipelines hand them no generator.
    """
    on_gpu = device.type == "cuda" and torch.cuda.is_initialized()
    if not apart():
        with torch.random.fork_rng(devices=[device] if on_gpu else []):
            torch.manual_seed(seed)
            yield
        return
    with own_noise(seed):  # nobody else's generators are touched, on whatever device
        before = torch.cuda.get_rng_state(device) if on_gpu else None
        try:
            if on_gpu:
                with torch.cuda.device(device):
                    torch.cuda.manual_seed(seed)
            yield
        finally:
            if before is not None:
                torch.cuda.set_rng_state(before, device)


def _peak_bytes(device: torch.device) -> int | None:
    """The most memory that was allocated on a GPU since its count was reset.

    None on a CPU. There only the process's resident set can be read, and it says nothing of a run:
    the allocator keeps what it was once given, so that a run made again does not grow it.
    """
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
