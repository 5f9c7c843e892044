"""The live panel, and how a component is made of the browser's files. Knows no event.

A component's value is a list of rows; its JavaScript, a module in `static/`, draws what is new.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Mapping
from pathlib import Path
from string import Template
from urllib.parse import quote

import gradio as gr
import plotly

from ..cache.methods.bwcache import REUSE_NAMES, BWCacheConfig
from .gallery import index
from .handlers import FILE_ROUTE
from .languages import CATALOGUE, LABELS, for_browser, verdict_texts
from .phrases import phrases

STATIC = Path(__file__).parent / "static"
PLOTLY = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
PARTS = {
    "gallery": "panel/gallery.html",
    "recorded": "panel/recorded.html",
    "tour": "panel/tour.html",
    "progress": "panel/progress.html",
    "ruler": "panel/ruler.html",
    "views": "videos/views.html",
    "scrubber": "videos/scrubber.html",
    "what_if": "steps/what_if.html",
}
STYLES = (  # later ones override
    "page/page.css",
    "page/header.css",
    "page/answers.css",
    "page/differs.css",
    "panel/panel.css",
    "panel/overview.css",
    "panel/progress.css",
    "panel/ruler.css",
    "steps/what_if.css",
    "steps/transformer.css",
    "videos/views.css",
    "videos/scrubber.css",
    "panel/gallery.css",
    "panel/tour.css",
    "panel/job.css",
    "panel/on_stage.css",
)
# What a component does first: import its module, or say that it cannot.
MODULE = """
const root = (window.gradio_config?.root || "").replace(/\\/$/, "");
import(`${root}${props.module}`).then(
  ({ start }) => start({ element, props, watch, trigger }),
).catch((error) => {
  console.error(error);
  const language = document.documentElement.lang.split("-")[0];
  const { script_missing } = props.texts[language] || props.texts.en;
  element.replaceChildren(script_missing);
});
"""
# The registry of a Windows machine may call it plain text, which no browser runs as a module.
mimetypes.add_type("text/javascript", ".js")


def address(path: Path) -> str:
    """Where the page fetches a file that is served as it is, below the page's own root."""
    return f"{FILE_ROUTE}{quote(path.resolve().as_posix())}"


def template() -> str:
    """The panel's markup. Its texts are put in by the browser: `data-text` names them."""
    return Template(source("panel/panel.html")).substitute(
        {f"part_{name}": source(path) for name, path in PARTS.items()}
    )


def panel_texts() -> dict[str, Mapping[str, str]]:
    """What the panel shows, by language: its own, the methods' names, a warning, the ruler's."""
    texts: dict[str, Mapping[str, str]] = {}
    for language, own in for_browser("panel").items():
        methods = {
            f"method_{value}": LABELS[language][f"{BWCacheConfig.name}_reuse_{value}"]
            for value in REUSE_NAMES
        }
        verdict = verdict_texts(language)
        shared = {"too_few_computed": verdict["too_few_computed"]}
        shared |= {key: text for key, text in verdict.items() if key.startswith("ruler_")}
        texts[language] = {**own, **methods, **shared}
        said = {"phrases": phrases(language), "decimal_sign": CATALOGUE.decimal_sign(language)}
        texts[language] |= said  # type: ignore[arg-type]
    return texts


def styles() -> str:
    """A `<style>` for the page's head, where no component's scope rewrites it."""
    return f"<style>{''.join(map(source, STYLES))}</style>"


def scripted(
    module: str, markup: str, texts: Mapping[str, object], elem_id: str, **props: object
) -> gr.HTML:
    """A component that a module of `static/` brings to life. Asks no other host.

    Args:
        module: Its path below `static/`; exports `start`.
        markup: What it finds.
        texts: What it shows, by language.
        elem_id: Of the component.
        props: More for the module to find.
    """
    gr.set_static_paths([STATIC, PLOTLY])
    return gr.HTML(
        value=[],
        html_template=markup,
        js_on_load=MODULE,
        apply_default_css=False,
        elem_id=elem_id,
        module=address(STATIC / module),
        plotly=address(PLOTLY),
        texts=texts,
        **props,
    )


def live_panel(runs: Path | None = None, kiosk: bool = False) -> gr.HTML:
    """The panel.

    Args:
        runs: The folder of recorded runs, which is served as it is; None for none.
        kiosk: Whether every visitor gets the kiosk's look.
    """
    if runs is not None:
        gr.set_static_paths([runs])
    return scripted(
        "panel/panel.js", template(), panel_texts(), "bw-panel", kiosk=kiosk, runs=index(runs)
    )


def source(name: str) -> str:
    """A file of `static/`."""
    return (STATIC / name).read_text(encoding="utf-8")
