"""Does TinyWorld show what captions it never saw ask for?

Generates held-out captions through the real `WanPipeline`, lets `judge` name what each clip
shows, and compares word by word. Exits with 0 only if every goal is met.
Knows captions and goals; how a clip is read is `judge`'s business.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from ..files import ASSETS
from ..models import ModelError, ModelSpec, find
from ..tinyworld.load import load
from ..tinyworld.scenes import Scene, held_out_scenes
from .judge import Verdict, judge

GOALS = {"background": 0.9, "colour": 0.9, "motion": 0.9, "shape": 0.8}


def asked_for(scene: Scene) -> Verdict:
    """What a one-actor scene ought to show."""
    (actor,) = scene.actors
    return Verdict(scene.background, actor.colour, actor.shape, actor.motion)


def generate(pipe, spec: ModelSpec, captions: list[str], seed: int, **settings) -> np.ndarray:
    """Clips `[B, F, H, W, 3]` in 0–1, the first with noise of `seed`, the next of `seed + 1`…

    Args:
        pipe: The model's pipeline.
        spec: Its catalogue entry.
        captions: One for each clip; they share every denoising step's forward pass.
        seed: Of the first clip.
        settings: What differs from the entry, as arguments of the pipeline's call.
    """
    arguments = {
        **spec.call,
        "height": spec.shape.height,
        "width": spec.shape.width,
        "num_frames": spec.shape.num_frames,
        "num_inference_steps": spec.steps,
        "output_type": "np",
    } | settings
    if arguments.get("negative_prompt") is not None:
        arguments["negative_prompt"] = [arguments["negative_prompt"]] * len(captions)
    generators = [torch.Generator("cpu").manual_seed(seed + i) for i in range(len(captions))]
    return pipe(prompt=captions, generator=generators, **arguments).frames


def batches(count: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def compare(scenes: list[Scene], verdicts: list[Verdict]) -> dict:
    """Shares right, whether they meet the goals, and every mistake, ready for JSON."""
    wanted = [asked_for(scene) for scene in scenes]
    pairs = list(zip(wanted, verdicts, strict=True))
    right = {
        name: sum(getattr(want, name) == getattr(got, name) for want, got in pairs) / len(pairs)
        for name in GOALS
    }
    mistakes = [
        {"caption": str(scene), "shown": dataclasses.asdict(got)}
        for scene, (want, got) in zip(scenes, pairs, strict=True)
        if want != got
    ]
    passed = all(right[name] >= goal for name, goal in GOALS.items())
    return {
        "captions": len(pairs),
        "right": right,
        "goals": GOALS,
        "passed": passed,
        "mistakes": mistakes,
    }


def table(result: dict) -> str:
    """The result for people."""
    count = result["captions"]
    lines = [f"{'':12}{'right':>9}{'share':>9}{'goal':>7}"]
    for name, goal in result["goals"].items():
        share = result["right"][name]
        mark = "" if share >= goal else "  missed"
        lines.append(
            f"{name:12}{round(share * count):>4}/{count:<4}{share:>9.0%}{goal:>7.0%}{mark}"
        )
    for mistake in result["mistakes"]:
        lines.append(f"  {mistake['caption']}: {' / '.join(mistake['shown'].values())}")
    lines.append("passed" if result["passed"] else "failed")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="another model folder than the embedded one")
    parser.add_argument("--captions", type=int, default=64)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--guidance", type=float)
    parser.add_argument("--flow-shift", type=float)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args(arguments)
    spec = find("tinyworld")
    folder = args.model.resolve() if args.model else ASSETS / spec.weights.source
    settings = {"num_inference_steps": args.steps or spec.steps}
    settings["guidance_scale"] = args.guidance or spec.call["guidance_scale"]
    try:
        pipe = load(spec, folder).to(args.device)
    except ModelError as error:
        print(error, file=sys.stderr)
        return 2
    if args.flow_shift:
        pipe.scheduler = type(pipe.scheduler).from_config(
            pipe.scheduler.config, flow_shift=args.flow_shift
        )
    pipe.set_progress_bar_config(disable=True)
    settings_used = settings | {"flow_shift": pipe.scheduler.config.flow_shift, "seed": args.seed}
    scenes, verdicts = held_out_scenes(args.captions), []
    with tqdm(total=len(scenes), unit="clip") as bar:
        for part in batches(len(scenes), args.batch):
            captions = [str(scene) for scene in scenes[part]]
            clips = generate(pipe, spec, captions, args.seed + part.start, **settings)
            verdicts += [judge(clip) for clip in clips]
            bar.update(len(clips))
    result = compare(scenes, verdicts) | {"settings": settings_used}
    print(json.dumps(result, indent=2) if args.json else table(result))
    return 0 if result["passed"] else 1
