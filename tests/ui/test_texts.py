"""Both languages are complete: the same names, the same keys, the same placeholders."""

import re
from types import SimpleNamespace

import pytest

from bwcache import models
from bwcache.runs.verdict import SENTENCES, sentence, warning
from bwcache.ui import (
    finder_texts,
    finder_texts_de,
    languages,
    offer_texts,
    offer_texts_de,
    texts,
    texts_de,
    views_texts,
    views_texts_de,
)
from bwcache.ui.panel import template

PAIRS = [
    (texts, texts_de),
    (views_texts, views_texts_de),
    (finder_texts, finder_texts_de),
    (offer_texts, offer_texts_de),
]
PLACEHOLDER = re.compile(r"\{(\w*)[^{}]*\}")


def flat(value: object, path: str) -> dict[str, object]:
    """Every text in a table, by its place; what a choice stands for is part of its place."""
    if isinstance(value, dict):
        return {k: v for key in value for k, v in flat(value[key], f"{path}.{key}").items()}
    if isinstance(value, tuple):
        pairs = all(isinstance(one, tuple) and len(one) == 2 for one in value)
        keys = [one[1] for one in value] if pairs else range(len(value))
        inner = [one[0] for one in value] if pairs else value
        return {
            k: v
            for key, one in zip(keys, inner, strict=True)
            for k, v in flat(one, f"{path}.{key}").items()
        }
    return {path: value}


def all_of(module) -> dict[str, object]:
    names = [name for name in dir(module) if name.isupper()]
    return {k: v for name in names for k, v in flat(getattr(module, name), name).items()}


@pytest.mark.parametrize(("english", "german"), PAIRS, ids=lambda module: module.__name__)
def test_nothing_is_missing_and_nothing_is_left_over(english, german):
    assert set(all_of(english)) == set(all_of(german))


@pytest.mark.parametrize(
    ("english", "german"),
    [*(tuple(map(all_of, pair)) for pair in PAIRS), tuple(flat(t, "") for t in SENTENCES.values())],
)
def test_the_placeholders_are_the_same(english, german):
    assert set(english) == set(german)
    for place, text in english.items():
        if isinstance(text, str):
            found = sorted(PLACEHOLDER.findall(german[place]))
            assert found == sorted(PLACEHOLDER.findall(text)), place
            assert german[place].strip(), place
        else:
            assert german[place] == text, place


@pytest.mark.parametrize(("english", "german"), PAIRS, ids=lambda module: module.__name__)
def test_sentences_are_translated(english, german):
    german = all_of(german)
    alike = [
        place
        for place, text in all_of(english).items()
        if isinstance(text, str) and text.count(" ") > 2 and german[place] == text
        if "{" not in text
    ]
    assert not alike


def test_every_label_has_both_languages():
    english, german = languages.I18N.translations.values()
    assert set(english) == set(german)
    assert german["bw_GENERATE"] == "Erzeugen"
    assert str(languages.label("GENERATE")).endswith('"key": "bw_GENERATE"}')
    for spec in models.CATALOGUE.values():
        for made, name in languages.presets(spec.facts().presets):
            assert str(made) != name


def test_the_markup_is_made_in_both_languages():
    assert "Nebeneinander" in template("de")
    assert template("en").count("<") == template("de").count("<")
    assert "$" not in template("de")


@pytest.mark.parametrize(
    ("address", "accepted", "language"),
    [
        ("", "de-AT,de;q=0.9,en;q=0.8", "de"),
        ("", "en-GB,de;q=0.9", "en"),
        ("", "fr-FR,de;q=0.9", "en"),
        ("", "", "en"),
        ("de", "en-GB", "de"),
        ("en", "de-DE", "en"),
        ("xx", "de-DE", "de"),
    ],
)
def test_the_server_follows_the_browser(address, accepted, language):
    page = f"http://127.0.0.1:7860/?lang={address}"
    headers = {"referer": page, "accept-language": accepted}
    assert languages.of(SimpleNamespace(headers=headers, query_params={})) == language
    params = {"lang": address} if address else {}
    headers = {"accept-language": accepted}
    assert languages.of(SimpleNamespace(headers=headers, query_params=params)) == language
    assert languages.of(None) == "en"


SUMMARY = {
    "steps_computed": 4, "steps_reused": 8, "psnr_db": 31.04, "ssim": 0.9876, "speedup": 2.5,
    "baseline_seconds": 5.0, "cached_seconds": 2.0, "reuse_starts_above": 0.03,
    "config": {"threshold": 0.02, "reuse": "residual"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "english", "german"),
    [
        ({}, "Saved 3.0 s of 5.0 s (2.50×). 8 of 12", "3.0 s von 5.0 s gespart (2.50×). 8 von 12"),
        ({"cached_seconds": 6.0}, "Saved no time: 6.0 s", "Keine Zeit gespart: 6.0 s"),
        ({"psnr_db": None}, "are identical.", "sind identisch."),
        ({"steps_reused": 0}, "less than the threshold 0.02", "die Schwelle 0.02"),
        ({"psnr_db": 10.0}, "differ strongly", "unterscheiden sich stark"),
    ],
)
def test_the_verdict_says_the_same_in_both_languages(changes, english, german):
    summary = SUMMARY | changes
    assert english in sentence(summary)
    assert german in sentence(summary, "de")


def test_the_warning_too():
    assert "Below 1 of 2" in warning(SUMMARY, {"residual": (1, 2)})
    assert "Unter 1 von 2" in warning(SUMMARY, {"residual": (1, 2)}, "de")
    assert warning(SUMMARY, {}, "de") is None
