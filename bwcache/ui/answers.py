"""The measured answers to "How different may the video look?": what stands under the presets.

Pictures, speeds and words of what `bench ruler` has stored, in every language at once; `<html
lang>` decides which one is seen. The presets themselves are a radio of Gradio's, whose choices get
their pictures by a style.
"""

from __future__ import annotations

import html
import re

from ..cache.method import Method
from ..models.spec import ModelSpec
from ..runs.rounding import Shown
from ..runs.ruler import Answer, MeasuredMethod, Ruler, measured
from .languages import LANGUAGES
from .languages import say as say_in

PICTURE = re.compile(r"[A-Za-z0-9+/=]+")  # base64, and nothing that ends a style


def answers_of(spec: ModelSpec, method: type[Method]) -> MeasuredMethod | None:
    """What is stored of a method's presets, if it is of these very presets; else None."""
    model, presets = measured(spec.name), spec.facts(method.name).presets
    found = None if model is None else model.methods.get(method.name)
    if found is None or not presets:
        return None
    stored = {answer.name: method.from_dict(answer.config) for answer in found.answers}
    return found if stored == {name: preset.config for name, preset in presets.items()} else None


def answers(spec: ModelSpec, method: type[Method]) -> str:
    """HTML for a model and a method; nothing where nobody has measured them."""
    found = answers_of(spec, method)
    model = measured(spec.name)
    if found is None or model is None:
        return ""
    words = (_in_words(found, model.ruler, language) for language in LANGUAGES)
    return _style(found) + "".join(words)


def _style(found: MeasuredMethod) -> str:
    rules = [
        f"#bw-presets label:nth-child({place})::before"
        f"{{content:'';background-image:url(data:image/webp;base64,{answer.picture})}}"
        for place, answer in enumerate(found.answers, 1)
        if PICTURE.fullmatch(answer.picture)
    ]
    return f"<style>{''.join(rules)}</style>"


def _in_words(found: MeasuredMethod, ruler: Ruler, language: str) -> str:
    say = say_in(language)

    def cell(answer: Answer) -> str:
        speed = say("answers.speed", speedup=Shown(answer.speedup))
        words = say(f"answers.{ruler.place(answer.psnr_db)}")
        return f"<li><b>{html.escape(speed)}</b> <span>{html.escape(words)}</span></li>"

    note = say("answers.note", prompts=found.prompts, prompt=found.prompt)
    cells = "".join(map(cell, found.answers))
    return (
        f"<div lang='{language}' class='bw-in-{language} bw-answers'><ul>{cells}</ul>"
        f"<p>{html.escape(note)}</p></div>"
    )
