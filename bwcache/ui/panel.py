"""The live panel: one `gr.HTML` made of the files in `static/`. Knows no event and no run.

The panel's value is the list of rows described in `rows.py`; its JavaScript draws what is new.
"""

from __future__ import annotations

import html
from pathlib import Path
from string import Template

import gradio as gr
import plotly

from . import texts

STATIC = Path(__file__).parent / "static"
SCRIPTS = ("scale.js", "player.js", "charts.js", "live.js")
STYLES = ("page.css", "live.css")
PLOTLY = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"


def template() -> str:
    """The panel's markup with its texts in place."""
    escaped = {name: html.escape(text) for name, text in texts.PANEL.items()}
    return Template(_read("live.html")).substitute(escaped)


def script() -> str:
    """The panel's JavaScript, in a scope of its own."""
    return "(() => {\n" + "\n".join(map(_read, SCRIPTS)) + "\n})();"


def styles() -> str:
    """A `<style>` for the page's head, where no component's scope rewrites it."""
    return f"<style>{''.join(map(_read, STYLES))}</style>"


def live_panel() -> gr.HTML:
    """The component. Plotly comes from the installed package, so no other host is asked."""
    gr.set_static_paths([PLOTLY])
    return gr.HTML(
        value=[],
        html_template=template(),
        js_on_load=script(),
        apply_default_css=False,
        elem_id="bw-panel",
        texts=texts.PANEL,
        plotly=str(PLOTLY),
    )


def _read(name: str) -> str:
    return (STATIC / name).read_text(encoding="utf-8")
