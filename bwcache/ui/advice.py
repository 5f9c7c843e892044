"""What to expect of settings, in words, from the model's range and the visitor's last run."""

from __future__ import annotations

from .. import models
from ..cache.predict import predict, reuse_starts_above
from ..cache.trace import FEW_STEPS
from ..explore.suggestion import suggest
from ..runs.events import RunFinished
from ..runs.request import Request
from ..runs.texts import Say
from ..runs.verdict import warning
from ..space.quota import Cost
from .languages import say as say_in


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
    say, unmeasured = say_in(language), not models.find(request.model).facts().presets
    lines = [_range(request, baseline, say)]
    if request.steps < FEW_STEPS:
        lines.insert(0, say("advice.few_steps", steps=request.steps, few=FEW_STEPS))
    if baseline is None:
        later = say("advice.not_measured_yet" if unmeasured else "advice.expect_later")
        return " ".join([*lines, later])
    if unmeasured and not request.config.threshold:
        suggested = [] if request.steps < FEW_STEPS else [_suggested(request, baseline, say)]
        return "\n\n".join([" ".join(lines), *suggested])
    lowest = reuse_starts_above(baseline.trace, request.config)
    if lowest is not None:
        lines.append(say("advice.starts_above", value=lowest))
    return " ".join(lines) + "\n\n" + _expected(request, baseline, language)


def _suggested(request: Request, baseline: RunFinished, say: Say) -> str:
    found = suggest(baseline.trace, request.config)
    if found is None:
        return say("advice.nothing_to_suggest")
    return say(
        "advice.suggested",
        threshold=found.config.threshold,
        interval=found.config.reuse_interval,
        reused=found.prediction.steps_reused,
        steps=len(found.prediction.schedule),
        seconds=found.prediction.predicted_seconds,
        whole=baseline.trace.net_seconds,
    )


def cost_words(cost: Cost, language: str = "en") -> str:
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


def _range(request: Request, baseline: RunFinished | None, say: Say) -> str:
    spec = models.find(request.model)
    found = baseline.trace.indicator_range() if baseline is not None else None
    if found is not None:
        return say("advice.last_range", low=found[0], high=found[1])
    if (measured := spec.facts().indicator_range) is not None:
        low, high = measured
        return say("advice.range", low=low, high=high)
    return say("advice.range_unknown")


def _expected(request: Request, baseline: RunFinished, language: str) -> str:
    say = say_in(language)
    found = predict(baseline.trace, request.config)
    if not found.steps_reused:
        kind = say("advice.exact_nothing" if found.exact else "advice.estimated")
        return say("advice.expected_nothing", kind=kind)
    expected = say(
        "advice.expected",
        reused=found.steps_reused,
        steps=len(found.schedule),
        seconds=found.predicted_seconds,
        whole=baseline.trace.net_seconds,
        kind=say("advice.exact" if found.exact else "advice.estimated"),
    )
    counts = {
        "steps_reused": found.steps_reused,
        "steps_computed": found.schedule.count("compute"),
        "config": request.config.as_dict(),
    }
    note = warning(counts, models.find(request.model).facts().pays_from, language)
    return expected if note is None else f"{expected}\n\n{say('advice.mind', note=note)}"
