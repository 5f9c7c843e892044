"""Settings ↔ an address: what is written is read back, and nothing that is typed gets through."""

from urllib.parse import parse_qs, urlencode

import pytest

from bwcache import models
from bwcache.cache.methods.bwcache import BWCacheConfig
from bwcache.ui import form, links

PROMPT = "a blue square bouncing on a gray background"
FORMER = {  # as links of former versions have them
    "model": "tinyworld",
    "prompt": PROMPT,
    "seed": "7",
    "steps": "12",
    "threshold": "0.123",
    "interval": "0.2",
    "gate": "recheck",
    "reuse": "forecast",
}
LINK = {name: text for name, text in FORMER.items() if name != "interval"} | {
    "method": "bwcache",
    "reuse_interval": "0.2",
    "tail_fraction": "0.25",
    "indicator_blocks": "all",
    "indicator_tokens": "64",
    "warm_up_steps": "0.1",
    "max_consecutive": "3",
    "step_mask": "CC??R",
    "control": "true",
    "random_weights": "false",
}
READ = {
    "model": "tinyworld",
    "method": "bwcache",
    "prompt": PROMPT,
    "seed": 7,
    "steps": 12,
    "threshold": 0.123,
    "reuse_interval": 0.2,
    "gate": "recheck",
    "reuse": "forecast",
}
SPECS = [models.find("tinyworld")]


def params(text: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(text, keep_blank_values=True).items()}


def test_what_is_written_is_read_back():
    settings = {knob.name for knob in form.settings(BWCacheConfig)}
    assert set(LINK) == {name for name in links.LINKED if name not in form.knobs()} | settings
    more = {"tail_fraction": 0.25, "indicator_blocks": None, "indicator_tokens": 64}
    more |= {"warm_up_steps": 0.1, "max_consecutive": 3, "step_mask": "CC??R"}
    more |= {"control": "fewer", "random_weights": False}
    assert links.read(params(urlencode(LINK)), SPECS) == (READ | more, [])


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("none", False), ("fewer", "fewer"), ("same-levels", "same-levels"), ("shift", "shift"),
        ("true", "fewer"), ("1", "fewer"), ("false", False), ("0", False),  # former versions
    ],
)  # fmt: skip
def test_a_link_names_the_control(text, kind):
    good, bad = links.read({"prompt": PROMPT, "control": text}, SPECS)
    assert not bad
    assert good["control"] in form.FIELDS["control"].choices
    assert form.read(good).control == kind
    assert links.read({"control": good["control"]}, SPECS)[0]["control"] == good["control"]


def test_links_of_former_versions_still_work():
    good, bad = links.read(params(urlencode(FORMER)), SPECS)
    assert (good, bad) == (READ, [])
    shown = {**good, "reuse_interval": "0.2"}
    assert form.read(shown).config == BWCacheConfig(0.123, 0.2, reuse="forecast", gate="recheck")


def test_a_link_to_another_method_holds_its_settings_and_no_others():
    asked = {"method": "first_block_cache", "threshold": "0.2"}
    read = {"model": "tinyworld", "method": "first_block_cache", "threshold": 0.2}
    assert links.read(asked, SPECS) == (read, [])
    assert links.read({**asked, "gate": "once"}, SPECS) == (read, ["gate"])


def test_a_model_that_needs_a_picture_can_be_linked_to():
    needs = next(spec for spec in models.CATALOGUE.values() if spec.image == "required")
    good, bad = links.read({"model": needs.name, "prompt": "a cat", "seed": "3"}, [needs])
    assert (good["prompt"], good["seed"], bad) == ("a cat", 3, [])


def test_an_address_without_settings_changes_nothing():
    assert links.read({}, SPECS) == ({}, [])
    assert links.read({"kiosk": "1", "__theme": "dark"}, SPECS) == ({}, [])


def test_what_is_left_out_is_left_alone():
    assert links.read({"seed": "3"}, SPECS) == (
        {"model": "tinyworld", "method": "bwcache", "seed": 3},
        [],
    )


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
        ("method", "nothing"), ("tail_fraction", "2"),
        ("indicator_blocks", "0"), ("indicator_tokens", "some"), ("max_skip_steps", "3"),
        ("step_mask", "X"), ("warm_up_steps", "-1"), ("control", "yes"), ("random_weights", "1"),
    ],
)  # fmt: skip
def test_bad_values_are_named_and_the_others_hold(name, bad):
    good, ignored = links.read({**FORMER, name: bad}, SPECS)
    assert ignored == [name]
    dropped = form.FORMER_NAMES.get(name, name)
    expected = {key: value for key, value in READ.items() if key != dropped}
    assert good == {"model": "tinyworld", "method": "bwcache"} | expected


@pytest.mark.parametrize("noise", ["%", "&&==", "\ud800", "٣", "0x10", "1_0", " 3 ", "1e-5"])
def test_no_value_raises(noise):
    for name in links.LINKED:
        good, bad = links.read({name: noise}, SPECS)
        assert set(good) | set(bad) >= {name}
