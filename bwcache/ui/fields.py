"""The form's components, made from its description, as they stand before anybody touches them."""

from __future__ import annotations

import html
from collections.abc import Mapping
from pathlib import Path

import gradio as gr
from gradio.utils import get_upload_folder

from ..cache.calibration import find
from ..cache.knob import Knob
from ..cache.method import Method
from ..cache.methods import METHODS
from ..models import ModelSpec
from . import form, languages
from .answers import answers
from .handlers import refusal
from .host import Host
from .languages import about_key, label
from .open_slider import OpenSlider
from .prompt_menus import menu_fields

Components = Mapping[str, gr.components.Component]
NARROW = {"precision": 0, "min_width": 110}
SIDE_BY_SIDE = {"min_width": 140}


def main_fields(host: Host) -> dict[str, gr.components.Component]:
    """Model, picture, prompt, preset, method and its basic settings, put where the page stands."""
    spec = host.specs[0]
    method = form.offered_methods(spec)[0]
    with gr.Row(elem_id="bw-what"):
        model = gr.Dropdown(
            [(s.title, s.name) for s in host.specs],
            value=spec.name,
            label=label("model"),
            elem_id="bw-model",
            **SIDE_BY_SIDE,
        )
        chosen = gr.Dropdown(
            label=label("method"),
            elem_id="bw-method",
            **SIDE_BY_SIDE,
            **method_choices(spec, method),
        )
    image = gr.Image(
        type="filepath",
        sources=["upload", "clipboard"],
        label=label("image_optional"),
        visible=spec.image != "none",
        height=180,
        elem_id="bw-image",
    )
    image.preprocess = uploaded  # type: ignore[method-assign]
    prompt = gr.Textbox(
        spec.examples[0],
        label=label("prompt"),
        placeholder=label("prompt_placeholder"),
        lines=2,
        elem_id="bw-prompt",
    )
    building = menu_fields(spec)
    examples = gr.Dataset(
        components=[prompt],
        samples=[[example] for example in spec.examples],
        label=label("examples"),
        elem_id="bw-examples",
    )
    presets = gr.Radio(label=label("preset"), elem_id="bw-presets", **preset_choices(spec, method))
    measured = gr.HTML(answers(spec, method), elem_id="bw-answers", apply_default_css=False)
    gr.Markdown(label("expert_view"), elem_id="bw-expert")
    return {
        "model": model,
        "image": image,
        "prompt": prompt,
        **building,
        "examples": examples,
        "presets": presets,
        "answers": measured,
        "method": chosen,
        **_knob_fields(spec, method, basic=True),
    }


def advanced_fields(host: Host) -> dict[str, gr.components.Component]:
    """Steps, seed, the other settings of the method, and how the comparison is made; likewise."""
    spec = host.specs[0]
    seed = form.FIELDS["seed"]
    # No bounds: Gradio would refuse in English, or not at all, where our own sentence says why.
    with gr.Accordion(label("advanced"), open=False, elem_id="bw-advanced"):
        with gr.Row():
            found: dict[str, gr.components.Component] = {
                "steps": gr.Number(
                    host.settings.steps(spec),
                    label=label("steps"),
                    elem_id="bw-steps",
                    **NARROW,
                ),
                "seed": gr.Number(
                    seed.default,
                    label=label("seed"),
                    elem_id="bw-seed",
                    **NARROW,
                ),
            }
        found |= _knob_fields(spec, form.offered_methods(spec)[0], basic=False)
        for name, field in form.FIELDS.items():
            if field.kind == "switch":
                found[name] = gr.Checkbox(bool(field.default), label=label(f"switch_{name}"))
            elif name == "control":
                found[name] = _control_field(field)
    return found


def _control_field(field: form.Field) -> gr.components.Component:
    """Which control run; below it what each of them is, in every language at once."""
    chosen = gr.Radio(
        languages.choices("control", field.choices),
        value=field.default,
        label=label("control"),
        info=label("control_everybody"),
        elem_id="bw-control",
    )
    said = ""
    for language in languages.LANGUAGES:
        say = languages.say(language)
        lines = (
            f"<dt>{html.escape(languages.LABELS[language][f'control_{kind}'])}</dt>"
            f"<dd>{html.escape(say(f'page.control_{kind}'))}</dd>"
            for kind in field.choices
            if kind != form.NO_CONTROL
        )
        mark = f"lang='{language}' class='bw-in-{language} bw-control-about'"
        said += f"<dl {mark}>{''.join(lines)}</dl>"
    gr.HTML(said, elem_id="bw-control-about", apply_default_css=False)
    return chosen


def uploaded(payload: object) -> str | None:
    """The path of a picture that a browser names, undecoded.

    In the place of Gradio's own reading, which opens whatever path a raw request names and decodes
    pictures of any size.

    Raises:
        gr.Error: It does not lie where uploads lie.
    """
    path = getattr(payload, "path", None)
    if payload is None or path is None:
        if getattr(payload, "url", None):
            raise refusal("image: an uploaded picture is needed, not an address")
        return None
    folder = Path(get_upload_folder()).resolve()
    try:
        found = Path(path).resolve()
        lies_there = found.is_relative_to(folder) and found.is_file()
    except (OSError, RuntimeError, ValueError):
        lies_there = False
    if not lies_there:
        raise refusal("image: it was not uploaded here, or is no longer kept; upload it again")
    return str(found)


def _knob_fields(
    spec: ModelSpec, method: type[Method], basic: bool
) -> dict[str, gr.components.Component]:
    """A component for each setting of any method; those of others than the chosen one are hidden.

    Settings of several methods that share a name share the component.
    """
    found = {}
    for name, owners in form.settings_by_name().items():
        if any(knob.basic for knob in owners.values()) == basic:
            kind = next(iter(owners.values())).kind
            found[name] = _component(kind, f"bw-{name}", knob_update(spec, method, name))
    return found


def _component(kind: str, elem_id: str, looks: Mapping[str, object]) -> gr.components.Component:
    looks = {**looks, "elem_id": elem_id, "elem_classes": ["bw-setting", f"bw-{kind}"]}
    if kind == "number":
        return OpenSlider(buttons=[], **looks)
    if kind == "whole":
        return gr.Number(**NARROW, **looks)
    return gr.Radio(**looks) if kind == "choice" else gr.Textbox(**looks)


def knob_update(
    spec: ModelSpec, method: type[Method], name: str, given: Mapping[str, object] | None = None
) -> dict[str, object]:
    """How a setting's component looks for a model and a method: text, range, choices and value.

    Args:
        spec, method: Those that are chosen.
        name: Of the setting.
        given: Values other than the usual ones, by name.
    """
    own = {knob.name: knob for knob in form.settings(method)}
    if name not in own:
        owner, knob = next(iter(form.settings_by_name()[name].items()))
        method, visible = METHODS[owner], False
    else:
        knob, visible = own[name], True
    value = {**form.usual(spec, method), **(given or {})}[name]
    looks = {"value": form.shown(knob, value), "visible": visible, **_texts(method, knob)}
    if knob.kind == "number":
        top = max(form.slider_top(spec, knob, method), value)
        looks |= {"minimum": knob.low, "maximum": top, "step": 0.001}
    elif knob.kind == "choice":
        looks["choices"] = [
            (label(f"{method.name}_{knob.name}_{value}"), value) for value, _ in knob.choices
        ]
    return looks


def _texts(method: type[Method], knob: Knob) -> dict[str, object]:
    key = f"{method.name}_{knob.name}"
    return {"label": label(key), "info": label(f"{key}_{about_key(knob)}")}


def method_choices(spec: ModelSpec, method: type[Method]) -> dict[str, object]:
    """The methods on offer."""
    offered = form.offered_methods(spec)
    return {
        "choices": [(_method_title(spec, each), each.name) for each in offered],
        "value": method.name,
    }


def _method_title(spec: ModelSpec, method: type[Method]) -> object:
    """A method's title; where its numbers were not measured here, with that."""
    if method.calibrated and not method.needs_calibration:
        known = find(spec.name, method.name)
        if known is None or known.borrowed:
            kind = "uncalibrated" if known is None else "borrowed"
            return label(f"{method.name}_{kind}")
    return method.title


def preset_choices(
    spec: ModelSpec, method: type[Method], given: Mapping[str, object] | None = None
) -> dict[str, object]:
    """The presets of a method on a model, and which of them the settings are."""
    presets = spec.facts(method.name).presets
    values = {**form.usual(spec, method), **(given or {})}
    return {
        "choices": languages.presets(presets),
        "value": form.matching_preset(spec, method, values),
        "visible": bool(presets),
    }
