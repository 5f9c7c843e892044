"""The result in a sentence that anybody understands, in two languages. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from .texts import ENGLISH, Catalogue, Say

CAVEAT = "PSNR and SSIM say how far the two videos differ, not which one is better."
DIFFERENCES = (  # the least PSNR in dB for each way to put it
    (40.0, "differ_hardly"),
    (30.0, "differ_a_little"),
    (22.0, "differ_visibly"),
    (float("-inf"), "differ_strongly"),
)
CATALOGUE = Catalogue(Path(__file__).parent / "locales")


def difference_words(psnr_db: float | None, language: str = ENGLISH) -> str:
    """PSNR in words; None stands for identical videos."""
    say = CATALOGUE.say(language)
    if psnr_db is None:
        return say("verdict.identical")
    return say(f"verdict.{next(key for least, key in DIFFERENCES if psnr_db >= least)}")


def sentence(summary: Mapping, language: str = ENGLISH) -> str:
    """Seconds saved, speed-up, steps reused and difference, from a summary."""
    say = CATALOGUE.say(language)
    steps, reused = summary["steps_computed"] + summary["steps_reused"], summary["steps_reused"]
    if not reused:
        return say("verdict.nothing", why=_why_nothing(summary, say))
    whole, part = summary["baseline_seconds"], summary["cached_seconds"]
    psnr = summary["psnr_db"]
    difference = say("verdict.videos", difference=difference_words(psnr, language))
    if psnr is not None:
        difference += say("verdict.numbers", psnr=psnr, ssim=summary["ssim"])
    key = "verdict.saved" if whole > part else "verdict.saved_none"
    gain = say(key, gain=whole - part, whole=whole, part=part, speedup=summary["speedup"])
    return f"{gain} {say('verdict.reused', reused=reused, steps=steps)} {difference}."


def warning(
    summary: Mapping, limits: Mapping[str, tuple[int, int]], language: str = ENGLISH
) -> str | None:
    """What a user should know of a run: reuse that began early, few steps, noise, too much reuse.

    Args:
        summary: Of the comparison, or its `steps_computed`, `steps_reused`, `config` and what its
            trace is concerned about (`concerns`, if any).
        limits: The model's `pays_from`.
        language: "en" or "de".

    Returns:
        Sentences; None where there is nothing to mind, or nobody has measured it.
    """
    say, found = CATALOGUE.say(language), []
    for name, numbers in summary.get("concerns", ()):
        found.append(say(f"verdict.{name}", **numbers))
    computed, limit = summary["steps_computed"], limits.get(summary["config"].get("reuse"))
    steps = computed + summary["steps_reused"]
    if limit and summary["steps_reused"] and computed / steps < limit[0] / limit[1]:
        values = {"computed": computed, "steps": steps, "least": limit[0], "of": limit[1]}
        found.append(say("verdict.too_few_computed", **values))
    return " ".join(found) or None


def _why_nothing(summary: Mapping, say: Say) -> str:
    threshold, lowest = summary["config"]["threshold"], summary["reuse_starts_above"]
    if threshold == 0:
        return say("verdict.only_measures")
    if lowest is None:
        return say("verdict.too_short")
    if threshold <= lowest:
        return say("verdict.too_low", threshold=threshold, lowest=lowest)
    return say("verdict.trace_says")
