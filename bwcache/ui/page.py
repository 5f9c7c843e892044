"""The page's layout. Knows no event; what buttons do is in `handlers.py`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gradio as gr

from .. import models
from ..errors import ConfigError
from . import form, languages
from .api import add_api
from .fields import advanced_fields, main_fields, model_note
from .finder import MODEL_QUEUE, add_finder
from .handlers import Compare, Handlers
from .header import header as header_of
from .host import Host
from .languages import TITLE, label
from .links import add_link_button, restore
from .model_choice import wire_model
from .panel import live_panel
from .sessions import Store, Visitors

CACHE_SECONDS = (600, 3600)  # how often files are looked at, and how old they get
QUIET = {"api_visibility": "private", "show_progress": "hidden"}


def build(
    compare: Compare,
    new_store: Callable[[], Store],
    host: Host | None = None,
    runs: Path | None = None,
    kiosk: bool = False,
) -> gr.Blocks:
    """The page.

    Args:
        compare: As `bwcache.runs.compare.compare`, or a stand-in that yields the same events.
        new_store: Makes a visitor's memory of uncached runs.
        host: Where it is served; this machine's processor where None.
        runs: The folder of recorded runs, the first of which is shown at first; None for none.
        kiosk: Whether every visitor gets the kiosk's look, as with `?kiosk=1`.

    Raises:
        ConfigError: The host allows no model that runs here.
    """
    host = host or Host()
    first = host.specs[0]
    with gr.Blocks(
        title=TITLE, delete_cache=CACHE_SECONDS, analytics_enabled=False, fill_width=True
    ) as page:
        header = gr.HTML(
            header_of(first, host.device), elem_id="bw-header", apply_default_css=False
        )
        with gr.Row(elem_id="bw-columns"):
            with gr.Column(scale=0, min_width=320, elem_id="bw-form"):
                fields = main_fields(host)
                with gr.Row(elem_id="bw-buttons"):
                    generate = gr.Button(
                        label("generate"), variant="primary", scale=3, min_width=120
                    )
                    stop = gr.Button(label("stop"), interactive=False, scale=1, min_width=80)
                fields["note"] = model_note(host)
                advice = gr.Markdown(elem_id="bw-advice")
                fields |= advanced_fields(first, host.settings)
                add_link_button(fields)
            with gr.Column(scale=1, min_width=320):
                panel = live_panel(runs, kiosk)
        visitors = Visitors(new_store)
        finder = add_finder(compare, visitors, host.device, fields, host.read)
        publish = panel.move_resource_to_block_cache
        handlers = Handlers(compare, visitors, host.device, publish, host.read, host.price)
        _wire(page, handlers, fields, advice, panel, generate, stop)
        wire_model(page, fields | {"header": header}, host)
        restore(page, fields | {"header": header}, host)
        _wire_whatif(panel, fields)
        _wire_whatif(finder, fields)
        add_api(page, compare, new_store, host)
    page.queue(
        api_open=False, default_concurrency_limit=host.places, max_size=host.settings.queue_size
    )
    return page


def _wire(page, handlers: Handlers, fields, advice, panel, generate, stop) -> None:
    inputs = [fields[name] for name in form.FIELDS]

    # Gradio fills in a request by its annotation and place, so each handler gets a wrapper here.
    def of(request: gr.Request) -> dict[str, str | None]:
        return {"session": request.session_hash, "language": languages.of(request)}

    def on_enter(request: gr.Request, *values):
        return handlers.enter(*values, language=languages.of(request))

    def on_generate(request: gr.Request, *values):
        yield from handlers.generate(*values, **of(request), asking=request)

    def on_stop(request: gr.Request):
        return handlers.stop(language=languages.of(request))

    def on_change(request: gr.Request, *values):
        return handlers.advice(*values, **of(request), asking=request)

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
        [page.load, panel.input, *changes], on_change, inputs, advice,
        queue=False, trigger_mode="always_last", **QUIET,
    )  # fmt: skip
    page.unload(on_leave)


def _wire_whatif(panel, fields) -> None:
    """The what-if slider and the finder each put threshold, interval and gate into the form."""
    names = ("threshold", "presets", "interval", "gate")

    def on_use(name, event: gr.EventData):
        try:
            config = form.chosen(name, event._data)
        except ConfigError as error:
            raise gr.Error(str(error), title=TITLE, print_exception=False) from None
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
