"""Settings ↔ an address: what is written is read back, and nothing that is typed gets through."""

from urllib.parse import parse_qs, urlencode

import pytest

from bwcache import models
from bwcache.ui import form, permalink

PROMPT = "a blue square bouncing on a gray background"
SETTINGS = {
    "model": "tinyworld", "prompt": PROMPT, "seed": 7, "steps": 12, "threshold": 0.123,
    "interval": "0.2", "gate": "recheck", "reuse": "forecast",
}  # fmt: skip
SPECS = [models.find("tinyworld")]


def params(text: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(text, keep_blank_values=True).items()}


def test_what_is_written_is_read_back():
    assert set(SETTINGS) == set(permalink.FIELDS)
    assert permalink.read(params(urlencode(SETTINGS)), SPECS) == (SETTINGS, [])
    given = {**SETTINGS, "control": False, "image": None}
    assert form.read(*(given[name] for name in form.FIELDS)).seed == 7


def test_an_address_without_settings_changes_nothing():
    assert permalink.read({}, SPECS) == ({}, [])
    assert permalink.read({"kiosk": "1", "__theme": "dark"}, SPECS) == ({}, [])


def test_what_is_left_out_is_left_alone():
    assert permalink.read({"seed": "3"}, SPECS) == ({"model": "tinyworld", "seed": 3}, [])


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("model", "gpt"), ("model", "wan2.1-t2v-1.3b"), ("model", ""),
        ("prompt", ""), ("prompt", "x" * 2000), ("prompt", "<img src=x onerror=alert(1)>"),
        ("seed", "-1"), ("seed", "1.5"), ("seed", "9" * 5000), ("seed", "4294967296"),
        ("steps", "1"), ("steps", "201"), ("steps", "nan"), ("steps", ""),
        ("threshold", "nan"), ("threshold", "inf"), ("threshold", "-1"), ("threshold", "1e999"),
        ("interval", "0"), ("interval", "1.5"), ("interval", "often"), ("interval", "\x00"),
        ("gate", "never"), ("reuse", "all"), ("reuse", "Residual"),
    ],
)  # fmt: skip
def test_bad_values_are_named_and_the_others_hold(name, bad):
    good, ignored = permalink.read(SETTINGS | {"seed": "7", "steps": "12"} | {name: bad}, SPECS)
    assert ignored == [name]
    expected = {key: value for key, value in SETTINGS.items() if key != name}
    assert good == {"model": "tinyworld"} | expected


@pytest.mark.parametrize("noise", ["%", "&&==", "\ud800", "٣", "0x10", "1_0", " 3 ", "1e-5"])
def test_no_value_raises(noise):
    for name in permalink.FIELDS:
        good, bad = permalink.read({name: noise}, SPECS)
        assert set(good) | set(bad) >= {name} or name == "model"
