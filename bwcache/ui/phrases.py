"""Sentences that other parts of the program make in English, in a visitor's language.

`locales/phrases/` has a file a language: English templates and how they are said there. What has no
template stays English. The browser does the same with the same file, see `static/lib/phrases.js`.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

from ..errors import ConfigError
from .form import FIELDS
from .languages import CATALOGUE, LABELS, METHODS

FOLDER = Path(__file__).parent / "locales" / "phrases"
NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")
SENTENCES = re.compile(r"(?<=[.!?]) (?=[A-Z])")
OTHER_LABELS = {"goal": "finder_title"}  # of fields that are several components
LONGEST_GIVEN = 40  # characters of what was given


@cache
def phrases(language: str) -> dict[str, str]:
    """The templates of a language by the English ones; none for English."""
    path = FOLDER / f"{language}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


@cache
def _patterns(language: str) -> list[tuple[re.Pattern[str], str]]:
    found = []
    for english, other in phrases(language).items():
        parts = re.split(r"\{(\w+)\}", english)
        pattern = "".join(
            f"(?P<{part}>.+?)" if at % 2 else re.escape(part) for at, part in enumerate(parts)
        )
        found.append((re.compile(pattern, re.DOTALL), other))
    return found


def translated(text: str, language: str) -> str:
    """A text in a language: sentence by sentence where each is known, else as a whole."""
    sentences = SENTENCES.split(text)
    if text not in phrases(language) and len(sentences) > 1:
        found = [_one(each, language) for each in sentences]
        if any(found):
            return " ".join(one or each for one, each in zip(found, sentences, strict=True))
    return _one(text, language) or text


def _one(text: str, language: str) -> str | None:
    if text in phrases(language):
        return phrases(language)[text]
    sign = CATALOGUE.decimal_sign(language)
    for pattern, other in _patterns(language):
        if found := pattern.fullmatch(text):
            values = found.groupdict()
            values |= {name: _value(value, language, sign) for name, value in values.items()}
            return other.format(**values)
    if text.endswith("."):  # known as a part of other sentences
        part = _one(text[:-1], language)
        return part and f"{part}."
    return None


def _value(text: str, language: str, sign: str) -> str:
    """What a placeholder stands for: a number as the language writes it, or a phrase of its own."""
    return text.replace(".", sign) if NUMBER.fullmatch(text) else translated(text, language)


def refused(error: Exception, language: str) -> str:
    """An error as a sentence for whoever filled in the form: the field by its label."""
    if not isinstance(error, ConfigError):
        return translated(str(error), language)
    if not hasattr(error, "given"):  # a caption's fault, which says what is wrong with it
        fault = str(error).partition(": ")[2] or str(error)
        return f"{label_of(error.field, language)}: {translated(fault, language)}"
    given = " ".join(str(error.given).split()) if error.given is not None else ""
    given = given if len(given) <= LONGEST_GIVEN else f"{given[: LONGEST_GIVEN - 1]}…"
    if NUMBER.fullmatch(given):
        given = given.replace(".", CATALOGUE.decimal_sign(language))
    return CATALOGUE.text(
        language,
        "page.refused" if given.strip() else "page.refused_empty",
        field=label_of(error.field, language),
        given=_by_label(given, error.field, language) or translated(given, language),
        allowed=_allowed(error, language),
    )


def _allowed(error: ConfigError, language: str) -> str:
    """What is allowed: choices by their labels, then the reason, if any."""
    names, comma, why = error.allowed.partition(", since ")
    parts = [_by_label(name, error.field, language) for name in names.split(" or ")]
    if not all(parts):
        return translated(error.allowed, language)
    said = CATALOGUE.text(language, "page.or").join(filter(None, parts))
    return f"{said}, {translated(f'since {why}', language)}" if comma else said


def _by_label(name: str, field: str, language: str) -> str | None:
    """What the form calls a choice of a field; None of another text."""
    known = field in FIELDS and name in FIELDS[field].choices
    if not known:
        return None
    return CATALOGUE.text(language, "page.quoted", text=LABELS[language][f"{field}_{name}"])


def label_of(field: str, language: str) -> str:
    """What the form calls a field."""
    keys = (OTHER_LABELS.get(field, field), *(f"{method}_{field}" for method in METHODS))
    return next((LABELS[language][key] for key in keys if key in LABELS[language]), field)
