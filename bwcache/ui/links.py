"""Permalinks on the page: a button that makes one, and what happens to one that comes in."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import gradio as gr

from ..models import ModelSpec
from . import form, languages, permalink
from .header import header as header_of
from .panel import STATIC

QUIET = {"api_visibility": "private", "show_progress": "hidden"}
BOX = (
    "<div class='bw-link' hidden><output></output>"
    "<input type='text' readonly hidden aria-label='link'></div>"
)


def add_link_button(fields: Mapping[str, gr.components.Component]) -> None:
    """Put the button where the page now stands. It asks no server."""
    button = gr.Button(languages.label("COPY_LINK"), size="sm", elem_id="bw-copy-link")
    gr.HTML(BOX, elem_id="bw-link", apply_default_css=False)
    words = {"link": "LINK", "copied": "LINK_COPIED", "by_hand": "LINK_BY_HAND"}
    texts = {
        language: {key: getattr(module, name) for key, name in words.items()}
        for language, module in languages.TEXTS.items()
    }
    known = json.dumps({"names": permalink.FIELDS, "texts": texts})
    code = (STATIC / "permalink.js").read_text(encoding="utf-8")
    button.click(
        None,
        [fields[name] for name in permalink.FIELDS],
        None,
        js=f"(...values) => {{ ({code})({known}, values); return []; }}",
        **QUIET,
    )


def restore(
    page: gr.Blocks,
    fields: Mapping[str, gr.components.Component],
    header: gr.HTML,
    specs: Sequence[ModelSpec],
    device: str,
) -> None:
    """At the page's loading, put the address's settings into the form; say what is ignored."""

    def on_load(request: gr.Request):
        good, bad = permalink.read(dict(request.query_params), specs)
        if bad:
            texts = languages.TEXTS[languages.of(request)]
            gr.Warning(texts.LINK_IGNORED.format(names=", ".join(bad)), title=texts.TITLE)
        if not good:
            return (gr.skip(),) * len(outputs)
        spec = next(one for one in specs if one.name == good["model"])
        preset = spec.default_preset
        values = {
            "prompt": spec.examples[0],
            "threshold": preset.threshold,
            "interval": str(preset.reuse_interval),
            "steps": spec.steps,
            **good,
        }
        top = max(form.slider_top(spec), values["threshold"])
        chosen = form.matching_preset(spec, values["threshold"], values["interval"])
        values["threshold"] = gr.update(value=values["threshold"], maximum=top)
        return (
            header_of(spec, device),
            gr.update(samples=[[example] for example in spec.examples]),
            gr.update(choices=languages.presets(spec.presets), value=chosen),
            *(values.get(name, gr.skip()) for name in permalink.FIELDS),
        )

    outputs = [header, fields["examples"], fields["presets"]]
    outputs += [fields[name] for name in permalink.FIELDS]
    # Through the queue, where it waits for nobody: without, a warning would not reach the page.
    page.load(on_load, None, outputs, concurrency_limit=None, **QUIET)
