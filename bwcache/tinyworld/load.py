"""Load TinyWorld, or a relative of it, from its folder into diffusers' `WanPipeline`.

Knows the folder's layout; nothing is downloaded, and only safetensors are read.
"""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import UniPCMultistepScheduler, WanPipeline
from safetensors import SafetensorError
from transformers import PreTrainedTokenizerFast, UMT5EncoderModel

from ..errors import ModelError, first_line
from .autoencoder import SmoothCodec
from .transformer import transformer_class

_WEIGHTS = {
    "use_safetensors": True,
    "torch_dtype": torch.float32,
    "output_loading_info": True,
}
# folder → class (None: its configuration tells), the file that must be there, and what else
# `from_pretrained` is told
PARTS = {
    "tokenizer": (PreTrainedTokenizerFast, "tokenizer.json", {}),
    "text_encoder": (UMT5EncoderModel, "model.safetensors", _WEIGHTS),
    "transformer": (None, "diffusion_pytorch_model.safetensors", _WEIGHTS),
    "vae": (SmoothCodec, "diffusion_pytorch_model.safetensors", _WEIGHTS),
    "scheduler": (UniPCMultistepScheduler, "scheduler_config.json", {}),
}
REMEDY = "restore the folder with `git checkout -- assets`, or export the model anew"


def load(folder: Path, relative: Path | None = None) -> WanPipeline:
    """The model's pipeline, on the CPU, in float32.

    Args:
        folder: Where its files are.
        relative: The folder of a model of which it has the parts that it has no own folder of;
            its transformer is always its own.

    Raises:
        ModelError: The folder or a file in it is missing or damaged; one line that names it.
    """
    if not folder.is_dir():
        raise ModelError(f"model: TinyWorld (embedded) is missing, no folder {folder}; {REMEDY}")
    return WanPipeline(**{part: _load_part(_home(part, folder, relative), part) for part in PARTS})


def _home(part: str, folder: Path, relative: Path | None) -> Path:
    own = relative is None or part == "transformer" or (folder / part).is_dir()
    return folder if own else relative


def _load_part(folder: Path, part: str):
    kind, needed, options = PARTS[part]
    path = folder / part / needed
    if not path.is_file():
        raise ModelError(f"model: {path} is missing; {REMEDY}")
    try:
        kind = kind or transformer_class(folder / part)
        loaded = kind.from_pretrained(folder / part, local_files_only=True, **options)
        if options:
            loaded, report = loaded
            # either library fills gaps with random numbers and merely warns
            if gaps := [*report["missing_keys"], *report["mismatched_keys"]]:
                raise ValueError(f"{len(gaps)} weights are absent, such as {gaps[0]}")
            loaded.eval()
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
        raise ModelError(f"model: {path} is damaged ({first_line(error)}); {REMEDY}") from error
    return loaded
