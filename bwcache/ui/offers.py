"""What a model needs and how it runs here; and the models that do not, with the reason. HTML."""

from __future__ import annotations

import html
from collections.abc import Sequence
from types import ModuleType

from ..models.fit import Fit, fit_here
from ..models.machine import Machine
from ..models.spec import ModelSpec
from ..models.timings import guessed_seconds
from .languages import OFFERS

Offer = tuple[ModelSpec, Fit]


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
        f"{_facts(spec, fit, texts)}{_others(refused, texts)}</div>"
        for language, texts in OFFERS.items()
    )


def _facts(spec: ModelSpec, fit: Fit, texts: ModuleType) -> str:
    facts = [spec.about]
    if fit.offload in texts.OFFLOADS:
        facts.append(texts.OFFLOADS[fit.offload])
    if fit.download_gb:
        facts.append(texts.DOWNLOAD.format(size=fit.download_gb))
    if fit.seconds is not None:
        facts.append(texts.TAKES.format(seconds=fit.seconds))
    elif spec.needs_cuda:
        minutes = 2 * spec.steps * guessed_seconds(spec) / 60
        facts.append(texts.GUESSED.format(minutes=max(1, minutes)))
    if not spec.facts().presets:
        facts.append(texts.NOT_MEASURED)
    licence = html.escape(texts.LICENCE.format(name=spec.weights.licence))
    if spec.weights.licence_url:
        url = html.escape(spec.weights.licence_url, quote=True)
        licence = f"<a href='{url}' target='_blank' rel='noopener'>{licence}</a>"
    return f"<p>{html.escape(' '.join(facts))} {licence}</p>"


def _others(refused: Sequence[Offer], texts: ModuleType) -> str:
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
    summary = html.escape(texts.NOT_HERE.format(count=len(refused)))
    return f"<details class='bw-refused'><summary>{summary}</summary><ul>{rows}</ul></details>"
