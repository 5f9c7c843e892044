"""Settings: what is refused, and how the refusal reads."""

import math

import pytest

from bwcache import BWCacheConfig, ConfigError
from bwcache.cache.methods.bwcache import parse_interval
from bwcache.runs.request import Request


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("threshold", math.nan),
        ("threshold", -0.1),
        ("threshold", math.inf),
        ("threshold", "0.1"),
        ("threshold", True),
        ("reuse_interval", 0),
        ("reuse_interval", 1.0),
        ("reuse_interval", -2),
        ("reuse_interval", math.nan),
        ("reuse_interval", True),
        ("tail_fraction", 1.5),
        ("reuse", "both"),
        ("gate", None),
        ("indicator_blocks", 0),
        ("indicator_tokens", 2.5),
    ],
)
def test_a_bad_setting_is_named(field, value):
    with pytest.raises(ConfigError) as caught:
        BWCacheConfig(**{field: value})
    message = str(caught.value)
    assert message.startswith(f"{field}: got ")
    assert "allowed is" in message
    assert "\n" not in message


def test_a_threshold_above_one_is_allowed():
    assert BWCacheConfig(threshold=2.5).threshold == 2.5


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prompt", ""),
        ("prompt", "   "),
        ("prompt", "x" * 2000),
        ("prompt", None),
        ("steps", 0),
        ("steps", 1_000_000),
        ("steps", 2.0),
        ("seed", -1),
        ("seed", 2**32),
    ],
)
def test_a_bad_request_is_named(field, value):
    with pytest.raises(ConfigError, match=f"^{field}: got ") as caught:
        Request(**{"prompt": "a red circle", field: value})
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(("text", "value"), [("3", 3), ("0.1", 0.1)])
def test_an_interval_as_typed(text, value):
    assert parse_interval(text) == value
    assert type(parse_interval(text)) is type(value)


def test_a_config_from_a_file():
    config = BWCacheConfig(0.2, 4, gate="recheck")
    assert BWCacheConfig.from_dict(config.as_dict()) == config
    with pytest.raises(ConfigError, match="config: got 'speed'"):
        BWCacheConfig.from_dict({"speed": 2})
