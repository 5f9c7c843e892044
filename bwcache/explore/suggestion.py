"""A setting for a model that nobody has measured, from one uncached run. Standard library only."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..cache.methods.bwcache import BWCacheConfig
from ..cache.predict import Prediction, predict
from ..cache.trace import FEW_STEPS, Trace
from ..models import find
from .candidates import distinct_thresholds

INTERVAL = 2
COMPUTED = 0.55  # share of the steps: what TinyWorld's Balanced preset computes, 16 of 30


@dataclass(frozen=True)
class Suggestion:
    """A threshold and an interval, and what they would have done in that run."""

    config: BWCacheConfig
    prediction: Prediction


def suggest(trace: Trace, config: BWCacheConfig) -> Suggestion | None:
    """The setting that would have computed about as large a share of the steps as Balanced does.

    Args:
        trace: A complete uncached run that measured every step.
        config: Everything but the threshold and the interval.

    Returns:
        The gentlest of those that come closest; None where no threshold reuses anything, or where
        there are so few steps that there is little to skip. How close its video will be is not
        known before it has been made.

    Raises:
        TraceError: The trace is incomplete or reused steps itself.
    """
    best, least = None, math.inf
    if trace.num_steps < FEW_STEPS:
        return None
    for threshold in reversed(distinct_thresholds(trace)):
        setting = replace(config, threshold=threshold, reuse_interval=INTERVAL)
        found = predict(trace, setting)
        if not found.steps_reused:
            continue
        off = abs(found.schedule.count("compute") / trace.num_steps - COMPUTED)
        if off < least:
            best, least = Suggestion(setting, found), off
    return best


def suggestion_text(found: Suggestion | None, num_steps: int) -> str:
    """What to try after a run of so many steps that only measured."""
    if num_steps < FEW_STEPS:
        return (
            f"With {num_steps} steps there is little to skip, so no threshold is suggested: "
            f"caching pays from about {FEW_STEPS}."
        )
    if found is None:
        return "No threshold would reuse a step in a run like this: take more steps."
    config, prediction = found.config, found.prediction
    return (
        f"Nobody has measured this model yet. From this run: try threshold {config.threshold:.4g} "
        f"with reuse interval {config.reuse_interval}, which would have reused "
        f"{prediction.steps_reused} of {len(prediction.schedule)} steps (estimated)."
    )


def after_measuring(summary: Mapping[str, Any], trace: Trace) -> str | None:
    """What to try after a comparison of a model without presets that only measured.

    Args:
        summary: Of the comparison.
        trace: Its uncached run.

    Returns:
        A sentence; None where the model has presets, steps could be reused, or another method
        was used.
    """
    if summary["method"] != BWCacheConfig.name:
        return None
    config = BWCacheConfig.from_dict(summary["config"])
    if find(summary["model"]).facts().presets or config.threshold:
        return None
    return suggestion_text(suggest(trace, config), trace.num_steps)
