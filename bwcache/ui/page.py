"""The page's layout, and how it is served. Knows no event; what buttons do is in `handlers.py`."""

from __future__ import annotations

import html
import os
from collections.abc import Callable

import gradio as gr

from .. import models
from ..config import BWCacheConfig
from ..models import ModelSpec
from ..stream import MAX_SEED, MAX_STEPS
from . import form, texts
from .handlers import Compare, Handlers
from .panel import live_panel, styles
from .theme import theme
from .visitors import Store, Visitors

CACHE_SECONDS = (600, 3600)  # how often files are looked at, and how old they get
UPLOAD_LIMIT = "1kb"  # nothing on the page uploads, but the route is there
QUIET = {"api_visibility": "private", "show_progress": "hidden"}


def build(compare: Compare, new_store: Callable[[], Store], device: str = "cpu") -> gr.Blocks:
    """The page.

    Args:
        compare: As `bwcache.compare.compare`, or a stand-in that yields the same events.
        new_store: Makes a visitor's memory of uncached runs.
        device: "cpu" or "cuda", which decides the models on offer.
    """
    specs = models.available(device.startswith("cuda"))
    first = specs[0]
    with gr.Blocks(
        title=texts.TITLE, delete_cache=CACHE_SECONDS, analytics_enabled=False, fill_width=True
    ) as page:
        header = gr.HTML(_header(first, device), elem_id="bw-header", apply_default_css=False)
        with gr.Row(elem_id="bw-columns"):
            with gr.Column(scale=0, min_width=320, elem_id="bw-form"):
                fields = _main_fields(specs)
                advice = gr.Markdown(elem_id="bw-advice")
                with gr.Row(elem_id="bw-buttons"):
                    generate = gr.Button(texts.GENERATE, variant="primary", scale=3, min_width=120)
                    stop = gr.Button(texts.STOP, interactive=False, scale=1, min_width=80)
                fields |= _advanced_fields(first)
            with gr.Column(scale=1, min_width=320):
                panel = live_panel()
        visitors = Visitors(new_store)
        handlers = Handlers(compare, visitors, device, panel.move_resource_to_block_cache)
        _wire(page, handlers, fields, advice, panel, generate, stop)
        _wire_model(fields, header, device)
    page.queue(api_open=False, default_concurrency_limit=1)
    return page


def _main_fields(specs: list[ModelSpec]) -> dict[str, gr.components.Component]:
    spec = specs[0]
    preset = spec.default_preset
    model = gr.Dropdown([(s.title, s.name) for s in specs], value=spec.name, label=texts.MODEL)
    prompt = gr.Textbox(
        spec.examples[0], label=texts.PROMPT, placeholder=texts.PROMPT_PLACEHOLDER, lines=2
    )
    examples = gr.Dataset(
        components=[prompt],
        samples=[[example] for example in spec.examples],
        label=texts.EXAMPLES,
        elem_id="bw-examples",
    )
    presets = gr.Radio(
        list(spec.presets), value=_name(spec), label=texts.PRESET, elem_id="bw-presets"
    )
    threshold = gr.Slider(
        0,
        form.slider_top(spec),
        preset.threshold,
        step=0.001,
        label=texts.THRESHOLD,
        info=texts.THRESHOLD_INFO,
        elem_id="bw-threshold",
        buttons=[],
    )
    return {
        "model": model,
        "prompt": prompt,
        "threshold": threshold,
        "presets": presets,
        "examples": examples,
    }


def _advanced_fields(spec: ModelSpec) -> dict[str, gr.components.Component]:
    defaults, narrow = BWCacheConfig(), {"precision": 0, "min_width": 110}
    with gr.Accordion(texts.ADVANCED, open=False):
        with gr.Row():
            steps = gr.Number(spec.steps, label=texts.STEPS, minimum=2, maximum=MAX_STEPS, **narrow)
            seed = gr.Number(0, label=texts.SEED, minimum=0, maximum=MAX_SEED, **narrow)
        interval = gr.Textbox(
            str(spec.default_preset.reuse_interval),
            label=texts.INTERVAL,
            info=texts.INTERVAL_INFO,
        )
        gate = gr.Radio(texts.GATE_CHOICES, value=defaults.gate, label=texts.GATE)
        reuse = gr.Radio(texts.REUSE_CHOICES, value=defaults.reuse, label=texts.REUSE)
        control = gr.Checkbox(False, label=texts.CONTROL)
    return {
        "steps": steps,
        "seed": seed,
        "interval": interval,
        "gate": gate,
        "reuse": reuse,
        "control": control,
    }


def _wire(page, handlers: Handlers, fields, advice, panel, generate, stop) -> None:
    inputs = [fields[name] for name in form.FIELDS]

    # Gradio fills in a request by its annotation and place, so each handler gets a wrapper here.
    def on_generate(request: gr.Request, *values):
        yield from handlers.generate(*values, session=request.session_hash)

    def on_change(request: gr.Request, *values):
        return handlers.advice(*values, session=request.session_hash)

    def on_leave(request: gr.Request):
        handlers.forget(request.session_hash)

    # The queue has one place, where the model is; who waits for it is told so at once.
    entered = generate.click(
        handlers.enter, inputs, [panel, generate, stop], concurrency_limit=None, **QUIET
    )
    # "multiple": with "once", a run that was stopped bars the next until its last step has ended.
    run = entered.success(
        on_generate, inputs, [panel, generate, stop, advice], trigger_mode="multiple", **QUIET
    )
    stop.click(
        handlers.stop, None, [panel, generate, stop], cancels=[entered, run], queue=False, **QUIET
    )
    changes = [field.change for field in inputs]
    gr.on(
        [page.load, *changes], on_change, inputs, advice,
        queue=False, trigger_mode="always_last", **QUIET,
    )  # fmt: skip
    page.unload(on_leave)


def _wire_model(fields, header, device: str) -> None:
    """Presets, examples and the rest follow the model; the preset's mark follows the settings."""
    model, presets, examples = fields["model"], fields["presets"], fields["examples"]
    threshold, interval = fields["threshold"], fields["interval"]

    def on_model(name):
        spec = models.find(name)
        preset = spec.default_preset
        return (
            _header(spec, device),
            spec.examples[0],
            gr.update(samples=[[example] for example in spec.examples]),
            gr.update(choices=list(spec.presets), value=_name(spec)),
            gr.update(maximum=form.slider_top(spec), value=preset.threshold),
            str(preset.reuse_interval),
            spec.steps,
        )

    def on_preset(name, chosen):
        preset = models.find(name).presets[chosen]
        return preset.threshold, str(preset.reuse_interval)

    def on_settings(name, value, steps):
        return form.matching_preset(models.find(name), value, steps)

    follow = {"queue": False, **QUIET}
    outputs = [
        header, fields["prompt"], examples, presets, threshold, interval, fields["steps"]
    ]  # fmt: skip
    model.input(on_model, model, outputs, **follow)
    presets.input(on_preset, [model, presets], [threshold, interval], **follow)
    gr.on(
        [threshold.input, interval.input], on_settings, [model, threshold, interval], presets,
        trigger_mode="always_last", **follow,
    )  # fmt: skip
    examples.click(lambda row: row[0], examples, fields["prompt"], **follow)


def _name(spec: ModelSpec) -> str | None:
    preset = spec.default_preset
    return form.matching_preset(spec, preset.threshold, preset.reuse_interval)


def _header(spec: ModelSpec, device: str) -> str:
    chip = texts.CHIP.format(
        device=texts.DEVICES.get(device.split(":")[0], device), model=spec.title
    )
    return (
        f"<header class='bw-header'><h1>{html.escape(texts.TITLE)}</h1>"
        f"<p>{html.escape(texts.TAGLINE)}</p>"
        f"<span class='bw-chip' title='{html.escape(spec.about)}'>{html.escape(chip)}</span>"
        "</header>"
    )


def launch(page: gr.Blocks, **changes):
    """Serve the page: on this machine only, unless told otherwise or on a Space."""
    everywhere = "0.0.0.0" if os.environ.get("SPACE_ID") else "127.0.0.1"
    options = {
        "server_name": os.environ.get("GRADIO_SERVER_NAME", everywhere),
        "share": False,
        "show_error": False,
        "max_file_size": UPLOAD_LIMIT,
        "theme": theme(),
        "head": styles(),
        "footer_links": ["gradio", "settings"],
        "run_history": False,
        "ssr_mode": False,
    }
    return page.launch(**{**options, **changes})
