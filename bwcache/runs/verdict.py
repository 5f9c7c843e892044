"""The result in a sentence that anybody understands. Standard library only.

What is said is a key of `TEXTS` with values; another language says the same keys in its own words.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..cache.method import Method
from ..cache.methods import from_dict
from ..cache.methods.bwcache import BWCacheConfig
from ..cache.predict import decides_by_indicator
from .rounding import Shown

Say = Callable[..., str]  # a key and its values → a text

LEAST_GAIN = 1.05  # what a figure rounds to 1.0 below
LEAST_DECIBELS = 0.05  # what rounds to 0.0 below
CAVEAT = "PSNR and SSIM say how far the two videos differ, not which one is better."
TEXTS: Mapping[str, str] = {
    "differ_hardly": "hardly differ",
    "differ_a_little": "differ a little",
    "differ_visibly": "differ visibly",
    "differ_strongly": "differ strongly",
    "identical": "are identical",
    "videos": "the two videos {difference}",
    "numbers": " (PSNR {psnr:.1f} dB, SSIM {ssim:.3f})",
    "saved": "Saved {gain:seconds} s of {whole:seconds} s ({speedup:.2f}×)",
    "saved_none": "Saved no time: {part:seconds} s instead of {whole:seconds} s",
    "busy": "This machine was busy: about {speedup:.1f}×",
    "busy_none": "This machine was busy: no gain could be told",
    "ceiling": "This schedule allows at most {ceiling:.2f}×.",
    "spread": "The steps' own times leave ±{spread:.0f} %.",
    "disturbed": "Steps far off their run's others: {disturbed}.",
    "waited": "You waited {waited:seconds} s: all runs, text and decoding included.",
    "reused": "{reused} of {steps} steps reused",
    "nothing": "Nothing was reused: {why}",
    "only_measures": "a threshold of 0 only measures.",
    "turned_off": "these settings reuse nothing.",
    "too_short": "the run is too short to compare steps. Take more steps.",
    "too_low": "no step changed by less than the threshold {threshold:.3g}. "
    "For this prompt a threshold above {lowest:.3g} reuses steps.",
    "trace_says": "every step after the trigger had to be computed; the trace says why.",
    "too_few_computed": "Only {computed} of {steps} steps are computed. Below {least} of {of}, "
    "simply taking that few uncached steps is about as good on this model (measured).",
    "few_steps": "With {steps} steps there is little to skip: caching pays from about {few}.",
    "early": "Reuse began with step {step} of {steps}, where the picture's layout is still being "
    "decided: a lower threshold or warm-up steps keep the video closer.",
    "noise": "The scheduler adds noise at each step; both runs were given the same.",
    "control_closer": "It is closer to the uncached video than the control ({kind}){by}.",
    "control_farther": "The control ({kind}) is closer to the uncached video{by}.",
    "control_even": "The control ({kind}) is as close to the uncached video.",
    "control_by": ", by {decibels:.1f} dB",
    "control_fewer": "fewer uncached steps",
    "control_same-levels": "uncached at the same noise levels",
    "control_shift": "fewer uncached steps, larger flow shift",
    "partly_reused": "in {partial} of {steps} steps part of the work was reused, "
    "{share:.0f} % of the blocks' work was done",
    "ruler_identical": "Identical in every pixel.",
    "ruler_beyond_exact": "Closer than the uncached video is to one made with twice the steps: "
    "nobody can see this difference.",
    "ruler_within_half": "A small difference: less than making the video with half the steps.",
    "ruler_within_seed": "A visible difference: more than making the video with half the steps.",
    "ruler_another_video": "Another video: as different as with another seed.",
    "never_allowed": "with these settings no step could be reused; the trace says why.",
}
DIFFERENCES = (  # the least PSNR in dB for each way to put it
    (40.0, "differ_hardly"),
    (30.0, "differ_a_little"),
    (22.0, "differ_visibly"),
    (float("-inf"), "differ_strongly"),
)


def english(key: str, **values: object) -> str:
    """A text with its values in place."""
    return TEXTS[key].format(**values)


def difference_words(psnr_db: float | None, say: Say = english) -> str:
    """PSNR in words; None stands for identical videos."""
    if psnr_db is None:
        return say("identical")
    return say(next(key for least, key in DIFFERENCES if psnr_db >= least))


def sentence(summary: Mapping[str, Any], say: Say = english) -> str:
    """Seconds saved, speed-up, steps reused and difference in one sentence, whatever the method.

    Where there was a control, a second one says which of the two is closer to the uncached video.

    Args:
        summary: The content of a `summary.json`, of former versions, too.
        say: Gives the texts of a language.
    """
    reused, partial = summary["steps_reused"], summary.get("steps_partial", 0)
    steps = summary["steps_computed"] + reused + partial
    if not reused and not partial:
        return say("nothing", why=_why_nothing(summary, say))
    whole, part = Shown(summary["baseline_seconds"]), Shown(summary["cached_seconds"])
    psnr = summary["psnr_db"]
    difference = say("videos", difference=difference_words(psnr, say))
    if psnr is not None:
        difference += say("numbers", psnr=Shown(psnr), ssim=Shown(summary["ssim"]))
    key = "saved" if whole > part else "saved_none"
    if summary.get("busy"):
        key = "busy" if summary["speedup"] > LEAST_GAIN else "busy_none"
    gain, speedup = Shown(whole - part), Shown(summary["speedup"])
    said = [say(key, gain=gain, whole=whole, part=part, speedup=speedup)]
    if reused:
        said.append(say("reused", reused=reused, steps=steps))
    if partial:
        share = 100 * summary["compute_share"]
        said.append(say("partly_reused", partial=partial, steps=steps, share=share))
    said = [f"{'; '.join([*said, difference])}.", *_beside_control(summary, say)]
    return " ".join(said)


def _beside_control(summary: Mapping[str, Any], say: Say) -> Iterator[str]:
    """Whether the cache was worth it: which is closer, the cached video or the control."""
    if "control_kind" not in summary:
        return
    kind = say(f"control_{summary['control_kind']}")
    ours, other = (
        math.inf if decibels is None else decibels  # identical
        for decibels in (summary["psnr_db"], summary["control_psnr_db"])
    )
    decibels = 0.0 if ours == other else abs(ours - other)
    if decibels < LEAST_DECIBELS:
        yield say("control_even", kind=kind)
        return
    by = say("control_by", decibels=Shown(decibels)) if math.isfinite(decibels) else ""
    yield say("control_closer" if ours > other else "control_farther", kind=kind, by=by)


def measure_of(summary: Mapping[str, Any], say: Say = english) -> str | None:
    """How far the figure goes: the most the schedule allows, its spread, what was waited.

    Args:
        summary: The content of a `summary.json`.
        say: Gives the texts of a language.

    Returns:
        Sentences; None for one of a former version, or where nothing was reused.
    """
    ceiling = summary.get("speedup_ceiling")
    if ceiling is None or not (summary["steps_reused"] or summary.get("steps_partial")):
        return None
    spread = Shown(100 * summary["speedup_spread"])
    said = [say("ceiling", ceiling=Shown(ceiling)), say("spread", spread=spread)]
    if disturbed := sum(map(len, summary["disturbed_steps"].values())):
        said.append(say("disturbed", disturbed=disturbed))
    if (waited := summary.get("waited_seconds")) is not None:
        said.append(say("waited", waited=Shown(waited)))
    return " ".join(said)


def warning(
    summary: Mapping[str, Any], limits: Mapping[str, tuple[int, int]], say: Say = english
) -> str | None:
    """What a user should know of a run: reuse that began early, few steps, noise, too much reuse.

    Args:
        summary: Of the comparison, or its `steps_computed`, `steps_reused`, `config` and what its
            trace is concerned about (`concerns`, if any).
        limits: The model's `pays_from` for the method.
        say: Gives the texts of a language.

    Returns:
        Sentences; None where there is nothing to mind, or nobody has measured it.
    """
    found = [say(name, **numbers) for name, numbers in summary.get("concerns", ())]
    computed, limit = summary["steps_computed"], limits.get(summary["config"].get("reuse"))
    steps = computed + summary["steps_reused"]
    if limit and summary["steps_reused"] and computed / steps < limit[0] / limit[1]:
        values = {"computed": computed, "steps": steps, "least": limit[0], "of": limit[1]}
        found.append(say("too_few_computed", **values))
    return " ".join(found) or None


def _why_nothing(summary: Mapping[str, Any], say: Say) -> str:
    config = _config(summary)
    if config.only_measures:
        return say("only_measures" if isinstance(config, BWCacheConfig) else "turned_off")
    if not decides_by_indicator(config):
        return say("never_allowed")
    threshold, lowest = summary["config"]["threshold"], summary["reuse_starts_above"]
    if lowest is None:
        return say("too_short")
    if threshold <= lowest:
        return say("too_low", threshold=threshold, lowest=lowest)
    return say("trace_says")


def _config(summary: Mapping[str, Any]) -> Method:
    return from_dict(summary.get("method", BWCacheConfig.name), summary["config"])
