"""The result in a sentence that anybody understands. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping

DIFFERENCE_WORDS = ((40.0, "hardly differ"), (30.0, "differ a little"), (22.0, "differ visibly"))
CAVEAT = "PSNR and SSIM say how far the two videos differ, not which one is better."


def difference_words(psnr_db: float | None) -> str:
    """PSNR in words; None stands for identical videos."""
    if psnr_db is None:
        return "are identical"
    return next((words for least, words in DIFFERENCE_WORDS if psnr_db >= least), "differ strongly")


def sentence(summary: Mapping) -> str:
    """Seconds saved, speed-up, steps reused and difference, from a summary."""
    steps, reused = summary["steps_computed"] + summary["steps_reused"], summary["steps_reused"]
    if not reused:
        return f"Nothing was reused: {_why_nothing(summary)}"
    whole, part = summary["baseline_seconds"], summary["cached_seconds"]
    difference = f"The two videos {difference_words(summary['psnr_db'])}"
    if summary["psnr_db"] is not None:
        difference += f" (PSNR {summary['psnr_db']:.1f} dB, SSIM {summary['ssim']:.3f})"
    gain = (
        f"Saved {whole - part:.1f} s of {whole:.1f} s ({summary['speedup']:.2f}×)."
        if whole > part
        else f"Saved no time: {part:.1f} s instead of {whole:.1f} s."
    )
    return f"{gain} {reused} of {steps} steps reused. {difference}."


def _why_nothing(summary: Mapping) -> str:
    threshold, lowest = summary["config"]["threshold"], summary["reuse_starts_above"]
    if threshold == 0:
        return "a threshold of 0 only measures."
    if lowest is None:
        return "the run is too short to compare steps. Take more steps."
    if threshold <= lowest:
        return (
            f"no step changed by less than the threshold {threshold:.3g}. "
            f"For this prompt a threshold above {lowest:.3g} reuses steps."
        )
    return "every step after the trigger had to be computed; the trace says why."
