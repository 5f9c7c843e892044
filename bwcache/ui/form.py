"""What a visitor typed → a checked request. Knows no component; trusts nothing the browser sent."""

from __future__ import annotations

from .. import models
from ..cache.methods.bwcache import BWCacheConfig, parse_interval
from ..errors import ConfigError
from ..models import ModelSpec
from ..models import start_picture as picture
from ..runs.request import Request

FIELDS = (
    "model", "prompt", "threshold", "steps", "seed", "interval", "gate", "reuse", "control",
    "image",
)  # fmt: skip
SLIDER_TOP = 0.3  # where a model's range is not known


def whole(field: str, value: object) -> int:
    """A whole number as `gr.Number` delivers it: perhaps as a float, perhaps None."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(field, value, "a whole number")
    return value


def read(*values: object) -> Request:
    """The request that the form describes; one value for each of `FIELDS`.

    The image is the path of an uploaded file, or a picture file's bytes, or None.

    Raises:
        ConfigError: A field cannot be used; the message is a line for the visitor.
    """
    given = dict(zip(FIELDS, values, strict=True))
    spec = models.find(given["model"])
    config = BWCacheConfig(
        threshold=given["threshold"],
        reuse_interval=parse_interval(str(given["interval"]).strip()),
        gate=given["gate"],
        reuse=given["reuse"],
        **spec.indicator,
    )
    prompt, image = given["prompt"], given["image"]
    request = Request(
        prompt=prompt.strip() if isinstance(prompt, str) else prompt,
        model=spec.name,
        steps=whole("steps", given["steps"]),
        seed=whole("seed", given["seed"]),
        config=config,
        control=bool(given["control"]),
        image=picture.read(image),
    )
    models.check_prompt(spec, request.prompt)
    models.check_image(spec, request.image)
    return request


def chosen(model: str, given: object) -> BWCacheConfig:
    """The threshold, interval and gate that a panel's button puts into the form.

    Args:
        model: The form's.
        given: As the browser sent it; perhaps with the `model` that it was found on.

    Raises:
        ConfigError: They cannot be used, or were found on another model.
    """
    if not isinstance(given, dict):
        raise ConfigError("settings", given, "a threshold, an interval and a gate")
    if given.get("model", model) != model:
        raise ConfigError("model", given["model"], f"{model!r}: thresholds do not carry over")
    interval = parse_interval(str(given.get("interval")).strip())
    return BWCacheConfig(given.get("threshold"), interval, gate=given.get("gate"))


def slider_top(spec: ModelSpec) -> float:
    """The threshold slider's right end: somewhat beyond anything that makes a difference."""
    known = [preset.config.threshold * 1.5 for preset in spec.facts().presets.values()]
    if (measured := spec.facts().indicator_range) is not None:
        known.append(measured[1] * 1.1)
    return max(round(max(known, default=SLIDER_TOP), 2), 0.05)


def matching_preset(spec: ModelSpec, threshold: object, interval: object) -> str | None:
    """The preset that these settings are, if any."""
    for name, preset in spec.facts().presets.items():
        known = preset.config
        if threshold == known.threshold and str(interval).strip() == str(known.reuse_interval):
            return name
    return None


def usual_preset(spec: ModelSpec) -> str | None:
    """The name of the preset that a visitor finds chosen; None where nothing has been measured."""
    preset = spec.default_preset.config
    return matching_preset(spec, preset.threshold, preset.reuse_interval)
