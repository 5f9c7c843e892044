"""What a panel's button puts into the form is checked like everything that a browser sends."""

import pytest

from bwcache.cache.methods.bwcache import BWCacheConfig
from bwcache.errors import ConfigError
from bwcache.ui.form import chosen

GIVEN = {"model": "tinyworld", "threshold": 0.05, "interval": "0.1", "gate": "recheck"}


def test_good_values_become_a_config():
    assert chosen("tinyworld", GIVEN) == BWCacheConfig(0.05, 0.1, gate="recheck")
    assert chosen("tinyworld", GIVEN | {"interval": 4}).reuse_interval == 4
    without = {name: value for name, value in GIVEN.items() if name != "model"}
    assert chosen("tinyworld", without).threshold == 0.05


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"model": "wan2.1-t2v-1.3b"}, "model"),
        ({"threshold": "0.05"}, "threshold"),
        ({"threshold": None}, "threshold"),
        ({"threshold": float("nan")}, "threshold"),
        ({"interval": "many"}, "reuse_interval"),
        ({"interval": None}, "reuse_interval"),
        ({"interval": 0}, "reuse_interval"),
        ({"gate": ["once"]}, "gate"),
    ],
)
def test_others_are_refused_by_name(change, field):
    with pytest.raises(ConfigError, match=field):
        chosen("tinyworld", GIVEN | change)


@pytest.mark.parametrize("given", [None, [], "0.05", {}])
def test_what_is_no_set_of_values_is_refused(given):
    with pytest.raises(ConfigError):
        chosen("tinyworld", given)
