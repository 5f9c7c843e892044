"""Which language a visitor reads, and the page's texts in it: `locales/`, a JSON file a language.

Gradio chooses: the browser's language, or the one picked in its settings. Labels of components
follow by `gr.I18n`, what JavaScript shows by `<html lang>`, what the server writes by the request.
"""

from __future__ import annotations

from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from pathlib import Path

import gradio as gr
from gradio.i18n import I18nData

from ..runs.texts import ENGLISH, Catalogue, Say

CATALOGUE = Catalogue(Path(__file__).parent / "locales")
LANGUAGES = CATALOGUE.languages
COOKIE = "bwcache_language"  # set by the page where Gradio's language is not the browser's
PREFIX = "bw_"  # before our keys among Gradio's own
TITLE = CATALOGUE.text(ENGLISH, "page.title")


def of(request: object) -> str:
    """The language of whoever sent a request; English where that cannot be told."""
    headers = dict(getattr(request, "headers", None) or {})
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        cookie = None
    accepted = headers.get("accept-language", "").split(",")[0]
    for tag in (cookie.value if cookie else "", accepted):
        base = tag.split(";")[0].split("-")[0].strip().lower()
        if base in LANGUAGES:
            return base
    return ENGLISH


def say(language: str) -> Say:
    """What gives the page's texts in a language: `say("advice.range", low=0.1, high=0.2)`."""
    return CATALOGUE.say(language)


def for_browser(group: str) -> dict[str, dict[str, str]]:
    """A group of texts in each language."""
    return {language: dict(CATALOGUE.group(language, group)) for language in LANGUAGES}


I18N = gr.I18n(
    **{
        language: {f"{PREFIX}{key}": text for key, text in texts.items()}
        for language, texts in for_browser("labels").items()
    }
)


def label(key: str) -> I18nData:
    """A text of the group "labels", put in by the browser in the visitor's language.

    Raises:
        KeyError: There is none of that name.
    """
    CATALOGUE.group(ENGLISH, "labels")[key]
    return I18N(f"{PREFIX}{key}")


def choices(name: str, values: Iterable[str]) -> list[tuple[I18nData, str]]:
    """Choices of a field: each value with the label `name_value`."""
    return [(label(f"{name}_{value}"), value) for value in values]


def presets(names: Iterable[str]) -> list[tuple[I18nData | str, str]]:
    """Choices of presets; one that nobody has translated keeps its name."""
    known = CATALOGUE.group(ENGLISH, "labels")
    return [
        (label(f"preset_{name}") if f"preset_{name}" in known else name, name) for name in names
    ]
