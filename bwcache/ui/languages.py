"""Which language a visitor reads, and the page's texts in it: `locales/`, a JSON file a language.

Gradio chooses: the browser's language, or the one picked in its settings. Labels of components
follow by `gr.I18n`, what JavaScript shows by `<html lang>`, what the server writes by the request.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from http.cookies import CookieError, SimpleCookie
from pathlib import Path

import gradio as gr
from gradio.i18n import I18nData

from ..cache.knob import Knob
from ..cache.methods import METHODS
from ..runs import verdict
from ..runs.verdict import Say
from .texts import ENGLISH, Catalogue

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


def say_verdict(language: str) -> Say:
    """What gives the verdict's texts in a language; the English ones stand where it is made."""
    if language == ENGLISH:
        return verdict.english
    return lambda key, **values: CATALOGUE.text(language, f"verdict.{key}", **values)


def verdict_texts(language: str) -> Mapping[str, str]:
    """The verdict's texts by key."""
    return verdict.TEXTS if language == ENGLISH else CATALOGUE.group(language, "verdict")


def for_browser(group: str) -> dict[str, dict[str, str]]:
    """A group of texts in each language."""
    return {language: dict(CATALOGUE.group(language, group)) for language in LANGUAGES}


def method_labels(language: str) -> dict[str, str]:
    """The texts of the methods' settings; in English they stand beside the settings themselves.

    What nobody has translated is said in English.
    """
    found = {}
    for name, method in METHODS.items():
        if method.calibrated and not method.needs_calibration:
            found[f"{name}_borrowed"] = f"{method.title} (borrowed numbers, uncalibrated here)"
            found[f"{name}_uncalibrated"] = f"{method.title} (uncalibrated)"
        for knob in method.knobs():
            if knob.name in method.calibrated:
                continue
            key, line = f"{name}_{knob.name}", about_key(knob)
            found[key], found[f"{key}_{line}"] = knob.title, getattr(knob, line)
            found |= {f"{key}_{value}": title for value, title in knob.choices}
    if language == ENGLISH:
        return found
    translated = CATALOGUE.group(language, "methods")
    shared = {key: short for name in METHODS for key, short in _shared(name, found)}
    return {
        key: translated.get(key, translated.get(shared[key], text)) for key, text in found.items()
    }


def _shared(name: str, keys: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The keys of a method's texts, and those that stand for all methods that say the same."""
    return ((key, key.removeprefix(f"{name}_")) for key in keys if key.startswith(f"{name}_"))


def about_key(knob: Knob) -> str:
    """Which of its lines a setting shows: those out of sight are for experts."""
    return "everybody" if knob.basic else "expert"


LABELS = {
    language: {**CATALOGUE.group(language, "labels"), **method_labels(language)}
    for language in LANGUAGES
}
I18N = gr.I18n(
    **{
        language: {f"{PREFIX}{key}": text for key, text in texts.items()}
        for language, texts in LABELS.items()
    }
)


def label(key: str) -> I18nData:
    """A text of the form, put in by the browser in the visitor's language.

    Raises:
        KeyError: There is none of that name.
    """
    LABELS[ENGLISH][key]
    return I18N(f"{PREFIX}{key}")


def choices(name: str, values: Iterable[str]) -> list[tuple[I18nData, str]]:
    """Choices of a field: each value with the label `name_value`."""
    return [(label(f"{name}_{value}"), value) for value in values]


def presets(names: Iterable[str]) -> list[tuple[I18nData | str, str]]:
    """Choices of presets; one that nobody has translated keeps its name."""
    known = LABELS[ENGLISH]
    return [
        (label(f"preset_{name}") if f"preset_{name}" in known else name, name) for name in names
    ]
