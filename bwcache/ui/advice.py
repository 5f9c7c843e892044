"""What to expect of settings, in words, from the model's range and the visitor's last run."""

from __future__ import annotations

from types import ModuleType

from .. import models
from ..stream import Request, RunFinished
from ..verdict import warning
from ..whatif import predict, reuse_starts_above
from .languages import TEXTS


def advise(request: Request, baseline: RunFinished | None, language: str = "en") -> str:
    """Markdown: the measured range, where reuse starts, what these settings would do.

    Args:
        request: The settings as they stand.
        baseline: The visitor's uncached run of the same prompt, steps and seed, if there is one.
        language: "en" or "de".
    """
    texts = TEXTS[language]
    lines = [_range(request, baseline, texts)]
    if baseline is None:
        return f"{lines[0]} {texts.EXPECT_LATER}"
    lowest = reuse_starts_above(baseline.trace, request.config)
    if lowest is not None:
        lines.append(texts.STARTS_ABOVE.format(value=lowest))
    return " ".join(lines) + "\n\n" + _expected(request, baseline, language)


def _range(request: Request, baseline: RunFinished | None, texts: ModuleType) -> str:
    spec = models.find(request.model)
    found = baseline.trace.indicator_range() if baseline is not None else None
    if found is not None:
        return texts.LAST_RANGE.format(low=found[0], high=found[1])
    if spec.indicator_range is not None:
        return texts.RANGE.format(low=spec.indicator_range[0], high=spec.indicator_range[1])
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
    note = warning(counts, models.find(request.model).pays_from, language)
    return expected if note is None else f"{expected}\n\n{texts.MIND.format(note=note)}"
