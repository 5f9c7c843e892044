"""The page's header in every language at once; `<html lang>` decides which one is seen."""

from __future__ import annotations

import html

from ..models import ModelSpec
from .languages import LANGUAGES, TITLE
from .languages import say as say_in


def header(spec: ModelSpec, device: str) -> str:
    """The title, what this is, and the model at work."""
    taglines, chips = "", ""
    for language in LANGUAGES:
        say, mark = say_in(language), f"lang='{language}' class='bw-in-{language}"
        kind = device.split(":")[0]
        name = say(f"page.device_{kind}") if kind in ("cpu", "cuda") else device
        chip = html.escape(say("page.chip", device=name, model=spec.title))
        taglines += f"<p {mark}'>{html.escape(say('page.tagline'))}</p>"
        chips += f"<span {mark} bw-chip' title='{html.escape(spec.about)}'>{chip}</span>"
    return (
        f"<header class='bw-header'><h1>{html.escape(TITLE)}</h1>{taglines}"
        f"<div class='bw-header-side'>{chips}</div></header>"
    )
