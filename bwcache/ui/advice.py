"""What to expect of settings, in words, from the model's range and the visitor's last run."""

from __future__ import annotations

from types import ModuleType

from .. import models
from ..cache.predict import predict, reuse_starts_above
from ..explore.suggestion import suggest
from ..runs.events import RunFinished
from ..runs.request import Request
from ..runs.verdict import warning
from ..space.quota import Cost
from .languages import OFFERS, TEXTS


def advise(
    request: Request,
    baseline: RunFinished | None,
    language: str = "en",
    cost: Cost | None = None,
) -> str:
    """Markdown: the measured range, where reuse starts, what these settings would do and cost.

    Args:
        request: The settings as they stand.
        baseline: The visitor's uncached run of the same prompt, steps and seed, if there is one.
        language: "en" or "de".
        cost: Of the visitor's quota; None where nobody counts.
    """
    advice = _expectation(request, baseline, language)
    if cost is None:
        return advice
    return f"{advice}\n\n{cost_words(cost, language)}"


def _expectation(request: Request, baseline: RunFinished | None, language: str) -> str:
    texts, unmeasured = TEXTS[language], not models.find(request.model).facts().presets
    lines = [_range(request, baseline, texts)]
    if baseline is None:
        later = OFFERS[language].NOT_MEASURED_YET if unmeasured else texts.EXPECT_LATER
        return f"{lines[0]} {later}"
    if unmeasured and not request.config.threshold:
        return f"{lines[0]}\n\n{_suggested(request, baseline, OFFERS[language])}"
    lowest = reuse_starts_above(baseline.trace, request.config)
    if lowest is not None:
        lines.append(texts.STARTS_ABOVE.format(value=lowest))
    return " ".join(lines) + "\n\n" + _expected(request, baseline, language)


def _suggested(request: Request, baseline: RunFinished, texts: ModuleType) -> str:
    found = suggest(baseline.trace, request.config)
    if found is None:
        return texts.NOTHING_TO_SUGGEST
    return texts.SUGGESTED.format(
        threshold=found.config.threshold,
        interval=found.config.reuse_interval,
        reused=found.prediction.steps_reused,
        steps=len(found.prediction.schedule),
        seconds=found.prediction.predicted_seconds,
        whole=baseline.trace.net_seconds,
    )


def cost_words(cost: Cost, language: str = "en") -> str:
    """What a run asks of the visitor's quota, and whether that is likely to be enough."""
    texts = OFFERS[language]
    words = texts.COST.format(
        seconds=cost.seconds,
        quota=cost.quota_seconds,
        daily=cost.daily_seconds,
        kind=texts.COST_KINDS[cost.visitor],
    )
    if cost.basis == "estimated":
        words += texts.COST_ESTIMATED
    if not cost.enough:
        words += texts.COST_SHORT.format(needed=cost.needed_seconds)
    return words


def _range(request: Request, baseline: RunFinished | None, texts: ModuleType) -> str:
    spec = models.find(request.model)
    found = baseline.trace.indicator_range() if baseline is not None else None
    if found is not None:
        return texts.LAST_RANGE.format(low=found[0], high=found[1])
    if (measured := spec.facts().indicator_range) is not None:
        return texts.RANGE.format(low=measured[0], high=measured[1])
    return texts.RANGE_UNKNOWN


def _expected(request: Request, baseline: RunFinished, language: str) -> str:
    texts = TEXTS[language]
    found = predict(baseline.trace, request.config)
    if not found.steps_reused:
        kind = texts.EXACT_NOTHING if found.exact else texts.ESTIMATED
        return texts.EXPECTED_NOTHING.format(kind=kind)
    expected = texts.EXPECTED.format(
        reused=found.steps_reused,
        steps=len(found.schedule),
        seconds=found.predicted_seconds,
        whole=baseline.trace.net_seconds,
        kind=texts.EXACT if found.exact else texts.ESTIMATED,
    )
    counts = {
        "steps_reused": found.steps_reused,
        "steps_computed": found.schedule.count("compute"),
        "config": request.config.as_dict(),
    }
    note = warning(counts, models.find(request.model).facts().pays_from, language)
    return expected if note is None else f"{expected}\n\n{texts.MIND.format(note=note)}"
