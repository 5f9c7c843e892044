"""What follows the chosen model: the header, the note, and the rest of the form."""

from __future__ import annotations

from collections.abc import Mapping

import gradio as gr

from .. import models
from ..models.spec import ModelSpec
from . import form, languages
from .header import header as header_of
from .host import Host
from .languages import label
from .offers import note

Components = Mapping[str, gr.components.Component]
QUIET = {"queue": False, "api_visibility": "private", "show_progress": "hidden"}
FOLLOWING = (
    *("note", "prompt", "examples", "presets", "threshold", "interval", "steps", "image"),
    "header",
)


def following(spec: ModelSpec, host: Host) -> dict[str, object]:
    """What each of `FOLLOWING` becomes where a model is chosen."""
    preset = spec.default_preset.config
    return {
        "header": header_of(spec, host.device),
        "note": note(spec, host.machine, host.refused),
        "prompt": spec.examples[0],
        "examples": gr.update(samples=[[example] for example in spec.examples]),
        "presets": gr.update(
            choices=languages.presets(spec.facts().presets),
            value=form.usual_preset(spec),
            visible=bool(spec.facts().presets),
        ),
        "threshold": gr.update(maximum=form.slider_top(spec), value=preset.threshold),
        "interval": str(preset.reuse_interval),
        "steps": host.settings.steps(spec),
        "image": gr.update(
            visible=spec.image != "none",
            label=label("image_required" if spec.image == "required" else "image_optional"),
            value=None,
        ),
    }


def wire_model(page: gr.Blocks, fields: Components, host: Host) -> None:
    """Presets, examples and the rest follow the model; the preset's mark follows the settings.

    Args:
        page: The page, whose loading renews the note: what a run takes may be known by now.
        fields: Those of the form, `header` and `note`.
        host: Where the page is served.
    """
    model, presets, examples = fields["model"], fields["presets"], fields["examples"]
    threshold, interval = fields["threshold"], fields["interval"]

    def on_model(name):
        found = following(models.find(name), host)
        return tuple(found[part] for part in FOLLOWING)

    def on_load(name):
        return note(models.find(name), host.machine, host.refused)

    def on_preset(name, chosen):
        preset = models.find(name).facts().presets[chosen].config
        return preset.threshold, str(preset.reuse_interval)

    def on_settings(name, value, steps):
        return form.matching_preset(models.find(name), value, steps)

    model.input(on_model, model, [fields[part] for part in FOLLOWING], **QUIET)
    page.load(on_load, model, fields["note"], **QUIET)
    presets.input(on_preset, [model, presets], [threshold, interval], **QUIET)
    gr.on(
        [threshold.input, interval.input], on_settings, [model, threshold, interval], presets,
        trigger_mode="always_last", **QUIET,
    )  # fmt: skip
    examples.click(lambda row: row[0], examples, fields["prompt"], **QUIET)
