"""Load TinyWorld from its folder into diffusers' `WanPipeline`.

Knows the folder's layout; nothing is downloaded, and only safetensors are read.
"""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import UniPCMultistepScheduler, WanPipeline, WanTransformer3DModel
from safetensors import SafetensorError
from transformers import PreTrainedTokenizerFast, UMT5EncoderModel

from ..models import ASSETS, ModelError, ModelSpec
from .codec import PatchCodec

_WEIGHTS = {
    "use_safetensors": True,
    "torch_dtype": torch.float32,
    "output_loading_info": True,
}
# folder → class, the file that must be there, and what else `from_pretrained` is told
PARTS = {
    "tokenizer": (PreTrainedTokenizerFast, "tokenizer.json", {}),
    "text_encoder": (UMT5EncoderModel, "model.safetensors", _WEIGHTS),
    "transformer": (WanTransformer3DModel, "diffusion_pytorch_model.safetensors", _WEIGHTS),
    "vae": (PatchCodec, "diffusion_pytorch_model.safetensors", _WEIGHTS),
    "scheduler": (UniPCMultistepScheduler, "scheduler_config.json", {}),
}
REMEDY = "restore the folder with `git checkout -- assets/tinyworld`, or export the model anew"


def load(spec: ModelSpec, device: str) -> WanPipeline:
    """The model's pipeline, on a device, in float32.

    Args:
        spec: `source` is a folder under `assets/`, or an absolute path.
        device: Where it shall run.

    Raises:
        ModelError: The folder or a file in it is missing or damaged; one line that names it.
    """
    folder = ASSETS / spec.source
    if not folder.is_dir():
        raise ModelError(f"model: {spec.title} is missing, no folder {folder}; {REMEDY}")
    return WanPipeline(**{part: _load_part(folder, part) for part in PARTS}).to(device)


def _load_part(folder: Path, part: str):
    kind, needed, options = PARTS[part]
    path = folder / part / needed
    if not path.is_file():
        raise ModelError(f"model: {path} is missing; {REMEDY}")
    try:
        loaded = kind.from_pretrained(folder / part, local_files_only=True, **options)
        if options:
            loaded, report = loaded
            # either library fills gaps with random numbers and merely warns
            if gaps := [*report["missing_keys"], *report["mismatched_keys"]]:
                raise ValueError(f"{len(gaps)} weights are absent, such as {gaps[0]}")
            loaded.eval()
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
        raise ModelError(f"model: {path} is damaged ({_first_line(error)}); {REMEDY}") from error
    return loaded


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
