"""The catalogues are complete in every language, and all of them is used."""

import re
from pathlib import Path
from string import Formatter
from types import SimpleNamespace

import pytest
from gradio.i18n import I18nData

import bwcache
from bwcache import models
from bwcache.runs.verdict import sentence, warning
from bwcache.ui import languages
from bwcache.ui.languages import CATALOGUE, method_labels, say_verdict, verdict_texts
from bwcache.ui.panel import MODULE, STATIC, panel_texts, source, styles, template

PACKAGE = Path(bwcache.__file__).parent
GROUPS = ("labels", "page", "advice", "answers", "offer", "cost", "link", "panel", "finder")
# what the browser looks up by a run's or a side's name
SHARED = {"language", "script_missing"}  # what a library uses, and one component lacks
BY_NAME = {"baseline", "cached", "control", "left", "right"}


def flat(language: str) -> dict[str, str]:
    """Every text, those among them whose English stands beside what they describe."""
    groups = {group: CATALOGUE.group(language, group) for group in GROUPS}
    groups |= {"verdict": verdict_texts(language), "methods": method_labels(language)}
    return {
        f"{group}.{key}": text for group, texts in groups.items() for key, text in texts.items()
    }


def placeholders(text: str) -> list[str]:
    return sorted(name for _, name, _, _ in Formatter().parse(text) if name is not None)


def test_every_language_has_the_same_texts_with_the_same_placeholders():
    assert CATALOGUE.languages == ("en", "de")
    english, german = (flat(language) for language in CATALOGUE.languages)
    assert list(english) == list(german)  # in the same order, so that a translator can compare
    for key, text in english.items():
        assert german[key].strip(), key
        assert placeholders(german[key]) == placeholders(text), key


def test_sentences_are_translated():
    english, german = (flat(language) for language in CATALOGUE.languages)
    alike = [key for key, text in english.items() if text.count(" ") > 2 and german[key] == text]
    assert not [key for key in alike if "{" not in english[key]]


def test_every_setting_of_every_offered_method_is_translated_and_nothing_else():
    english, german = method_labels("en"), method_labels("de")
    names = ("bwcache (paper)", "gate", "bwcache")  # that are the same in German
    alike = [key for key in english if english[key] == german[key]]
    assert not [key for key in alike if english[key].lower() not in names]
    assert set(CATALOGUE.group("de", "methods").values()) <= set(german.values())


def used_in_python() -> set[str]:
    """Patterns of the keys that Python asks for, such as "cost.visitor_.*"."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        code = path.read_text(encoding="utf-8")
        groups = "page|advice|answers|offer|cost"
        found.update(re.findall(rf"""["']((?:{groups})\.\w+)["']""", code))
        found.update(
            re.sub(r"\{.*?\}", ".*", key)
            for key in re.findall(rf'''f"((?:{groups})\.[^"]+)"''', code)
        )
        labels = re.findall(r"""\blabel\(f?["']([^"']+)["']""", code)
        labels += re.findall(r"""\blabel\("(\w+)" if .*? else "\w+"\)""", code)
        labels += re.findall(r"""\blabel\(.*? else "(\w+)"\)""", code)
        labels += [f"{name}_{{}}" for name in re.findall(r'\bchoices\(\s*"(\w+)"', code)]
        found.update(f"labels.{re.sub(r'{.*?}', '.*', label)}" for label in labels)
    return found


def modules_of(entry: str) -> list[Path]:
    """A module and all that it imports."""
    waiting, seen = [STATIC / entry], []
    while waiting:
        path = waiting.pop().resolve()
        if path in seen:
            continue
        seen.append(path)
        imported = re.findall(r'from "(\..*?)"', path.read_text(encoding="utf-8"))
        waiting += [path.parent / name for name in imported]
    return seen


def used_in_browser(entry: str, markup: str) -> set[str]:
    found = set(re.findall(r'data-(?:text|label|title)="(\w+)"', markup))
    for code in [MODULE, *(path.read_text(encoding="utf-8") for path in modules_of(entry))]:
        found.update(re.findall(r"(?<![./])\btexts\.(\w+)", code))
        found.update(re.findall(r"const \{ (\w+) \} = props\.texts", code))
        templates = re.findall(r"\btexts\[`([^`]+)`\]", code)
        found.update(re.sub(r"\$\{.*?\}", r"[\\w-]+", name) for name in templates)
    return found


BROWSER = [
    ("panel", "panel/panel.js", template()),
    ("finder", "panel/finder.js", source("panel/finder.html")),
    ("link", "page/permalink.js", ""),
]


ELSEWHERE = {*(group for group, *_ in BROWSER), "verdict", "methods"}


def unused(keys, patterns) -> list[str]:
    return [key for key in keys if not any(re.fullmatch(one, key) for one in patterns)]


def test_no_text_is_left_over_and_none_is_missing_in_python():
    known = [key for key in flat("en") if key.split(".")[0] not in ELSEWHERE]
    patterns = used_in_python()
    assert not unused(known, patterns)
    for pattern in patterns:
        assert any(re.fullmatch(pattern, key) for key in known), pattern


@pytest.mark.parametrize(("group", "entry", "markup"), BROWSER)
def test_nor_in_the_browser(group, entry, markup):
    own = CATALOGUE.group("en", group)
    known = panel_texts()["en"] if group == "panel" else own
    patterns = used_in_browser(entry, markup) | BY_NAME
    assert not unused(own, patterns)
    for pattern in patterns - BY_NAME - SHARED:
        assert any(re.fullmatch(pattern, key) for key in known), pattern


def test_every_label_has_both_languages():
    english, german = languages.I18N.translations.values()
    assert set(english) == set(german)
    assert german["bw_generate"] == "Erzeugen"
    assert isinstance(languages.label("generate"), I18nData)
    with pytest.raises(KeyError):
        languages.label("no_such_label")
    for spec in models.CATALOGUE.values():
        for made, name in languages.presets(spec.facts().presets):
            assert str(made) != name


def test_nothing_in_the_markup_is_evaluated_by_gradio():
    for markup in (template(), source("panel/finder.html")):
        for part in ("${", "{{", "`", "<script", "$part"):
            assert part not in markup


def test_every_style_sheet_is_served():
    for path in STATIC.rglob("*.css"):
        assert path.read_text(encoding="utf-8") in styles()


@pytest.mark.parametrize(
    ("cookie", "accepted", "language"),
    [
        ("", "de-AT,de;q=0.9,en;q=0.8", "de"),
        ("", "en-GB,de;q=0.9", "en"),
        ("", "fr-FR,de;q=0.9", "en"),
        ("", "", "en"),
        ("bwcache_language=de", "en-GB", "de"),
        ("other=1; bwcache_language=en", "de-DE", "en"),
        ("bwcache_language=xx", "de-DE", "de"),
        ("=;;[]", "de-DE", "de"),
    ],
)
def test_the_server_follows_the_page(cookie, accepted, language):
    headers = {"cookie": cookie, "accept-language": accepted}
    assert languages.of(SimpleNamespace(headers=headers)) == language
    assert languages.of(None) == "en"


def test_numbers_are_written_as_the_language_does():
    values = {"low": 0.0281, "high": 0.2469}
    assert "0.0281 to 0.247" in CATALOGUE.text("en", "advice.range", **values)
    assert "0,0281 bis 0,247" in CATALOGUE.text("de", "advice.range", **values)
    assert "v1.5" in CATALOGUE.text("de", "offer.licence", name="v1.5")
    with pytest.raises(KeyError):
        CATALOGUE.text("en", "advice.range", low=0.1)
    with pytest.raises(KeyError):
        CATALOGUE.text("en", "advice.nowhere")


SUMMARY = {
    "steps_computed": 4,
    "steps_reused": 8,
    "psnr_db": 31.04,
    "ssim": 0.9876,
    "speedup": 2.5,
    "baseline_seconds": 5.0,
    "cached_seconds": 2.0,
    "reuse_starts_above": 0.03,
    "config": {"threshold": 0.02, "reuse": "residual"},
}


@pytest.mark.parametrize(
    ("changes", "english", "german"),
    [
        ({}, "Saved 3.0 s of 5.0 s (2.50×); 8 of 12", "3,0 s von 5,0 s gespart (2,50×); 8 von 12"),
        ({"cached_seconds": 6.0}, "Saved no time: 6.0 s", "Keine Zeit gespart: 6,0 s"),
        ({"psnr_db": None}, "are identical.", "sind identisch."),
        ({"steps_reused": 0}, "less than the threshold 0.02", "die Schwelle 0,02"),
        ({"psnr_db": 10.0}, "differ strongly", "unterscheiden sich stark"),
    ],
)
def test_the_verdict_says_the_same_in_both_languages(changes, english, german):
    summary = SUMMARY | changes
    assert english in sentence(summary)
    assert german in sentence(summary, say_verdict("de"))


def test_the_warning_too():
    assert "Below 1 of 2" in warning(SUMMARY, {"residual": (1, 2)})
    assert "Unter 1 von 2" in warning(SUMMARY, {"residual": (1, 2)}, say_verdict("de"))
    assert warning(SUMMARY, {}, say_verdict("de")) is None
    for language, texts in panel_texts().items():  # the slider's, before a run
        said = texts["too_few_computed"].format(computed=4, steps=12, least=1, of=2)
        assert said == warning(SUMMARY, {"residual": (1, 2)}, say_verdict(language))
