"""Out of memory: told apart from other errors, let go of, and said in a sentence."""

from __future__ import annotations

import gc
import traceback

import torch

from ..errors import chain
from .fit import Machine
from .spec import ModelSpec, Offload

WORDS = ("out of memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")
LIGHTER = {"model": "one component at a time", "sequential": "a few layers at a time"}


def out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, of the GPU or of the machine."""
    return any(
        isinstance(each, torch.OutOfMemoryError | MemoryError)
        or (isinstance(each, RuntimeError) and any(words in str(each) for words in WORDS))
        for each in chain(error)
    )


def let_go(error: BaseException | None = None) -> None:
    """Free what nobody refers to any more, on the GPU too.

    Args:
        error: One whose traceback still refers to tensors of the frames that it went through.
    """
    for each in chain(error) if error is not None else ():
        traceback.clear_frames(each.__traceback__)
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def retry_note(spec: ModelSpec, offload: Offload) -> str:
    """Says that a model is tried once more, in a lighter mode."""
    return (
        f"{spec.title} ran out of GPU memory; it is tried once more with {LIGHTER[offload]} on the "
        "GPU, which is slower. The comparison starts anew, so that both runs are made alike."
    )


def sentence(spec: ModelSpec, machine: Machine, offload: Offload) -> str:
    """Says that a model does not run here, and what else one can do."""
    mode = "" if offload == "none" else f", even with {LIGHTER[offload]} on the GPU"
    memory = "GPU memory" if machine.device == "cuda" else "memory"
    return (
        f"model: {spec.title} ran out of {memory} on this machine{mode}; use a smaller model such "
        "as tinyworld, a smaller video, or a machine with more"
    )
