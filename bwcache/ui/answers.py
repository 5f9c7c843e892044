"""The measured answers to "How different may the video look?": what stands under the presets.

Pictures, speeds and words of what `bench ruler` has stored, in every language at once; `<html
lang>` decides which one is seen. The presets themselves are a radio of Gradio's, whose choices get
their pictures by a style.
"""

from __future__ import annotations

import html
import re

from ..cache.method import Method
from ..cache.methods.bwcache import BWCacheConfig
from ..models.spec import ModelSpec
from ..runs.rounding import Shown
from ..runs.ruler import Answer, MeasuredModel, measured
from .languages import LANGUAGES
from .languages import say as say_in

PICTURE = re.compile(r"[A-Za-z0-9+/=]+")  # base64, and nothing that ends a style


def answers_of(spec: ModelSpec, method: type[Method]) -> MeasuredModel | None:
    """What is stored of a model's presets, if it is of these very presets; else None."""
    found, presets = measured(spec.name), spec.facts(method.name).presets
    if found is None or not presets or method is not BWCacheConfig:
        return None
    stored = {answer.name: BWCacheConfig.from_dict(answer.config) for answer in found.answers}
    return found if stored == {name: preset.config for name, preset in presets.items()} else None


def answers(spec: ModelSpec, method: type[Method]) -> str:
    """HTML for a model and a method; nothing where nobody has measured them."""
    found = answers_of(spec, method)
    if found is None:
        return ""
    return _style(found) + "".join(_in_words(found, language) for language in LANGUAGES)


def _style(found: MeasuredModel) -> str:
    rules = [
        f"#bw-presets label:nth-child({place})::before"
        f"{{content:'';background-image:url(data:image/webp;base64,{answer.picture})}}"
        for place, answer in enumerate(found.answers, 1)
        if PICTURE.fullmatch(answer.picture)
    ]
    return f"<style>{''.join(rules)}</style>"


def _in_words(found: MeasuredModel, language: str) -> str:
    say = say_in(language)

    def cell(answer: Answer) -> str:
        speed = say("answers.speed", speedup=Shown(answer.speedup))
        words = say(f"answers.{found.ruler.place(answer.psnr_db)}")
        return f"<li><b>{html.escape(speed)}</b> <span>{html.escape(words)}</span></li>"

    note = say("answers.note", prompts=found.ruler.prompts, prompt=found.prompt)
    cells = "".join(map(cell, found.answers))
    return (
        f"<div lang='{language}' class='bw-in-{language} bw-answers'><ul>{cells}</ul>"
        f"<p>{html.escape(note)}</p></div>"
    )
