"""What a model needs and how it runs here; and the models that do not, with the reason. HTML."""

from __future__ import annotations

import html
from collections.abc import Sequence

from ..models.fit import Fit, fit_here
from ..models.machine import Machine
from ..models.spec import ModelSpec
from ..models.timings import guessed_seconds
from ..runs.texts import Say
from .languages import LANGUAGES
from .languages import say as say_in

Offer = tuple[ModelSpec, Fit]
SLOWER = ("model", "sequential")  # ways to run that are said to the visitor


def note(spec: ModelSpec, machine: Machine, refused: Sequence[Offer]) -> str:
    """The chosen model in a few facts, and a greyed list of the others that cannot run here.

    Args:
        spec: The chosen model.
        machine: What the page runs on.
        refused: The models that are not on offer, each with the reason.
    """
    fit = fit_here(spec, machine)
    return "".join(
        f"<div lang='{language}' class='bw-in-{language} bw-offer'>"
        f"{_facts(spec, fit, say_in(language))}{_others(refused, say_in(language))}</div>"
        for language in LANGUAGES
    )


def _facts(spec: ModelSpec, fit: Fit, say: Say) -> str:
    facts = [spec.about]
    if fit.offload in SLOWER:
        facts.append(say(f"offer.offload_{fit.offload}"))
    if fit.download_gb:
        facts.append(say("offer.download", size=fit.download_gb))
    if fit.seconds is not None:
        facts.append(say("offer.takes", seconds=fit.seconds))
    elif spec.needs_cuda:
        minutes = 2 * spec.steps * guessed_seconds(spec) / 60
        facts.append(say("offer.guessed", minutes=max(1, minutes)))
    if not spec.facts().presets:
        facts.append(say("offer.not_measured"))
    licence = html.escape(say("offer.licence", name=spec.weights.licence))
    if spec.weights.licence_url:
        url = html.escape(spec.weights.licence_url, quote=True)
        licence = f"<a href='{url}' target='_blank' rel='noopener'>{licence}</a>"
    return f"<p>{html.escape(' '.join(facts))} {licence}</p>"


def _others(refused: Sequence[Offer], say: Say) -> str:
    if not refused:
        return ""
    by_reason: dict[str, list[str]] = {}
    for spec, fit in refused:
        by_reason.setdefault(fit.reason, []).append(spec.title)
    rows = "".join(
        f"<li><span>{html.escape(', '.join(titles))}</span>"
        f"<span lang='en'>{html.escape(reason)}</span></li>"
        for reason, titles in by_reason.items()
    )
    summary = html.escape(say("offer.not_here", count=len(refused)))
    return f"<details class='bw-refused'><summary>{summary}</summary><ul>{rows}</ul></details>"
