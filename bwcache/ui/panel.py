"""The live panel: one `gr.HTML` made of the files in `static/`. Knows no event and no run.

The panel's value is the list of rows described in `rows.py`; its JavaScript draws what is new.
"""

from __future__ import annotations

import html
from pathlib import Path
from string import Template

import gradio as gr
import plotly

from .gallery import index
from .languages import DEFAULT, TEXTS, by_language

STATIC = Path(__file__).parent / "static"
PARTS = ("progress", "whatif", "views", "gallery", "tour")  # each with its own html, js and css
SHARED = ("language.js", "scale.js", "player.js", "charts.js", "blind.js", "frames.js")
SCRIPTS = (*SHARED, *(f"{part}.js" for part in PARTS), "kiosk.js", "live.js")
STYLES = ("page.css", "header.css", "live.css", *(f"{part}.css" for part in PARTS), "kiosk.css")
PLOTLY = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"


def template(language: str = DEFAULT) -> str:
    """The panel's markup with its texts in place."""
    escaped = {name: html.escape(text) for name, text in TEXTS[language].PANEL.items()}
    parts = {f"part_{part}": _read(f"{part}.html") for part in PARTS}
    return Template(Template(_read("live.html")).safe_substitute(parts)).substitute(escaped)


def script() -> str:
    """The panel's JavaScript, in a scope of its own."""
    return "(() => {\n" + "\n".join(map(_read, SCRIPTS)) + "\n})();"


def styles() -> str:
    """A `<style>` for the page's head, where no component's scope rewrites it."""
    return f"<style>{''.join(map(_read, STYLES))}</style>"


def live_panel(runs: Path | None = None, kiosk: bool = False) -> gr.HTML:
    """The component. Plotly comes from the installed package, so no other host is asked.

    Args:
        runs: The folder of recorded runs, which is served as it is; None for none.
        kiosk: Whether every visitor gets the kiosk's look.
    """
    gr.set_static_paths([PLOTLY] if runs is None else [PLOTLY, runs])
    return gr.HTML(
        value=[],
        html_template=template(),
        js_on_load=script(),
        apply_default_css=False,
        elem_id="bw-panel",
        texts=by_language("PANEL"),
        templates={name: template(name) for name in TEXTS if name != DEFAULT},
        kiosk=kiosk,
        runs=index(runs),
        plotly=str(PLOTLY),
    )


def _read(name: str) -> str:
    return (STATIC / name).read_text(encoding="utf-8")
