"""What a run that computed too few steps is told."""

import pytest

from bwcache.runs.verdict import warning

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
