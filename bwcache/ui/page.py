"""The page's layout; what leads to what on it is in `events.py`."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

from ..models.loaded_models import LOADED_MODELS
from ..runs.baselines import Compare
from . import events, form
from .advice import Adviser, note
from .api import add_api
from .devices import Devices
from .fields import advanced_fields, main_fields
from .finder import Finder, finder_controls, finder_panel, search_job
from .handlers import Handlers, refusal
from .host import Host
from .languages import TITLE, label
from .line import Line, in_line
from .links import add_code, add_link_button, wire_link
from .methods_compared import CHOSEN, Methods, methods_controls, methods_job, methods_panel
from .model_choice import header
from .panel import live_panel
from .results import KEPT_SECONDS, Results
from .run_log import RunLog
from .service import Service
from .sessions import Visitors

CACHE_SECONDS = (600, KEPT_SECONDS)  # how often files are looked at, and how old they get


class Page(gr.Blocks):
    """Gradio's, which tells a caller of too few values so, and keeps what was given out of the log.

    Gradio itself prints all of it there: a prompt, too.
    """

    def validate_inputs(self, block_fn, inputs) -> None:
        wanted, given = len(block_fn.inputs), len(inputs)
        if given < wanted:
            text = f"data: got {given} values; allowed is all {wanted}, or /call/v2 with named ones"
            raise refusal(text)


def build(
    compare: Compare,
    host: Host | None = None,
    runs: Path | None = None,
    kiosk: bool = False,
) -> gr.Blocks:
    """The page.

    Args:
        compare: As `bwcache.runs.compare.compare`, or a stand-in that yields the same events.
        host: Where it is served; this machine's processor where None.
        runs: The folder of recorded runs, the first of which is shown at first; None for none.
        kiosk: Whether every visitor gets the kiosk's look, as with `?kiosk=1`.

    Raises:
        ConfigError: The host allows no model that runs here.
    """
    host = host or Host()
    first = host.specs[0]
    with Page(
        title=TITLE, delete_cache=CACHE_SECONDS, analytics_enabled=False, fill_width=True
    ) as page:
        head = gr.HTML(header(first, host.device), elem_id="bw-header", apply_default_css=False)
        with gr.Row(elem_id="bw-columns"):
            with gr.Column(scale=0, min_width=320, elem_id="bw-form"):
                fields = main_fields(host)
                with gr.Row(elem_id="bw-buttons"):
                    generate = gr.Button(
                        label("generate"),
                        variant="primary",
                        scale=3,
                        min_width=120,
                        elem_id="bw-generate",
                    )
                    stop = gr.Button(label("stop"), interactive=False, scale=1, min_width=80)
                searching, comparing = finder_controls(), methods_controls()
                about = gr.HTML(
                    note(first, host.machine, host.refused),
                    elem_id="bw-note",
                    apply_default_css=False,
                )
                advice = gr.Markdown(elem_id="bw-advice")
                fields |= advanced_fields(host)
                add_link_button(fields)
                add_code(fields, host)
            with gr.Column(scale=1, min_width=320, elem_id="bw-right"):
                finder = Finder(finder_panel(), *searching)
                methods = Methods(methods_panel(), *comparing)
                panel = live_panel(runs, kiosk)

        visitors, run_log = Visitors(), RunLog(host.settings.log_prompts)
        asked = {name: fields[name] for name in form.FIELDS if name in fields}
        around = {**fields, "header": head, "note": about}
        publish = events.whole(panel.move_resource_to_block_cache)
        devices = Devices(host.devices, LOADED_MODELS) if len(host.devices) > 1 else None
        line = Line(host.places, host.settings.queue_size, devices=devices)
        service = Service(host.settings, line, visitors, run_log, devices)
        compare = service.bounded(compare if devices is None else devices.watched(compare))
        results = tuple(Results(line, run_log=run_log) for _ in range(3))
        service.results.extend(results)
        page.service = service
        job = events.comparison_job(compare, host, publish)
        comparison = Handlers(job, visitors, results[0])
        search = Handlers(search_job(compare, host), visitors, results[1])
        of_methods = Handlers(methods_job(compare, host), visitors, results[2])
        compared = events.wire_job(comparison, events.Named(asked), panel, generate, stop, page)
        found = events.wire_job(
            search, events.searched(asked, finder), finder.panel, finder.start, finder.stop
        )
        all_compared = events.wire_job(
            of_methods,
            events.Named({**asked, CHOSEN: methods.chosen}),
            methods.panel,
            methods.start,
            methods.stop,
        )
        events.wire_goal(finder)
        changed = [
            *events.wire_model(page, around, host, line),
            *events.wire_prompt(fields),
            *wire_link(page, around, host, panel),
        ]
        adviser, finished = Adviser(visitors, host), [compared, found, all_compared]
        events.wire_advice(page, adviser, asked, panel, advice, changed, finished)
        for each in (panel, finder.panel):
            events.wire_use(each, fields)
        events.wire_leaving(page, visitors, results)
        add_api(page, in_line(compare, line, run_log), host, publish)
    page.queue(
        api_open=False, default_concurrency_limit=host.places, max_size=host.settings.queue_size
    )
    return page
