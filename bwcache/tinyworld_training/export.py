"""A training run's result, as a folder that diffusers can read.

Writes the averaged weights as safetensors in the layout of a `WanPipeline`, and a model card that
states only what was measured. The folder appears whole or not at all.
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

from ..tinyworld.codec import PatchCodec
from ..tinyworld.text import build_text_encoder, build_tokenizer
from ..tinyworld.transformer import FLOW_SHIFT, build_transformer
from .model_card import Facts, model_card
from .painter import WIDTH, codec_of_run, load_painter, psnr

HEAD_WIDTH = 32


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
    heads = len(weights["patch_embedding.bias"]) // HEAD_WIDTH
    transformer = build_transformer(layers, heads)
    transformer.load_state_dict(weights)
    return transformer


def write_model(folder: Path, transformer, text_encoder, codec: PatchCodec) -> None:
    """The diffusers layout, into an existing empty folder."""
    build_tokenizer().save_pretrained(folder / "tokenizer")
    text_encoder.save_pretrained(folder / "text_encoder", safe_serialization=True)
    transformer.save_pretrained(folder / "transformer", safe_serialization=True)
    codec.save_pretrained(folder / "vae", safe_serialization=True)
    UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=FLOW_SHIFT
    ).save_pretrained(folder / "scheduler")
    index = {
        "_class_name": "WanPipeline",
        "_diffusers_version": diffusers.__version__,
        "scheduler": ["diffusers", "UniPCMultistepScheduler"],
        "text_encoder": ["transformers", "UMT5EncoderModel"],
        "tokenizer": ["transformers", "PreTrainedTokenizerFast"],
        "transformer": ["diffusers", "WanTransformer3DModel"],
        "transformer_2": [None, None],
        "vae": ["bwcache.tinyworld.codec", "PatchCodec"],
    }
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")


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
    decoder: Path | None,
    out: Path,
    check: dict | None = None,
    curve: dict | None = None,
    notes: tuple[str, ...] = (),
) -> None:
    """Write the model of a training run.

    Args:
        run: Folder with the run's `checkpoint.pt`.
        decoder: Folder with the painter's `decoder.pt`; without it, decoding is linear.
        out: Where the model goes; replaced if it exists.
        check: What `check --json` printed, for the card.
        curve: `prompt`, `steps` and `indicator` (one number a step, null where there is none).
        notes: Sentences for the card, on how training went and what the model does badly.
    """
    state = torch.load(run / "checkpoint.pt", map_location="cpu", weights_only=True)
    transformer = transformer_of(averaged(state, "transformer"))
    text_encoder = build_text_encoder()
    text_encoder.load_state_dict(averaged(state, "text_encoder"))
    codec = codec_of_run(run / "checkpoint.pt", width=WIDTH if decoder else 0)
    training = load_painter(codec, decoder) if decoder else None
    facts = Facts(
        step=state["step"],
        seconds=state["seconds"],
        losses=state["losses"],
        parameters={
            "transformer": _count(transformer),
            "text encoder": _count(text_encoder),
            "autoencoder": _count(codec),
        },
        decibels={noise: psnr(codec, noise) for noise in (0.0, 0.05, 0.15)},
        decoder=training,
        check=check,
        curve=curve,
        notes=notes,
    )
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    write_model(partial, transformer, text_encoder, codec)
    (partial / "README.md").write_text(model_card(facts))
    replace_folder(partial, out)


def _count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def _json(path: Path | None) -> dict | None:
    return json.loads(path.read_text()) if path else None


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("runs/tinyworld"))
    parser.add_argument("--decoder", type=Path)
    parser.add_argument("--out", type=Path, default=Path("assets/tinyworld"))
    parser.add_argument("--check", type=Path, help="what `check --json` printed")
    parser.add_argument("--curve", type=Path, help="a measured indicator curve")
    parser.add_argument("--note", action="append", default=[], help="a sentence for the card")
    args = parser.parse_args(arguments)
    export(args.run, args.decoder, args.out, _json(args.check), _json(args.curve), tuple(args.note))
    size = sum(path.stat().st_size for path in args.out.rglob("*.safetensors"))
    print(f"{args.out}: {size / 1e6:.1f} MB of weights")
