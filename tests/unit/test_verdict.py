"""What a run that computed too few steps is told."""

import pytest

from bwcache.cache.trace import Trace
from bwcache.explore.suggestion import after_measuring
from bwcache.runs.verdict import sentence, warning

LIMITS = {"residual": (9, 30)}


def counts(computed: int, reused: int, reuse: str = "residual") -> dict:
    return {"steps_computed": computed, "steps_reused": reused, "config": {"reuse": reuse}}


@pytest.mark.parametrize(
    ("computed", "reused", "warned"),
    [
        (8, 22, True),
        (9, 21, False),
        (15, 15, False),
        (14, 36, True),
        (15, 35, False),
        (8, 0, False),
    ],
)
def test_the_limit_is_a_share_of_the_steps(computed, reused, warned):
    """Nine of thirty is fifteen of fifty; a run without reuse has nothing to be warned of."""
    assert (warning(counts(computed, reused), LIMITS) is not None) == warned


def test_it_names_the_steps_and_the_way_out():
    text = warning(counts(6, 24), LIMITS)
    assert "6 of 30" in text
    assert "Below 9 of 30" in text
    assert "uncached steps" in text


def test_what_nobody_measured_is_not_warned_of():
    assert warning(counts(2, 28), {}) is None
    assert warning(counts(2, 28, reuse="forecast"), LIMITS) is None


def test_other_methods_are_given_no_threshold_and_told_what_is_off():
    off = {"steps_computed": 12, "steps_reused": 0, "psnr_db": None, "speedup": 1.0}
    off |= {"baseline_seconds": 1.0, "cached_seconds": 1.0, "ssim": 1.0}
    summary = {**off, "method": "fora", "config": {"period": 1}, "model": "wan2.1-t2v-1.3b"}
    assert after_measuring(summary, Trace(12, 2)) is None
    assert "these settings reuse nothing" in sentence(summary)
