"""`python -m bwcache.tinyworld_training sheet`: pictures of what a TinyWorld draws, to look at.

Three sheets: every shape and motion, captions of two shapes, and the page's examples with several
seeds. The first two show frames of a clip side by side, the last one frame a clip.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ..files import ASSETS
from ..models import find
from ..tinyworld.load import load
from .check import batches, check_scenes, generate

FRAMES_SHOWN = 6
GAP = 4  # pixels between clips
SEEDS = 8


def strip(clip: np.ndarray, count: int = FRAMES_SHOWN) -> np.ndarray:
    """Frames of a clip `[F, H, W, 3]`, evenly spread in time, side by side."""
    chosen = np.linspace(0, len(clip) - 1, count).round().astype(int)
    return np.concatenate(list(clip[chosen]), axis=1)


def sheet(pictures: Sequence[np.ndarray], columns: int) -> Image.Image:
    """Pictures of one size `[h, w, 3]` in 0–1, row by row on gray."""
    height, width = pictures[0].shape[:2]
    rows = -(-len(pictures) // columns)
    paper = np.full((rows * (height + GAP) + GAP, columns * (width + GAP) + GAP, 3), 0.35)
    for i, picture in enumerate(pictures):
        top, left = GAP + i // columns * (height + GAP), GAP + i % columns * (width + GAP)
        paper[top : top + height, left : left + width] = picture
    return Image.fromarray((paper.clip(0, 1) * 255).round().astype(np.uint8))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="another model folder than the embedded one")
    parser.add_argument("--out", type=Path, default=Path("runs/sheets"), help="a folder")
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plain", action="store_true", help="the first TinyWorld's colours only")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args(arguments)
    torch.set_num_threads(args.threads)
    spec = find("tinyworld")
    own = ASSETS / spec.weights.source
    pipe = load(args.model.resolve() if args.model else own, own).to(args.device)
    pipe.set_progress_bar_config(disable=True)

    def clips(captions: list[str], seed: int) -> list[np.ndarray]:
        made = []
        for part in batches(len(captions), args.batch):
            settings = {"num_inference_steps": args.steps or spec.steps}
            made += list(generate(pipe, spec, captions[part], seed + part.start, **settings))
        return made

    scenes = check_scenes(args.plain)
    args.out.mkdir(parents=True, exist_ok=True)
    for name, count in (("one-shape", 1), ("two-shapes", 2)):
        captions = [str(scene) for scene in scenes if len(scene.actors) == count]
        strips = [strip(clip) for clip in clips(captions, args.seed)]
        sheet(strips, columns=2).save(args.out / f"{name}.png")
        (args.out / f"{name}.txt").write_text("\n".join(captions) + "\n")
    pictures = [
        strip(clip, 3)[:, clip.shape[2] : 2 * clip.shape[2]]
        for caption in spec.examples
        for clip in clips([caption] * SEEDS, args.seed)
    ]
    sheet(pictures, columns=SEEDS).save(args.out / "examples.png")
