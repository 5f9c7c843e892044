"""`python -m bwcache.tinyworld_training check`: does TinyWorld draw what its captions ask for?

Generates captions that training never saw through the real `WanPipeline`, with several seeds, and
measures the raw frames (`overlap`). Exits with 0 only if every goal is met.
Knows captions and goals; how a clip is read is `overlap`'s business.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from ..files import ASSETS
from ..models import ModelError, ModelSpec, find
from ..tinyworld.grammar import COLOURS, MOTIONS, SHAPES, Actor, Scene, is_held_out
from ..tinyworld.load import load
from .overlap import SeenClip, look

PAIRS = 12  # captions of two shapes
# Overlap is intersection over union with the best perfect shape. Clips drawn by `world` itself
# reach a median of 0.97 and a worst tenth of 0.96: shading is read as a little transparency
GOALS = {
    "background": 0.95,
    "colour": 0.95,
    "shape": 0.95,
    "motion": 0.95,
    "overlap, median": 0.93,
    "overlap, worst tenth": 0.88,
    "both shapes right": 10 / 12,
}
FIRST_COLOURS, FIRST_BACKGROUNDS = COLOURS[:6], COLOURS[6:]  # the first TinyWorld knew no others
GRAYS = {"black", "gray", "white"}  # with all three in a clip, outlines cannot be told apart


def check_scenes(plain: bool = False, seed: int = 0) -> list[Scene]:
    """Held-out scenes: one of every shape and motion, then `PAIRS` of two shapes.

    Args:
        plain: Only with the colours and the backgrounds of the first TinyWorld.
        seed: Of the choice.
    """
    rng = np.random.default_rng(seed)
    colours = FIRST_COLOURS if plain else COLOURS
    backgrounds = FIRST_BACKGROUNDS if plain else COLOURS
    held_out = [
        actor
        for shape in SHAPES
        for motion in MOTIONS
        for colour in colours
        if is_held_out(actor := Actor(colour, shape, motion))
    ]

    def scene(*actors: Actor) -> Scene:
        taken = {actor.colour for actor in actors}
        free = [c for c in backgrounds if c not in taken and len({*taken, c} & GRAYS) < 3]
        return Scene(actors, free[rng.integers(len(free))])

    scenes = []
    for shape in SHAPES:
        for motion in MOTIONS:
            fitting = [a for a in held_out if (a.shape, a.motion) == (shape, motion)]
            scenes.append(scene(fitting[rng.integers(len(fitting))]))
    while len(scenes) < len(SHAPES) * len(MOTIONS) + PAIRS:
        first, second = (held_out[rng.integers(len(held_out))] for _ in range(2))
        if first.colour != second.colour:
            scenes.append(scene(first, second))
    return scenes


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


def compare(scenes: list[Scene], seen: list[SeenClip]) -> dict:
    """What was asked for against what is seen, whether it meets the goals; ready for JSON.

    Words and overlap are of the captions with one shape; the largest shape seen is taken for it,
    and where none is seen, the overlap is 0.
    """
    pairs = list(zip(scenes, seen, strict=True))
    single = [(scene, clip) for scene, clip in pairs if len(scene.actors) == 1]
    double = [(scene, clip) for scene, clip in pairs if len(scene.actors) == 2]
    overlaps, jitters, right, by = [], [], dict.fromkeys(tuple(GOALS)[:4], 0.0), {}
    for scene, clip in single:
        (actor,), shape = scene.actors, clip.shapes[0] if clip.shapes else None
        overlaps.append(shape.overlap if shape else 0.0)
        jitters.append(shape.jitter if shape else 0.0)
        right["background"] += clip.background == scene.background
        for word in ("colour", "shape", "motion"):
            right[word] += shape is not None and getattr(shape, word) == getattr(actor, word)
        for word in (actor.shape, actor.motion):
            by.setdefault(word, []).append(overlaps[-1])
    values = {word: count / len(single) for word, count in right.items()} if single else {}
    if single:
        values["overlap, median"] = float(np.median(overlaps))
        values["overlap, worst tenth"] = float(np.quantile(overlaps, 0.1))
    if double:
        values["both shapes right"] = sum(
            clip.shows(scene.actors, scene.background) for scene, clip in double
        ) / len(double)
    mistakes = [
        {"caption": str(scene), "shown": describe(clip)}
        for scene, clip in pairs
        if not clip.shows(scene.actors, scene.background)
    ]
    return {
        "clips": {"one shape": len(single), "two shapes": len(double)},
        "values": values,
        "goals": {name: GOALS[name] for name in values},
        "passed": all(values[name] >= GOALS[name] - 1e-9 for name in values),
        "overlap by word": {word: float(np.mean(found)) for word, found in by.items()},
        "outline moves, pixels": float(np.median(jitters)) if jitters else None,
        "mistakes": mistakes,
    }


def describe(clip: SeenClip) -> str:
    """What a clip shows, in a few words."""
    shapes = [
        f"{shape.colour} {shape.shape} {shape.motion} ({shape.overlap:.2f})"
        for shape in clip.shapes
    ]
    return f"{' and '.join(shapes) or 'nothing'} on {clip.background}"


def table(result: dict) -> str:
    """The result for people."""
    lines = [f"{'':22}{'is':>8}{'goal':>8}"]
    for name, goal in result["goals"].items():
        value = result["values"][name]
        mark = "" if value >= goal - 1e-9 else "  missed"
        lines.append(f"{name:22}{value:>8.3f}{goal:>8.3f}{mark}")
    lines += [f"  {word:20}{value:>8.3f}" for word, value in result["overlap by word"].items()]
    if result["outline moves, pixels"] is not None:
        lines.append(f"{'outline moves, pixels':22}{result['outline moves, pixels']:>8.3f}")
    lines += [f"  {one['caption']}: {one['shown']}" for one in result["mistakes"]]
    clips = result["clips"]
    lines.append(f"{clips['one shape']} clips of one shape, {clips['two shapes']} of two")
    lines.append("passed" if result["passed"] else "failed")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--model",
        type=Path,
        help="another folder than the embedded one's; what it lacks is that one's",
    )
    parser.add_argument("--plain", action="store_true", help="the first TinyWorld's colours only")
    parser.add_argument("--seeds", type=int, default=2, help="clips of every caption")
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--guidance", type=float)
    parser.add_argument("--flow-shift", type=float)
    parser.add_argument("--seed", type=int, default=0, help="of the first clips")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", type=Path, help="write the result there, too")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args(arguments)
    torch.set_num_threads(args.threads)
    spec = find("tinyworld")
    settings = {"num_inference_steps": args.steps or spec.steps}
    settings["guidance_scale"] = args.guidance or spec.call["guidance_scale"]
    try:
        folder = args.model.resolve() if args.model else ASSETS / spec.weights.source
        pipe = load(folder, ASSETS / spec.weights.source).to(args.device)
    except ModelError as error:
        print(error, file=sys.stderr)
        return 2
    if args.flow_shift:
        pipe.scheduler = type(pipe.scheduler).from_config(
            pipe.scheduler.config, flow_shift=args.flow_shift
        )
    pipe.set_progress_bar_config(disable=True)
    settings_used = settings | {
        "flow_shift": pipe.scheduler.config.flow_shift,
        "seed": args.seed,
        "seeds": args.seeds,
        "plain": args.plain,
    }
    scenes = check_scenes(args.plain) * args.seeds
    seen: list[SeenClip] = []
    with tqdm(total=len(scenes), unit="clip") as bar:
        for part in batches(len(scenes), args.batch):
            captions = [str(scene) for scene in scenes[part]]
            clips = generate(pipe, spec, captions, args.seed + part.start, **settings)
            seen += [look(clip) for clip in clips]
            bar.update(len(clips))
    result = compare(scenes, seen) | {"settings": settings_used}
    print(table(result))
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n")
    return 0 if result["passed"] else 1
