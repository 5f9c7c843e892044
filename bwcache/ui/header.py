"""The page's header in every language at once; `<html lang>` decides which one is seen."""

from __future__ import annotations

import html

from ..models import ModelSpec
from .languages import NAMES, TEXTS


def header(spec: ModelSpec, device: str) -> str:
    """The title, what this is, the model at work, and a link to the other language."""
    taglines, chips, links = "", "", ""
    for language, texts in TEXTS.items():
        mark = f"lang='{language}' class='bw-in-{language}"
        name = texts.DEVICES.get(device.split(":")[0], device)
        chip = html.escape(texts.CHIP.format(device=name, model=spec.title))
        taglines += f"<p {mark}'>{html.escape(texts.TAGLINE)}</p>"
        chips += f"<span {mark} bw-chip' title='{html.escape(spec.about)}'>{chip}</span>"
        links += f"<a {mark}' hreflang='{language}' href='?lang={language}'>{NAMES[language]}</a>"
    return (
        f"<header class='bw-header'><h1>{html.escape(TEXTS['en'].TITLE)}</h1>{taglines}"
        f"<div class='bw-header-side'><nav class='bw-languages'>{links}</nav>{chips}</div></header>"
    )
