"""The result in a sentence that anybody understands, in two languages. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping

CAVEAT = "PSNR and SSIM say how far the two videos differ, not which one is better."
ALIKE = (40.0, 30.0, 22.0)  # dB: the least for each place of "differ" but the last
SENTENCES = {
    "en": {
        "differ": (
            "hardly differ",
            "differ a little",
            "differ visibly",
            "differ strongly",
        ),
        "identical": "are identical",
        "videos": "The two videos {difference}",
        "numbers": " (PSNR {psnr:.1f} dB, SSIM {ssim:.3f})",
        "saved": "Saved {gain:.1f} s of {whole:.1f} s ({speedup:.2f}×).",
        "saved_none": "Saved no time: {part:.1f} s instead of {whole:.1f} s.",
        "reused": "{reused} of {steps} steps reused.",
        "nothing": "Nothing was reused: {why}",
        "only_measures": "a threshold of 0 only measures.",
        "too_short": "the run is too short to compare steps. Take more steps.",
        "too_low": "no step changed by less than the threshold {threshold:.3g}. "
        "For this prompt a threshold above {lowest:.3g} reuses steps.",
        "trace_says": "every step after the trigger had to be computed; the trace says why.",
        "warning": "Only {computed} of {steps} steps are computed. Below {least} of {of}, simply "
        "taking that few uncached steps is about as good on this model (measured).",
    },
    "de": {
        "differ": (
            "unterscheiden sich kaum",
            "unterscheiden sich ein wenig",
            "unterscheiden sich sichtbar",
            "unterscheiden sich stark",
        ),
        "identical": "sind identisch",
        "videos": "Die beiden Videos {difference}",
        "numbers": " (PSNR {psnr:.1f} dB, SSIM {ssim:.3f})",
        "saved": "{gain:.1f} s von {whole:.1f} s gespart ({speedup:.2f}×).",
        "saved_none": "Keine Zeit gespart: {part:.1f} s statt {whole:.1f} s.",
        "reused": "{reused} von {steps} Schritten wiederverwendet.",
        "nothing": "Nichts wurde wiederverwendet: {why}",
        "only_measures": "Bei der Schwelle 0 wird nur gemessen.",
        "too_short": "Der Lauf ist zu kurz, um Schritte zu vergleichen. Nimm mehr Schritte.",
        "too_low": "Kein Schritt änderte sich um weniger als die Schwelle {threshold:.3g}. "
        "Bei diesem Prompt werden ab einer Schwelle über {lowest:.3g} Schritte wiederverwendet.",
        "trace_says": "Jeder Schritt nach dem Auslöser musste gerechnet werden; warum, steht im "
        "Protokoll.",
        "warning": "Nur {computed} von {steps} Schritten werden gerechnet. Unter {least} von {of} "
        "ist es bei diesem Modell etwa ebenso gut, einfach so wenige Schritte ohne Cache zu nehmen "
        "(gemessen).",
    },
}


def difference_words(psnr_db: float | None, language: str = "en") -> str:
    """PSNR in words; None stands for identical videos."""
    words = SENTENCES[language]
    if psnr_db is None:
        return words["identical"]
    place = next((i for i, least in enumerate(ALIKE) if psnr_db >= least), len(ALIKE))
    return words["differ"][place]


def sentence(summary: Mapping, language: str = "en") -> str:
    """Seconds saved, speed-up, steps reused and difference, from a summary."""
    words = SENTENCES[language]
    steps, reused = summary["steps_computed"] + summary["steps_reused"], summary["steps_reused"]
    if not reused:
        return words["nothing"].format(why=_why_nothing(summary, words))
    whole, part = summary["baseline_seconds"], summary["cached_seconds"]
    psnr = summary["psnr_db"]
    difference = words["videos"].format(difference=difference_words(psnr, language))
    if psnr is not None:
        difference += words["numbers"].format(psnr=psnr, ssim=summary["ssim"])
    kind = "saved" if whole > part else "saved_none"
    gain = words[kind].format(gain=whole - part, whole=whole, part=part, speedup=summary["speedup"])
    return f"{gain} {words['reused'].format(reused=reused, steps=steps)} {difference}."


def warning(
    summary: Mapping, limits: Mapping[str, tuple[int, int]], language: str = "en"
) -> str | None:
    """What a user should know of a run that computed too few steps for caching to pay.

    Args:
        summary: Of the comparison, or its `steps_computed`, `steps_reused` and `config`.
        limits: The model's `pays_from`.
        language: "en" or "de".

    Returns:
        A sentence; None where nothing was reused, or caching pays, or nobody has measured it.
    """
    computed, limit = summary["steps_computed"], limits.get(summary["config"]["reuse"])
    steps = computed + summary["steps_reused"]
    if limit is None or not summary["steps_reused"] or computed / steps >= limit[0] / limit[1]:
        return None
    return SENTENCES[language]["warning"].format(
        computed=computed, steps=steps, least=limit[0], of=limit[1]
    )


def _why_nothing(summary: Mapping, words: Mapping) -> str:
    threshold, lowest = summary["config"]["threshold"], summary["reuse_starts_above"]
    if threshold == 0:
        return words["only_measures"]
    if lowest is None:
        return words["too_short"]
    if threshold <= lowest:
        return words["too_low"].format(threshold=threshold, lowest=lowest)
    return words["trace_says"]
