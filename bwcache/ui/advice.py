"""What to expect of a model and of settings, in words.

A model: what it needs and how it runs here, and the models that do not, with the reason (HTML).
Settings: from the model's measured range and the visitor's last uncached run (Markdown).
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import replace

from .. import models
from ..cache.method import Method
from ..cache.methods import METHODS
from ..cache.methods.bwcache import BWCacheConfig
from ..cache.predict import decides_by_indicator, predict, reuse_starts_above
from ..cache.trace import FEW_STEPS, Trace
from ..errors import ConfigError, TraceError
from ..explore.suggestion import suggest
from ..models.fit import DISK_REMEDY, Fit, fit_here
from ..models.machine import Machine
from ..models.spec import ModelSpec
from ..models.timings import guessed_seconds
from ..runs.events import RunFinished
from ..runs.request import Request
from ..runs.verdict import Say, warning
from ..space.quota import Cost
from . import form, languages
from .host import Host
from .languages import ENGLISH, LANGUAGES
from .languages import say as say_in
from .phrases import translated
from .sessions import Visitors

Offer = tuple[ModelSpec, Fit]
SLOWER = ("model", "sequential")  # ways to run that are said to the visitor


class Adviser:
    """What the line below the form says.

    It keeps up with what is typed: the prompt, the picture and what else the uncached run depends
    on are read when they change, and the method's settings alone when those do.

    Args:
        visitors: Where each visitor's uncached runs are kept.
        host: Where the page is served.
    """

    def __init__(self, visitors: Visitors, host: Host):
        self._visitors, self._host = visitors, host

    def subject(self, given: form.Given, image: bytes | None) -> Request | None:
        """What the uncached run depends on; None while it cannot be used.

        Args:
            given: The values of the fields by name.
            image: The picture, checked already.
        """
        try:
            return self._host.read_subject(given, image)
        except ConfigError:
            return None

    def advice(
        self,
        subject: Request | None,
        given: form.Given,
        session: str | None,
        language: str = ENGLISH,
        asking: object = None,
    ) -> str:
        """What to expect of the settings, and their cost; nothing while they cannot be used.

        Args:
            subject: See there.
            given: The values of the model, the method, its settings and the control, by name.
            session, language: The visitor's.
            asking: Gradio's request.
        """
        if subject is None or subject.model != given.get("model"):
            return ""
        try:
            config, control = form.read_config(given), form.read_control(given)
        except ConfigError:
            return ""
        request = replace(subject, config=config, control=control)
        store, price = self._visitors.store(session), self._host.price
        cost = None if price is None else price(request, store, asking)
        return advise(request, store.get(request), language, cost)


def advise(
    request: Request,
    baseline: RunFinished | None,
    language: str = ENGLISH,
    cost: Cost | None = None,
) -> str:
    """Markdown: the measured range, where reuse starts, what these settings would do and cost.

    Args:
        request: The settings as they stand.
        baseline: The visitor's uncached run of the same prompt, steps and seed, if there is one.
        language: "en" or "de".
        cost: Of the visitor's quota; None where nobody counts.
    """
    advice = _expectation(request, None if baseline is None else baseline.trace, language)
    if cost is None:
        return advice
    return f"{advice}\n\n{cost_words(cost, language)}"


def _expectation(request: Request, trace: Trace | None, language: str) -> str:
    say, config = say_in(language), request.config
    if config.forecast == "none":
        return say("advice.no_forecast", method=config.title)
    facts = models.find(request.model).facts(config.name)
    known = [_range(facts.indicator_range, trace, say)] if decides_by_indicator(config) else []
    few = request.steps < FEW_STEPS
    if few:
        known.insert(0, say("advice.few_steps", steps=request.steps, few=FEW_STEPS))
    if trace is None:
        unmeasured = _only_measures(config) and not facts.presets
        later = say("advice.not_measured_yet" if unmeasured else "advice.expect_later")
        return " ".join([*known, later])
    if _only_measures(config) and not facts.presets:
        return "\n\n".join([*known, *([] if few else [_suggested(trace, config, say)])])
    lowest = reuse_starts_above(trace, config) if decides_by_indicator(config) else None
    if lowest is not None:
        known.append(say("advice.starts_above", value=lowest))
    return "\n\n".join(filter(None, [" ".join(known), _expected(request, trace, language)]))


def _only_measures(config: Method) -> bool:
    """Whether these are settings to look at the indicator with, which is BWCache's."""
    return isinstance(config, BWCacheConfig) and config.only_measures


def _range(measured: tuple[float, float] | None, trace: Trace | None, say: Say) -> str:
    found = trace.indicator_range() if trace is not None else None
    if found is not None:
        return say("advice.last_range", low=found[0], high=found[1])
    if measured is not None:
        return say("advice.range", low=measured[0], high=measured[1])
    return say("advice.range_unknown")


def _suggested(trace: Trace, config: Method, say: Say) -> str:
    found = suggest(trace, config)
    if found is None:
        return say("advice.nothing_to_suggest")
    return say(
        "advice.suggested",
        threshold=found.config.threshold,
        interval=found.config.reuse_interval,
        reused=found.prediction.steps_reused,
        steps=len(found.prediction.schedule),
        seconds=found.prediction.predicted_seconds,
        whole=trace.net_seconds,
    )


def _expected(request: Request, trace: Trace, language: str) -> str:
    say, config = say_in(language), request.config
    try:
        found = predict(trace, config)
    except TraceError:  # the run was measured for another method
        return say("advice.no_forecast", method=config.title)
    if found.compute_share == 1:
        kind = say("advice.exact_nothing" if found.exact else "advice.estimated")
        return say("advice.expected_nothing", kind=kind)
    expected = say(
        "advice.expected",
        reused=len(found.schedule) - found.schedule.count("compute"),
        steps=len(found.schedule),
        seconds=found.predicted_seconds,
        whole=trace.net_seconds,
        kind=say("advice.exact" if found.exact else "advice.estimated"),
    )
    counts = {
        "steps_reused": found.steps_reused,
        "steps_computed": found.schedule.count("compute"),
        "config": config.as_dict(),
    }
    limits = models.find(request.model).facts(config.name).pays_from
    warned = warning(counts, limits, languages.say_verdict(language))
    return expected if warned is None else f"{expected}\n\n{say('advice.mind', note=warned)}"


def cost_words(cost: Cost, language: str = ENGLISH) -> str:
    """What a run asks of the visitor's quota, and whether that is likely to be enough."""
    say = say_in(language)
    words = say(
        "cost.asks",
        seconds=cost.seconds,
        quota=cost.quota_seconds,
        daily=cost.daily_seconds,
        kind=say(f"cost.visitor_{cost.visitor.replace(' ', '_')}"),
    )
    if cost.basis == "estimated":
        words += say("cost.estimated")
    if not cost.enough:
        words += say("cost.short", needed=cost.needed_seconds)
    return words


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
        f"{_model_facts(spec, fit, language)}{_others(refused, language)}</div>"
        for language in LANGUAGES
    )


def no_device() -> str:
    """That every device of the page has failed, in every language."""
    return "".join(
        f"<p lang='{language}' class='bw-in-{language}' role='alert'>"
        f"{html.escape(say_in(language)('page.no_device'))}</p>"
        for language in LANGUAGES
    )


def _model_facts(spec: ModelSpec, fit: Fit, language: str) -> str:
    say = say_in(language)
    facts = [translated(spec.about, language)]
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
    offered = form.offered_methods(spec)
    unable = form.unable_methods(spec)
    without = [method for methods in unable.values() for method in methods]
    missing = [m.title for m in METHODS.values() if m not in (*offered, *without)]
    if missing:
        facts.append(say("offer.method_missing", methods=", ".join(missing)))
    for lacking, methods in unable.items():
        titles = ", ".join(method.title for method in methods)
        facts.append(say(f"offer.method_needs_{lacking}", methods=titles))
    licence = html.escape(say("offer.licence", name=spec.weights.licence))
    if spec.weights.licence_url:
        url = html.escape(spec.weights.licence_url, quote=True)
        licence = f"<a href='{url}' target='_blank' rel='noopener'>{licence}</a>"
    return f"<p>{html.escape(' '.join(facts))} {licence}</p>"


def _others(refused: Sequence[Offer], language: str) -> str:
    if not refused:
        return ""
    say = say_in(language)
    by_reason: dict[str, list[str]] = {}
    for spec, fit in refused:
        reason = fit.reason.replace(DISK_REMEDY, "")  # no visitor can do that
        by_reason.setdefault(reason, []).append(spec.title)
    rows = "".join(
        f"<li><span>{html.escape(', '.join(titles))}</span>"
        f"<span>{html.escape(translated(reason, language))}</span></li>"
        for reason, titles in by_reason.items()
    )
    summary = html.escape(say("offer.not_here", count=len(refused)))
    return f"<details class='bw-refused'><summary>{summary}</summary><ul>{rows}</ul></details>"
