"""The form's fields, as they stand before anybody has changed them. Knows no event."""

from __future__ import annotations

import gradio as gr

from ..cache.methods.bwcache import BWCacheConfig
from ..models import ModelSpec
from ..runs.request import MAX_SEED
from ..space.host_settings import Settings
from . import form, languages
from .host import Host
from .languages import choices, label
from .offers import note as note_of


def main_fields(host: Host) -> dict[str, gr.components.Component]:
    """Model, picture, prompt, preset, method and threshold, put where the page now stands."""
    spec = host.specs[0]
    preset = spec.default_preset.config
    model = gr.Dropdown(
        [(s.title, s.name) for s in host.specs],
        value=spec.name,
        label=label("model"),
        elem_id="bw-model",
    )
    image = gr.Image(
        type="filepath",
        sources=["upload", "clipboard"],
        label=label("image_optional"),
        visible=spec.image != "none",
        height=180,
        elem_id="bw-image",
    )
    prompt = gr.Textbox(
        spec.examples[0], label=label("prompt"), placeholder=label("prompt_placeholder"), lines=2
    )
    examples = gr.Dataset(
        components=[prompt],
        samples=[[example] for example in spec.examples],
        label=label("examples"),
        elem_id="bw-examples",
    )
    presets = gr.Radio(
        languages.presets(spec.facts().presets),
        value=form.usual_preset(spec),
        visible=bool(spec.facts().presets),
        label=label("preset"),
        elem_id="bw-presets",
    )
    reuse = gr.Radio(
        choices("reuse", ("residual", "forecast", "output")),
        value=BWCacheConfig().reuse,
        label=label("reuse"),
        info=label("reuse_info"),
        elem_id="bw-method",
    )
    threshold = gr.Slider(
        0,
        form.slider_top(spec),
        preset.threshold,
        step=0.001,
        label=label("threshold"),
        info=label("threshold_info"),
        elem_id="bw-threshold",
        buttons=[],
    )
    return {
        "model": model,
        "image": image,
        "prompt": prompt,
        "reuse": reuse,
        "threshold": threshold,
        "presets": presets,
        "examples": examples,
    }


def model_note(host: Host) -> gr.HTML:
    """What the first model needs and how it runs here, and which models do not."""
    text = note_of(host.specs[0], host.machine, host.refused)
    return gr.HTML(text, elem_id="bw-note", apply_default_css=False)


def advanced_fields(spec: ModelSpec, settings: Settings) -> dict[str, gr.components.Component]:
    """Steps, seed, interval, gate and control, likewise."""
    defaults, narrow = BWCacheConfig(), {"precision": 0, "min_width": 110}
    with gr.Accordion(label("advanced"), open=False, elem_id="bw-advanced"):
        with gr.Row():
            steps = gr.Number(
                settings.steps(spec),
                label=label("steps"),
                minimum=2,
                maximum=settings.max_steps,
                **narrow,
            )
            seed = gr.Number(0, label=label("seed"), minimum=0, maximum=MAX_SEED, **narrow)
        interval = gr.Textbox(
            str(spec.default_preset.config.reuse_interval),
            label=label("interval"),
            info=label("interval_info"),
        )
        gate = gr.Radio(
            choices("gate", ("once", "recheck")), value=defaults.gate, label=label("gate")
        )
        control = gr.Checkbox(False, label=label("control"))
    return {"steps": steps, "seed": seed, "interval": interval, "gate": gate, "control": control}
