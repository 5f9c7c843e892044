"""TinyWorld's model card, in words and measured numbers.

Knows what is said; every number comes from `Facts`. What was not measured is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..tinyworld.autoencoder import LAYERS, SPATIAL, TEMPORAL
from ..tinyworld.grammar import COLOURS, HELD_OUT_EVERY, MOTIONS, SHAPES
from ..tinyworld.world import FPS, FRAMES, SIZE
from .autoencoder import NOISE


@dataclass(frozen=True)
class Facts:
    """What the card states.

    Args:
        history: Every run that the weights went through, the last one last: `steps`, `minutes`,
            `processor` and `losses` as (step, mean) pairs.
        parameters: Count by part.
        decibels: PSNR of decoded held-out clips by noise level on their latents.
        check: Result of the check, or None.
        curve: `prompt`, `steps` and `indicator` of a measured run, or None.
        notes: Sentences on how the training went and what the model does badly.
        long_skips: How many of its blocks have one.
        shared: The parts that are TinyWorld's own, and lie in its folder alone.
    """

    history: list[dict]
    parameters: dict[str, int]
    decibels: dict[float, float]
    check: dict | None = None
    curve: dict | None = None
    notes: tuple[str, ...] = ()
    long_skips: int = 0
    shared: tuple[str, ...] = ()

    @property
    def transformer(self) -> str:
        """What the transformer is, in the middle of a sentence."""
        if not self.long_skips:
            return "with `WanTransformer3DModel` and `UMT5EncoderModel` unchanged"
        return f"""with `UMT5EncoderModel` unchanged and a `WanTransformer3DModel`
whose last {self.long_skips} blocks are given the outputs of the first {self.long_skips}, too
(as in Skip-DiT, arXiv 2411.17616), so that caching can leave out the blocks between"""


def model_card(facts: Facts) -> str:
    """The card as Markdown with the hub's metadata on top."""
    sections = [_header(facts), _what(facts), _training(facts), _decoder(facts)]
    if facts.check:
        sections.append(_check(facts.check))
    if facts.curve:
        sections.append(_curve(facts.curve))
    if facts.notes:
        sections.append("## Notes\n\n" + "\n".join(f"- {note}" for note in facts.notes))
    return "\n\n".join(sections) + "\n"


def _header(facts: Facts) -> str:
    return f"""---
license: apache-2.0
library_name: diffusers
pipeline_tag: text-to-video
---

# TinyWorld{" with long skips" * bool(facts.long_skips)}"""


def _what(facts: Facts) -> str:
    parts = "\n".join(f"| {name} | {count:,} |" for name, count in facts.parameters.items())
    return f"""A text-to-video model of a small world: one or two softly lit shapes that move on a
plain background, {SIZE}×{SIZE} pixels, {FRAMES} frames at {FPS} a second. It was trained for
bwcache, to show caching in a real diffusion transformer on a computer without a GPU. It runs in
diffusers' `WanPipeline`, {facts.transformer}; the
autoencoder is its own.{_shared(facts.shared)}

- Colours, of shapes and of backgrounds: {", ".join(COLOURS)}
- Shapes: {", ".join(SHAPES)}
- Motions: {", ".join(MOTIONS)}

A caption is one or two shapes, each with a colour and a motion, on a background of another colour:
“a red circle moving left and a black square still on a white background”. It knows nothing else.

| part | parameters |
|---|---|
{parts}

```python
from bwcache.models.loading import load

pipe = load("tinyworld{"-skip" * bool(facts.long_skips)}", "cpu")
```"""


def _shared(parts: tuple[str, ...]) -> str:
    if not parts:
        return ""
    return f"""

This folder lacks {", ".join(parts)}: they are TinyWorld's, byte for byte, and are read from its
folder, `assets/tinyworld`."""


def _training(facts: Facts) -> str:
    runs = "\n".join(
        f"| {run['steps']} | {run['minutes']:.0f} | {run['processor']} | {_last_loss(run)} |"
        for run in facts.history
    )
    losses = facts.history[-1]["losses"]
    points = losses[:: max(1, len(losses) // 10)]
    if losses and points[-1] != losses[-1]:
        points = [*points, losses[-1]]
    rows = "\n".join(f"| {step} | {loss:.4f} |" for step, loss in points)
    return f"""## Training

Flow matching on clips drawn as training goes (`python -m bwcache.tinyworld_training train`), so no
data set is involved. One (colour, shape, motion) in {HELD_OUT_EVERY} is never shown, to test
whether it composes. Muon for the blocks' matrices, AdamW for the rest; these weights are an
exponential moving average.

| steps | minutes | on | loss at the end |
|---|---|---|---|
{runs}

The last run:

| step | loss |
|---|---|
{rows}"""


def _last_loss(run: dict) -> str:
    return f"{run['losses'][-1][1]:.4f}" if run["losses"] else "–"


def _decoder(facts: Facts) -> str:
    rows = "\n".join(f"| {noise:.2f} | {value:.1f} |" for noise, value in facts.decibels.items())
    return f"""## Autoencoder

One latent cell is {SPATIAL}×{SPATIAL} pixels and {TEMPORAL} frames. Encoder and decoder are
networks that see neighbours in space and time, trained together to give back clean clips from
latents with up to {NOISE} of noise. The decoder mixes at most {LAYERS} colours in a place, which it
chooses itself: no colour is fixed, so an error of a latent is an error in the picture.
Outlines it cleans: where a little noise hardly lowers the numbers
below, decibels between two videos are a little kinder than between their latents.

| noise on the latents | PSNR of held-out clips, dB |
|---|---|
{rows}"""


def _check(check: dict) -> str:
    rows = "\n".join(
        f"| {name} | {check['values'][name]:.3f} | {goal:.3f} |"
        for name, goal in check["goals"].items()
    )
    words = "\n".join(
        f"| {word} | {value:.3f} |" for word, value in check["overlap by word"].items()
    )
    mistakes = "\n".join(f"| {one['caption']} | {one['shown']} |" for one in check["mistakes"])
    settings = ", ".join(f"{name} {value}" for name, value in check.get("settings", {}).items())
    clips = check["clips"]
    return f"""## Does it draw what captions ask for?

{clips["one shape"]} clips of one shape and {clips["two shapes"]} of two, of captions whose
(colour, shape, motion) it was never trained on, measured on the raw frames
(`python -m bwcache.tinyworld_training check`; {settings}). Overlap is intersection over union of
a drawn shape with the nearest perfect one; clips drawn without any model reach a median of 0.97.

| | is | goal |
|---|---|---|
{rows}

| overlap, mean | |
|---|---|
{words}

An outline moves by {check["outline moves, pixels"]:.2f} pixels between measured frames (median).

| asked for, and missed | shown |
|---|---|
{mistakes}"""


def _curve(curve: dict) -> str:
    measured = [(step, x) for step, x in enumerate(curve["indicator"]) if x is not None]
    rows = "\n".join(f"| {step} | {value:.4f} |" for step, value in measured)
    return f"""## How much its blocks change from step to step

Mean relative L1 distance of the blocks' features to the step before, measured on
"{curve["prompt"]}", {curve["steps"]} steps. {shape_of([x for _, x in measured])}

| step | indicator |
|---|---|
{rows}"""


def shape_of(values: list[float]) -> str:
    """Whether the curve is U-shaped, in words: both ends at least twice the lowest value."""
    lowest, first, last = min(values), values[0], values[-1]
    arms = f"it starts at {first:.3f}, falls to {lowest:.3f} and ends at {last:.3f}"
    if min(first, last) >= 2 * lowest:
        return f"The curve is U-shaped: {arms}."
    return f"The curve is not U-shaped: {arms}."
