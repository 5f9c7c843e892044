"""Permalinks on the page: a button that makes one, and what happens to one that comes in."""

from __future__ import annotations

import json

import gradio as gr

from .. import models
from . import form, languages, permalink
from .host import Host
from .model_choice import FOLLOWING, Components, following
from .panel import STATIC, address

QUIET = {"api_visibility": "private", "show_progress": "hidden"}
BOX = (
    "<div class='bw-link' hidden><output></output>"
    "<input type='text' readonly hidden aria-label='link'></div>"
)
COPY = """(...values) => {
  const root = (window.gradio_config?.root || "").replace(/\\/$/, "");
  import(root + %(module)s).then(({ copyLink }) => copyLink(%(known)s, values));
  return [];
}"""


def add_link_button(fields: Components) -> None:
    """Put the button where the page now stands. It asks no server."""
    button = gr.Button(languages.label("copy_link"), size="sm", elem_id="bw-copy-link")
    gr.HTML(BOX, elem_id="bw-link", apply_default_css=False)
    known = json.dumps({"names": permalink.FIELDS, "catalogues": languages.for_browser("link")})
    module = json.dumps(address(STATIC / "page" / "permalink.js"))
    button.click(
        None,
        [fields[name] for name in permalink.FIELDS],
        None,
        js=COPY % {"module": module, "known": known},
        **QUIET,
    )


def restore(page: gr.Blocks, fields: Components, host: Host) -> None:
    """At the page's loading, put the address's settings into the form; say what is ignored."""

    def on_load(request: gr.Request):
        good, bad = permalink.read(dict(request.query_params), host.specs)
        if bad:
            say = languages.say(languages.of(request))
            gr.Warning(say("page.link_ignored", names=", ".join(bad)), title=languages.TITLE)
        if not good:
            return (gr.skip(),) * len(names)
        spec = models.find(good["model"])
        usual = following(spec, host)
        threshold = good.get("threshold", spec.default_preset.config.threshold)
        interval = good.get("interval", usual["interval"])
        top = max(form.slider_top(spec), threshold)
        values = {
            **usual,
            **good,
            "threshold": gr.update(value=threshold, maximum=top),
            "presets": {
                **usual["presets"],
                "value": form.matching_preset(spec, threshold, interval),
            },
        }
        return tuple(values.get(name, gr.skip()) for name in names)

    names = tuple(dict.fromkeys((*FOLLOWING, *permalink.FIELDS)))
    # Through the queue, where it waits for nobody: without, a warning would not reach the page.
    page.load(on_load, None, [fields[name] for name in names], concurrency_limit=None, **QUIET)
