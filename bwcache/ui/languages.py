"""Which language a visitor reads, and where the texts of each language are.

The browser decides by the rule of Gradio's own labels: `?lang=` in the address, else the browser's
language where it is one of ours, else English. The server follows by the request's headers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import ModuleType
from urllib.parse import parse_qs, urlsplit

import gradio as gr

from . import finder_texts, finder_texts_de, offer_texts, offer_texts_de, texts, texts_de

TEXTS: Mapping[str, ModuleType] = {"en": texts, "de": texts_de}
FINDER: Mapping[str, ModuleType] = {"en": finder_texts, "de": finder_texts_de}
OFFERS: Mapping[str, ModuleType] = {"en": offer_texts, "de": offer_texts_de}
NAMES = {"en": "English", "de": "Deutsch"}
DEFAULT = "en"


def of(request: object) -> str:
    """The language of whoever sent a request; English where that cannot be told."""
    params = dict(getattr(request, "query_params", None) or {})
    headers = dict(getattr(request, "headers", None) or {})
    page = parse_qs(urlsplit(headers.get("referer", "")).query)
    accepted = headers.get("accept-language", "").split(",")[0]
    for tag in (params.get("lang"), *page.get("lang", ()), accepted):
        base = str(tag or "").split(";")[0].split("-")[0].strip().lower()
        if base in TEXTS:
            return base
    return DEFAULT


def by_language(name: str, modules: Mapping[str, ModuleType] = TEXTS) -> dict[str, object]:
    """A text or table of texts by its name, in each language."""
    return {language: getattr(module, name) for language, module in modules.items()}


def _key(name: str, value: object = None) -> str:
    return f"bw_{name}" if value is None else f"bw_{name}_{value}"


def _labels(module: ModuleType, prefix: str = "") -> dict[str, str]:
    """Key → text, of every single text and of every list of (text, value) choices."""
    found = {}
    for name in filter(str.isupper, dir(module)):
        given = getattr(module, name)
        if isinstance(given, str):
            found[_key(prefix + name)] = given
        elif isinstance(given, tuple):
            found |= {_key(prefix + name, value): text for text, value in given}
    if prefix:
        found |= {_key(f"{prefix}VALUES", kind): text for kind, (_, text) in module.VALUES.items()}
    return found


I18N = gr.I18n(
    **{name: _labels(TEXTS[name]) | _labels(FINDER[name], "FINDER_") for name in TEXTS},
)


def label(name: str, value: object = None) -> gr.I18nData:
    """A text of the page by its name, put in by the browser in the visitor's language.

    Those of `finder_texts` have names that begin with "FINDER_".
    """
    return I18N(_key(name, value))


def choices(name: str) -> list[tuple[gr.I18nData, str]]:
    """A list of choices by its name, likewise."""
    return [(I18N(_key(name, value)), value) for _, value in getattr(texts, name)]


def presets(names: Iterable[str]) -> list[tuple[gr.I18nData | str, str]]:
    """Choices of presets; one that nobody has translated keeps its name."""
    known = {value for _, value in texts.PRESET_NAMES}
    return [(I18N(_key("PRESET_NAMES", name)) if name in known else name, name) for name in names]
