"""What other parts say in English is said in the page's language, numbers and all."""

import json
import re
from pathlib import Path

import pytest

from bwcache.cache.methods import METHODS
from bwcache.errors import ConfigError
from bwcache.models import CATALOGUE
from bwcache.runs.recorded import RUNS, listing
from bwcache.tinyworld.grammar import parse
from bwcache.ui import form
from bwcache.ui.phrases import phrases, refused, translated
from tests.ui.given import given

CACHE = Path(form.__file__).parents[1] / "cache"


def unchanged(texts) -> list[str]:
    return [text for text in texts if text and translated(text, "de") == text]


def test_models_knobs_and_recorded_runs_are_described_in_german():
    assert not unchanged(spec.about for spec in CATALOGUE.values())
    allowed = {knob.allowed for method in METHODS.values() for knob in method.knobs()}
    assert not unchanged(each for each in allowed if not each.startswith("'"))
    for _, run in listing(RUNS):
        assert not unchanged([run.title, run.caption])


def test_every_reason_for_a_step_is_said_in_german():
    sources = "".join(path.read_text() for path in sorted(CACHE.rglob("*.py")))
    reasons = set(re.findall(r'reason=f?"([^"]+)"', sources))
    plain = {re.sub(r"\{[^}]*\}", "0.5", reason) for reason in reasons if " " in reason}
    plain = {each for each in plain if not each.startswith("0.5")}
    assert len(plain) > 5
    assert not unchanged(plain)
    for _, run in listing(RUNS):
        assert not unchanged({row["row"].get("w", "") for row in run.rows})


def test_numbers_are_written_as_the_language_does():
    said = translated("indicator 0.0445 is not below threshold 0.03", "de")
    assert said == "Indikator 0,0445 liegt nicht unter der Schwelle 0,03"
    said = translated(
        "Use threshold 0.045 with reuse interval 3: 2.10× by work done, 2.04× by the clock, "
        "with PSNR 31.2 dB. "
        "Of the 4 settings tried, it does the least work of those that stay at 30 dB or closer.",
        "de",
    )
    start = "Nimm Schwelle 0,045 mit Intervall 3: nach getaner Arbeit 2,10×, nach der Uhr 2,04× "
    assert said.startswith(f"{start}so schnell, PSNR 31,2 dB. ")
    assert said.endswith("die bei 30 dB oder darüber bleiben.")
    assert translated("what nobody has translated 1.5", "de") == "what nobody has translated 1.5"
    assert translated("reuse 1 of 3", "en") == "reuse 1 of 3"


def test_both_sides_of_a_phrase_name_the_same_values():
    for english, other in phrases("de").items():
        assert set(re.findall(r"\{\w+\}", english)) == set(re.findall(r"\{\w+\}", other))
    assert json.loads(json.dumps(phrases("de")))
    assert phrases("en") == {}


@pytest.mark.parametrize(
    ("change", "english", "german"),
    [
        ({"steps": 1}, "Denoising steps: 1 is not", "Erlaubt: eine ganze Zahl von 2"),
        ({"threshold": -0.5}, "Threshold: -0.5 is not", "Schwelle: -0,5 geht hier nicht."),
        ({"prompt": " "}, "Prompt: please fill it in.", ": Bitte ausfüllen. Erlaubt: 1 bis"),
        ({"prompt": "xyzzy"}, "the nearest caption that works", "; die ähnlichste Beschreibung"),
        ({"reuse_interval": "often"}, "often is not", "Erlaubt: eine"),
    ],
)  # fmt: skip
def test_refusals_are_sentences_for_people(change, english, german):
    with pytest.raises(ConfigError) as caught:
        form.read(given(**change))
    assert english in refused(caught.value, "en")
    assert german in refused(caught.value, "de")
    assert "got" not in refused(caught.value, "en")


@pytest.mark.parametrize(
    "caption",
    [
        "a fox in the snow",
        "a red circle and a blue square and a green circle",
        "and and a red circle",
        "a red circle on a red background",
        "a red circle on a white black background",
        "a red still",
        "a circle still",
        "",
        "a circle red still",
    ],
)
def test_every_fault_of_a_caption_is_said_in_german(caption):
    with pytest.raises(ConfigError) as raised:
        parse(caption)
    english, german = refused(raised.value, "en"), refused(raised.value, "de")
    assert "nearest caption" in english
    assert "die ähnlichste Beschreibung" in german
    start = german.partition(": ")[2].partition(";")[0]
    assert start not in english
