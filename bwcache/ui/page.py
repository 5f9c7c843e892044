"""The page's layout. Knows no event; what buttons do is in `handlers.py`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gradio as gr

from .. import models
from ..config import BWCacheConfig, ConfigError
from ..models import ModelSpec
from ..stream import MAX_SEED, MAX_STEPS
from . import form, languages, texts
from .finder import MODEL_QUEUE, add_finder
from .handlers import Compare, Handlers
from .header import header as header_of
from .languages import choices, label
from .links import add_link_button, restore
from .panel import live_panel
from .visitors import Store, Visitors

CACHE_SECONDS = (600, 3600)  # how often files are looked at, and how old they get
QUIET = {"api_visibility": "private", "show_progress": "hidden"}


def build(
    compare: Compare,
    new_store: Callable[[], Store],
    device: str = "cpu",
    runs: Path | None = None,
    kiosk: bool = False,
) -> gr.Blocks:
    """The page.

    Args:
        compare: As `bwcache.compare.compare`, or a stand-in that yields the same events.
        new_store: Makes a visitor's memory of uncached runs.
        device: "cpu" or "cuda", which decides the models on offer.
        runs: The folder of recorded runs, the first of which is shown at first; None for none.
        kiosk: Whether every visitor gets the kiosk's look, as with `?kiosk=1`.
    """
    specs = models.available(device.startswith("cuda"))
    first = specs[0]
    with gr.Blocks(
        title=texts.TITLE, delete_cache=CACHE_SECONDS, analytics_enabled=False, fill_width=True
    ) as page:
        header = gr.HTML(header_of(first, device), elem_id="bw-header", apply_default_css=False)
        with gr.Row(elem_id="bw-columns"):
            with gr.Column(scale=0, min_width=320, elem_id="bw-form"):
                fields = _main_fields(specs)
                with gr.Row(elem_id="bw-buttons"):
                    generate = gr.Button(
                        label("GENERATE"), variant="primary", scale=3, min_width=120
                    )
                    stop = gr.Button(label("STOP"), interactive=False, scale=1, min_width=80)
                advice = gr.Markdown(elem_id="bw-advice")
                fields |= _advanced_fields(first)
                add_link_button(fields)
            with gr.Column(scale=1, min_width=320):
                panel = live_panel(runs, kiosk)
        visitors = Visitors(new_store)
        finder = add_finder(compare, visitors, device, fields)
        handlers = Handlers(compare, visitors, device, panel.move_resource_to_block_cache)
        _wire(page, handlers, fields, advice, panel, generate, stop)
        _wire_model(fields, header, device)
        restore(page, fields, header, specs, device)
        _wire_whatif(panel, fields)
        _wire_whatif(finder, fields)
    page.queue(api_open=False, default_concurrency_limit=1)
    return page


def _main_fields(specs: list[ModelSpec]) -> dict[str, gr.components.Component]:
    spec = specs[0]
    preset = spec.default_preset
    model = gr.Dropdown(
        [(s.title, s.name) for s in specs],
        value=spec.name,
        label=label("MODEL"),
        elem_id="bw-model",
    )
    prompt = gr.Textbox(
        spec.examples[0], label=label("PROMPT"), placeholder=label("PROMPT_PLACEHOLDER"), lines=2
    )
    examples = gr.Dataset(
        components=[prompt],
        samples=[[example] for example in spec.examples],
        label=label("EXAMPLES"),
        elem_id="bw-examples",
    )
    presets = gr.Radio(
        languages.presets(spec.presets),
        value=_name(spec),
        label=label("PRESET"),
        elem_id="bw-presets",
    )
    reuse = gr.Radio(
        choices("REUSE_CHOICES"),
        value=BWCacheConfig().reuse,
        label=label("REUSE"),
        info=label("REUSE_INFO"),
        elem_id="bw-method",
    )
    threshold = gr.Slider(
        0,
        form.slider_top(spec),
        preset.threshold,
        step=0.001,
        label=label("THRESHOLD"),
        info=label("THRESHOLD_INFO"),
        elem_id="bw-threshold",
        buttons=[],
    )
    return {
        "model": model,
        "prompt": prompt,
        "reuse": reuse,
        "threshold": threshold,
        "presets": presets,
        "examples": examples,
    }


def _advanced_fields(spec: ModelSpec) -> dict[str, gr.components.Component]:
    defaults, narrow = BWCacheConfig(), {"precision": 0, "min_width": 110}
    with gr.Accordion(label("ADVANCED"), open=False, elem_id="bw-advanced"):
        with gr.Row():
            steps = gr.Number(
                spec.steps, label=label("STEPS"), minimum=2, maximum=MAX_STEPS, **narrow
            )
            seed = gr.Number(0, label=label("SEED"), minimum=0, maximum=MAX_SEED, **narrow)
        interval = gr.Textbox(
            str(spec.default_preset.reuse_interval),
            label=label("INTERVAL"),
            info=label("INTERVAL_INFO"),
        )
        gate = gr.Radio(choices("GATE_CHOICES"), value=defaults.gate, label=label("GATE"))
        control = gr.Checkbox(False, label=label("CONTROL"))
    return {"steps": steps, "seed": seed, "interval": interval, "gate": gate, "control": control}


def _wire(page, handlers: Handlers, fields, advice, panel, generate, stop) -> None:
    inputs = [fields[name] for name in form.FIELDS]

    # Gradio fills in a request by its annotation and place, so each handler gets a wrapper here.
    def of(request: gr.Request) -> dict[str, str | None]:
        return {"session": request.session_hash, "language": languages.of(request)}

    def on_enter(request: gr.Request, *values):
        return handlers.enter(*values, language=languages.of(request))

    def on_generate(request: gr.Request, *values):
        yield from handlers.generate(*values, **of(request))

    def on_stop(request: gr.Request):
        return handlers.stop(language=languages.of(request))

    def on_change(request: gr.Request, *values):
        return handlers.advice(*values, **of(request))

    def on_leave(request: gr.Request):
        handlers.forget(request.session_hash)

    # The queue has one place, where the model is; who waits for it is told so at once.
    entered = generate.click(
        on_enter, inputs, [panel, generate, stop], concurrency_limit=None, **QUIET
    )
    # "multiple": with "once", a run that was stopped bars the next until its last step has ended.
    run = entered.success(
        on_generate, inputs, [panel, generate, stop, advice],
        trigger_mode="multiple", concurrency_id=MODEL_QUEUE, **QUIET,
    )  # fmt: skip
    stop.click(on_stop, None, [panel, generate, stop], cancels=[entered, run], queue=False, **QUIET)
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
            header_of(spec, device),
            spec.examples[0],
            gr.update(samples=[[example] for example in spec.examples]),
            gr.update(choices=languages.presets(spec.presets), value=_name(spec)),
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


def _wire_whatif(panel, fields) -> None:
    """The what-if slider and the finder each put threshold, interval and gate into the form."""
    names = ("threshold", "presets", "interval", "gate")

    def on_use(name, event: gr.EventData):
        try:
            config = form.chosen(name, event._data)
        except ConfigError as error:
            raise gr.Error(str(error), title=texts.TITLE, print_exception=False) from None
        spec, interval = models.find(name), str(config.reuse_interval)
        top = max(form.slider_top(spec), config.threshold)
        return (
            gr.update(value=config.threshold, maximum=top),
            form.matching_preset(spec, config.threshold, interval),
            interval,
            config.gate,
        )

    outputs = [fields[name] for name in names]
    panel.submit(on_use, fields["model"], outputs, concurrency_limit=None, **QUIET)


def _name(spec: ModelSpec) -> str | None:
    preset = spec.default_preset
    return form.matching_preset(spec, preset.threshold, preset.reuse_interval)
