"""A training run's result, as a folder that diffusers can read.

Writes the averaged weights as safetensors in the layout of a `WanPipeline`, `training.json` with
every run that these weights went through, and a model card that states only what was measured.
The folder appears whole or not at all.
Knows checkpoints and layout; `model_card` knows the words.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import diffusers
import torch
from diffusers import UniPCMultistepScheduler

from ..tinyworld.autoencoder import SmoothCodec
from ..tinyworld.text import build_text_encoder, build_tokenizer
from ..tinyworld.transformer import FLOW_SHIFT, build_transformer
from .autoencoder import psnr
from .model_card import Facts, model_card
from .transformer import CHECKPOINT, EARLIER, HISTORY

HEAD_WIDTH = 32
NOISES = (0.0, 0.1, 0.3)  # on the latents, for the card


def averaged(state: dict, part: str) -> dict[str, torch.Tensor]:
    """The averaged weights of one part of a run's checkpoint, under the part's own names."""
    prefix = f"module.{part}."
    return {
        name.removeprefix(prefix).replace("_orig_mod.", ""): value
        for name, value in state["ema"].items()
        if name.startswith(prefix)
    }


def transformer_of(weights: dict[str, torch.Tensor]):
    """The transformer that those weights belong to; its size is read off them."""
    layers = 1 + max(int(name.split(".")[1]) for name in weights if name.startswith("blocks."))
    width, z_dim = weights["patch_embedding.weight"].shape[:2]
    text_dim = weights["condition_embedder.text_embedder.linear_1.weight"].shape[1]
    skips = sum(name.endswith(".skip_projection.weight") for name in weights)
    transformer = build_transformer(layers, width // HEAD_WIDTH, z_dim, text_dim, skips)
    transformer.load_state_dict(weights)
    return transformer


def text_encoder_of(weights: dict[str, torch.Tensor]):
    """The text encoder that those weights belong to; its size is read off them."""
    layers = 1 + max(int(n.split(".")[2]) for n in weights if n.startswith("encoder.block."))
    encoder = build_text_encoder(weights["shared.weight"].shape[1], layers)
    encoder.load_state_dict(weights)
    return encoder


def write_model(folder: Path, transformer, text_encoder, codec: SmoothCodec) -> None:
    """The diffusers layout, into an existing empty folder."""
    build_tokenizer().save_pretrained(folder / "tokenizer")
    text_encoder.save_pretrained(folder / "text_encoder", safe_serialization=True)
    transformer.save_pretrained(folder / "transformer", safe_serialization=True)
    codec.save_pretrained(folder / "vae", safe_serialization=True)
    _forget_where_it_was_read(folder / "vae" / "config.json")
    UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=FLOW_SHIFT
    ).save_pretrained(folder / "scheduler")
    index = {
        "_class_name": "WanPipeline",
        "_diffusers_version": diffusers.__version__,
        "scheduler": ["diffusers", "UniPCMultistepScheduler"],
        "text_encoder": ["transformers", "UMT5EncoderModel"],
        "tokenizer": ["transformers", "PreTrainedTokenizerFast"],
        "transformer": [_library(transformer), type(transformer).__name__],
        "transformer_2": [None, None],
        "vae": ["bwcache.tinyworld.autoencoder", "SmoothCodec"],
    }
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")


def _library(part: torch.nn.Module) -> str:
    """Where diffusers finds a part's class: in a library's own names, or in a module."""
    module = type(part).__module__
    return "diffusers" if module.startswith("diffusers.") else module


def _forget_where_it_was_read(config: Path) -> None:
    """Diffusers keeps the folder that a model came from: a path of the machine that made it."""
    settings = json.loads(config.read_text())
    settings.pop("_name_or_path", None)
    config.write_text(json.dumps(settings, indent=2) + "\n")


def leave_out(folder: Path, relative: Path) -> tuple[str, ...]:
    """Delete a model's parts that another one's folder has byte for byte; returns their names.

    The transformer stays, which makes it a model of its own.
    """
    parts = sorted(path.name for path in folder.iterdir() if path.is_dir())
    same = tuple(
        part
        for part in parts
        if part != "transformer" and _content(folder / part) == _content(relative / part)
    )
    for part in same:
        shutil.rmtree(folder / part)
    return same


def _content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*") if path.is_file()}


def replace_folder(new: Path, target: Path) -> None:
    """Put a finished folder where another may be, with no moment of half-written files."""
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        os.replace(target, old)
    os.replace(new, target)
    shutil.rmtree(old, ignore_errors=True)


def export(
    run: Path,
    codec_folder: Path,
    out: Path,
    check: dict | None = None,
    curve: dict | None = None,
    notes: tuple[str, ...] = (),
    clips: int = 24,
    relative: Path | None = None,
) -> None:
    """Write the model of a training run.

    Args:
        run: Folder with the transformer's checkpoint.
        codec_folder: The autoencoder that the run's latents are of; its decoder may be newer.
        out: Where the model goes; replaced if it exists.
        check: What `check --json` wrote, for the card.
        curve: `prompt`, `steps` and `indicator` (one number a step, null where there is none).
        notes: Sentences for the card, on how training went and what the model does badly.
        clips: How many the autoencoder's decibels are measured on.
        relative: The folder of a model: what is in it byte for byte is not written again.
    """
    state = torch.load(run / CHECKPOINT, map_location="cpu", weights_only=True)
    transformer = transformer_of(averaged(state, "transformer"))
    text_encoder = text_encoder_of(averaged(state, "text_encoder"))
    codec = SmoothCodec.from_pretrained(codec_folder).eval()
    earlier = run / EARLIER
    history = json.loads(earlier.read_text()) if earlier.exists() else []
    history.append(
        {
            "steps": state["step"],
            "minutes": round(state["seconds"] / 60, 1),
            "processor": state["device"],
            "losses": state["losses"],
        }
    )
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    write_model(partial, transformer, text_encoder, codec)
    facts = Facts(
        history=history,
        parameters={
            "transformer": _count(transformer),
            "text encoder": _count(text_encoder),
            "autoencoder": _count(codec),
        },
        decibels={noise: psnr(codec, noise, clips) for noise in NOISES},
        check=check,
        curve=curve,
        notes=notes,
        long_skips=getattr(transformer.config, "long_skips", 0),
        shared=leave_out(partial, relative) if relative else (),
    )
    (partial / HISTORY).write_text(json.dumps(history) + "\n")
    (partial / "README.md").write_text(model_card(facts))
    replace_folder(partial, out)


def _count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def _json(path: Path | None) -> dict | None:
    return json.loads(path.read_text()) if path else None


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("runs/tinyworld"))
    parser.add_argument("--codec", type=Path, default=Path("runs/autoencoder/vae"))
    parser.add_argument("--out", type=Path, default=Path("assets/tinyworld"))
    parser.add_argument("--check", type=Path, help="what `check --json` wrote")
    parser.add_argument("--curve", type=Path, help="a measured indicator curve")
    parser.add_argument("--note", action="append", default=[], help="a sentence for the card")
    parser.add_argument("--relative", type=Path, help="a model: parts like its own are left out")
    args = parser.parse_args(arguments)
    measured = _json(args.check), _json(args.curve)
    export(args.run, args.codec, args.out, *measured, tuple(args.note), relative=args.relative)
    size = sum(path.stat().st_size for path in args.out.rglob("*.safetensors"))
    print(f"{args.out}: {size / 1e6:.1f} MB of weights")
