"""What other parts say in English is said in the page's language, numbers and all."""

import ast
import json
import re
from pathlib import Path

import pytest

from bwcache.cache.methods import METHODS
from bwcache.errors import ConfigError
from bwcache.models import CATALOGUE, loading
from bwcache.runs.consume import for_visitors
from bwcache.runs.recorded import RUNS, listing
from bwcache.tinyworld.grammar import parse
from bwcache.ui import form
from bwcache.ui.phrases import phrases, refused, translated
from tests.ui.given import given

PACKAGE = Path(form.__file__).parents[1]
CACHE = PACKAGE / "cache"
ENGLISH = frozenset(
    ["the", "of", "is", "are", "be", "not", "and", "it", "this", "its", "has", "have", "could"]
)


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


def texts_in(node: ast.AST) -> list[str]:
    """The texts that a piece of code makes, X in the place of what is filled in."""
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=parts):
            said = [part.value if isinstance(part, ast.Constant) else "X" for part in parts]
            return ["".join(map(str, said))]
    return [text for child in ast.iter_child_nodes(node) for text in texts_in(child)]


def raised(kind: str) -> set[str]:
    """What errors of a kind are made with, wherever one is raised."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == kind and node.args:
                found |= set(texts_in(node.args[0]))
    return {text for text in found if " " in text}


def said_by(path: str, *functions: str) -> set[str]:
    """The sentences of some functions and constants of a file."""
    found: set[str] = set()
    for node in ast.parse((PACKAGE / path).read_text()).body:
        name = getattr(node, "name", None)
        if isinstance(node, ast.Assign):
            name = ast.unparse(node.targets[0])
        if name in functions:
            body = node.body[1:] if isinstance(node, ast.FunctionDef) else [node]
            found |= {text for part in body for text in texts_in(part)}
    return {text for text in found if text.count(" ") > 2}


def english_left(text: str) -> set[str]:
    shown = translated(for_visitors(text), "de")
    return {f"{word}: {shown}" for word in ENGLISH & set(re.findall(r"[a-z]+", shown))}


def test_every_models_error_is_said_in_german():
    texts = raised("ModelError")
    made_of_parts = {text for text in texts if "machineX" in text or "here. X" in text}
    assert len(made_of_parts) == 2  # whole ones of them are below
    assert len(texts) > 8
    assert not {left for text in texts - made_of_parts for left in english_left(text)}
    tried = [f", even with {lighter} on the GPU" for lighter in loading.LIGHTER.values()]
    for memory in ("memory", "GPU memory"):
        for more in ("", *tried):
            assert not english_left(
                f"model: X ran out of {memory} on this machine{more}; tinyworld"
            )
    for reason in said_by("models/fit.py", "_lacking", "_too_big"):
        reason = reason.replace("freeX.", "free.")  # what a host may do
        assert not english_left(f"model: X does not run here. {reason} Or use tinyworld.")
        assert not english_left(reason)


def test_every_fault_between_here_and_the_hub_is_said_in_german():
    texts = said_by("models/hub/errors.py", "hub_problem", "_known", "damaged", "download_problem")
    texts = {text for text in texts if not text.startswith(("set ", " "))}  # for hosts, a part
    assert len(texts) > 12
    assert not {left for text in texts for left in english_left(f"model: X: {text}; tinyworld")}


def test_every_fault_of_the_machine_is_said_in_german():
    known = said_by("errors.py", "FAULTS") | said_by("ui/service.py", "STOPPING", "TOO_LONG")
    known |= raised("MachineError") | said_by("ui/line.py", "FULL")
    known |= said_by("runs/video.py", "NOT_WRITTEN", "NO_FFMPEG")
    assert len(known) > 10
    faults = [f"Not done: {fault}. Please try again later." for fault in known]
    assert not {left for fault in faults for left in english_left(fault)}


def test_what_zerogpu_refuses_is_said_in_german_and_nothing_of_it_is_left_out():
    texts = said_by("space/zerogpu_errors.py", "REFUSALS", "_sentence", "explain")
    texts = {text for text in texts if text.endswith(".")}
    assert len(texts) > 8
    assert all(for_visitors(text) == text for text in texts)
    assert not {left for text in texts for left in english_left(text)}


def test_what_is_said_while_a_model_is_made_ready():
    notes = {loading.WAITING} | said_by("models/loading.py", "_step_down")
    notes = {note for note in notes if not note.startswith(("model: ", "such as", ", "))}
    assert len(notes) == 2
    for note in notes:
        for lighter in loading.LIGHTER.values():
            shown = translated(note.replace("with X", f"with {lighter}"), "de")
            assert not ENGLISH & set(re.findall(r"[a-z]+", shown)), shown
