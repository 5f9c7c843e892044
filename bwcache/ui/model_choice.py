"""What follows the chosen model and method: the header, the note, and the rest of the form."""

from __future__ import annotations

import html

import gradio as gr

from ..cache.method import Method
from ..models.spec import ModelSpec
from . import form
from .advice import note
from .answers import answers
from .fields import knob_update, method_choices, preset_choices
from .host import Host
from .languages import LANGUAGES, TITLE, label
from .languages import say as say_in
from .phrases import translated

KNOBS = tuple(form.settings_by_name())
METHOD_PARTS = ("presets", "answers", *KNOBS)
MODEL_PARTS = (
    *("header", "note", "prompt", "menus", "examples", "image", "steps", "method"),
    *METHOD_PARTS,
)

THEME_ICON = "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20zm0 2.5v15a7.5 7.5 0 0 1 0-15z"
STAGE_ICON = (
    "M3 3h7v2.5H5.5V10H3zm11 0h7v7h-2.5V5.5H14zM3 14h2.5v4.5H10V21H3zm15.5 0H21v7h-7v-2.5h4.5z"
)


def header(spec: ModelSpec, device: str) -> str:
    """The title, what this is, and the model at work, in every language at once.

    `<html lang>` decides which one is seen.
    """
    taglines, chips, keys, theme, stage = "", "", "", "", ""
    for language in LANGUAGES:
        say, mark = say_in(language), f"lang='{language}' class='bw-in-{language}"
        kind = device.split(":")[0]
        name = say(f"page.device_{kind}") if kind in ("cpu", "cuda") else device
        chip = html.escape(say("page.chip", device=name, model=spec.title))
        taglines += f"<p {mark}'>{html.escape(say('page.tagline'))}</p>"
        about = html.escape(translated(spec.about, language), quote=True)
        chips += f"<span {mark} bw-chip' title='{about}'>{chip}</span>"
        keys += f"<p {mark} bw-keys'>{html.escape(say('page.keys'))}</p>"
        theme += f"<span {mark} bw-spoken'>{html.escape(say('page.switch_theme'))}</span>"
        stage += f"<span {mark} bw-spoken'>{html.escape(say('page.switch_stage'))}</span>"
    return (
        f"<header class='bw-header'><h1>{html.escape(TITLE)}</h1>{taglines}{keys}"
        f"<div class='bw-header-side'>{chips}"
        f"<button type='button' class='bw-theme-switch'>{_icon(THEME_ICON)}{theme}</button>"
        f"<button type='button' class='bw-stage-switch'>{_icon(STAGE_ICON)}{stage}</button>"
        "</div></header>"
    )


def _icon(path: str) -> str:
    """An icon of 24 by 24 units, which no screen reader reads out."""
    return f"<svg viewBox='0 0 24 24' aria-hidden='true'><path d='{path}'/></svg>"


def of_model(
    spec: ModelSpec, method: type[Method], host: Host, given: form.Given | None = None
) -> dict[str, object]:
    """What each of `MODEL_PARTS` becomes where a model is chosen.

    Args:
        spec: The model.
        method: The method, if the model has it on offer; else its first.
        host: Where the page is served.
        given: Values other than the usual ones, by field.
    """
    offered = form.offered_methods(spec)
    method = method if method in offered else offered[0]
    usual: dict[str, object] = {
        "header": header(spec, host.device),
        "note": note(spec, host.machine, host.refused),
        "prompt": spec.examples[0],
        "menus": gr.update(visible=spec.prompt_menus is not None),
        "examples": gr.update(samples=[[example] for example in spec.examples]),
        "image": gr.update(
            visible=spec.image != "none",
            label=label("image_required" if spec.image == "required" else "image_optional"),
            value=None,
        ),
        "steps": host.settings.steps(spec),
        "method": gr.update(**method_choices(spec, method)),
    }
    return {**usual, **of_method(spec, method, given)}


def of_method(
    spec: ModelSpec, method: type[Method], given: form.Given | None = None
) -> dict[str, object]:
    """What each of `METHOD_PARTS` becomes where a method is chosen; see `of_model`."""
    presets = gr.update(**preset_choices(spec, method, given))
    return {
        "presets": presets,
        "answers": answers(spec, method),
        **{name: gr.update(**knob_update(spec, method, name, given)) for name in KNOBS},
    }
