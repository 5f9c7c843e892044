"""TinyWorld's model card, in words and measured numbers.

Knows what is said; every number comes from `Facts`. What was not measured is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..models.machine import processor
from ..tinyworld.scenes import BACKGROUNDS, COLOURS, FRAMES, HELD_OUT_EVERY, MOTIONS, SHAPES, SIZE
from .clips import NOISE


@dataclass(frozen=True)
class Facts:
    """What the card states.

    Args:
        step, seconds, losses: Of the transformer's training; losses as (step, mean) pairs.
        parameters: Count by part.
        decibels: PSNR of decoded held-out clips by noise level on their latents.
        decoder: `step` and `seconds` of the painter's training, or None for linear decoding.
        check: Result of the held-out check, or None.
        curve: `prompt`, `steps` and `indicator` of a measured run, or None.
        notes: Sentences on how the training went and what the model does badly.
    """

    step: int
    seconds: float
    losses: list[tuple[int, float]]
    parameters: dict[str, int]
    decibels: dict[float, float]
    decoder: dict | None = None
    check: dict | None = None
    curve: dict | None = None
    notes: tuple[str, ...] = ()


def model_card(facts: Facts) -> str:
    """The card as Markdown with the hub's metadata on top."""
    sections = [_header(), _what(facts), _training(facts), _decoder(facts)]
    if facts.check:
        sections.append(_check(facts.check))
    if facts.curve:
        sections.append(_curve(facts.curve))
    if facts.notes:
        sections.append("## Notes\n\n" + "\n".join(f"- {note}" for note in facts.notes))
    return "\n\n".join(sections) + "\n"


def _header() -> str:
    return """---
license: apache-2.0
library_name: diffusers
pipeline_tag: text-to-video
---

# TinyWorld"""


def _what(facts: Facts) -> str:
    parts = "\n".join(f"| {name} | {count:,} |" for name, count in facts.parameters.items())
    return f"""A text-to-video model of a small world: one or two flat shapes that move on a plain
background, {SIZE}×{SIZE} pixels, {FRAMES} frames. It was trained for bwcache, to show caching in a
real diffusion transformer on a computer without a GPU. It runs in diffusers' `WanPipeline`, with
`WanTransformer3DModel` and `UMT5EncoderModel` unchanged; the autoencoder is its own.

- Colours: {", ".join(COLOURS)}
- Shapes: {", ".join(SHAPES)}
- Motions: {", ".join(MOTIONS)}
- Backgrounds: {", ".join(BACKGROUNDS)}

It knows nothing else, and no word besides these and a few that join them.

| part | parameters |
|---|---|
{parts}

```python
from bwcache.models.loading import load

pipe = load("tinyworld", "cpu")
```"""


def _training(facts: Facts) -> str:
    points = facts.losses[:: max(1, len(facts.losses) // 10)]
    if facts.losses and points[-1] != facts.losses[-1]:
        points = [*points, facts.losses[-1]]
    rows = "\n".join(f"| {step} | {loss:.4f} |" for step, loss in points)
    return f"""## Training

Flow matching on clips drawn as training goes (`python -m bwcache.tinyworld_training train`),
so no data set is involved. One (colour, shape, motion) in {HELD_OUT_EVERY} is never shown, to
test whether it composes. Muon for the blocks' matrices, AdamW for the rest; these weights are an
exponential
moving average.

{facts.step} steps in {facts.seconds / 60:.0f} minutes, on {processor()}.

| step | loss |
|---|---|
{rows}"""


def _decoder(facts: Facts) -> str:
    rows = "\n".join(f"| {noise:.2f} | {value:.1f} |" for noise, value in facts.decibels.items())
    if facts.decoder:
        words = (
            f"a convolutional network, trained for {facts.decoder['step']} steps in "
            f"{facts.decoder['seconds'] / 60:.0f} minutes to give back\nclean clips from latents "
            f"with up to {NOISE} of noise. It mixes each pixel from the world's "
            f"{len(COLOURS) + len(BACKGROUNDS)} colours, so it\ncannot show any other, "
            "and it hides small errors of colour:\nthe difference between two of its videos is "
            "a little smaller than between their latents"
        )
    else:
        words = "the linear inverse"
    return f"""## Autoencoder

Encoding is linear: principal components of 8×8×4 pixel patches. Decoding is {words}.

| noise on the latents | PSNR of held-out clips, dB |
|---|---|
{rows}"""


def _check(check: dict) -> str:
    rows = "\n".join(
        f"| {name} | {share:.0%} | {check['goals'][name]:.0%} |"
        for name, share in check["right"].items()
    )
    settings = ", ".join(f"{name} {value}" for name, value in check.get("settings", {}).items())
    return f"""## Does it follow captions?

{check["captions"]} captions whose (colour, shape, motion) it was never trained on, judged
from the pixels alone (`python -m bwcache.tinyworld.check`; {settings}):

| | right | goal |
|---|---|---|
{rows}"""


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
