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


BESIDE = {
    **counts(15, 15),
    "baseline_seconds": 2.0,
    "cached_seconds": 1.0,
    "speedup": 2.0,
    "ssim": 1.0,
    "model": "tinyworld",
}


@pytest.mark.parametrize(
    ("kind", "ours", "control", "said"),
    [
        ("fewer", 40.0, 36.2, "It is closer to the uncached video than the control "
         "(fewer uncached steps), by 3.8 dB."),
        ("same-levels", 40.0, 41.0, "The control (uncached at the same noise levels) is closer "
         "to the uncached video, by 1.0 dB."),
        ("shift", 40.0, 40.04, "The control (fewer uncached steps, larger flow shift) is as close "
         "to the uncached video."),
        ("fewer", None, 50.0, "than the control (fewer uncached steps)."),
        ("fewer", 50.0, None, "The control (fewer uncached steps) is closer to the uncached "
         "video."),
        ("fewer", None, None, "The control (fewer uncached steps) is as close"),
    ],
)  # fmt: skip
def test_the_verdict_names_the_control_and_says_which_is_closer(kind, ours, control, said):
    summary = {**BESIDE, "psnr_db": ours, "control_psnr_db": control}
    with_control = sentence(summary | {"control_kind": kind})
    assert said in with_control
    alone = sentence({**BESIDE, "psnr_db": ours})
    assert sentence(summary) == alone  # a summary of former versions names no kind
    assert with_control.startswith(f"{alone} ")


def test_other_methods_are_given_no_threshold_and_told_what_is_off():
    off = {"steps_computed": 12, "steps_reused": 0, "psnr_db": None, "speedup": 1.0}
    off |= {"baseline_seconds": 1.0, "cached_seconds": 1.0, "ssim": 1.0}
    summary = {**off, "method": "fora", "config": {"period": 1}, "model": "wan2.1-t2v-1.3b"}
    assert after_measuring(summary, Trace(12, 2)) is None
    assert "these settings reuse nothing" in sentence(summary)
