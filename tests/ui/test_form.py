"""The form is made of the methods' own descriptions, and read once, whoever sends it."""

import io
import math
from dataclasses import replace

import gradio as gr
import pytest
from PIL import Image

from bwcache import models
from bwcache.cache.methods import METHODS
from bwcache.cache.methods.bwcache import BWCacheConfig
from bwcache.cache.methods.bwcache_plus import BWCachePlusConfig
from bwcache.cache.methods.fastercache import FasterCacheConfig
from bwcache.cache.methods.first_block_cache import FirstBlockCacheConfig
from bwcache.cache.methods.flowcache import FlowCacheConfig
from bwcache.cache.methods.magcache import MagCacheConfig
from bwcache.cache.methods.skip_cache import SkipCacheConfig
from bwcache.cache.methods.teacache import TeaCacheConfig
from bwcache.errors import ConfigError
from bwcache.models import find
from bwcache.models.catalogue import CATALOGUE
from bwcache.models.machine import Machine
from bwcache.models.spec import MethodFacts, Preset
from bwcache.runs.controls import CONTROLS
from bwcache.runs.request import MAX_STEPS
from bwcache.runs.ruler import measured
from bwcache.ui import fields, form, languages
from bwcache.ui.advice import note
from bwcache.ui.answers import answers
from bwcache.ui.handlers import Refused
from bwcache.ui.host import Host
from bwcache.ui.model_choice import KNOBS, METHOD_PARTS, MODEL_PARTS, of_method, of_model
from bwcache.ui.phrases import refused
from tests.ui.given import GIVEN, PROMPT, given

TINY = find("tinyworld")
LAPTOP = Machine("cpu", "a laptop", ram_gb=16, disk_gb=100)


def test_every_setting_of_every_method_is_a_field():
    for method in METHODS.values():
        for knob in method.knobs():
            assert form.FIELDS[knob.name].kind == "setting"
            assert knob.everybody in form.FIELDS[knob.name].about


def test_settings_that_share_a_name_are_of_one_kind_and_can_share_a_component():
    for name, owners in form.knobs().items():
        assert len({knob.kind for knob in owners.values()}) == 1, name


def test_each_field_of_the_page_has_a_component_of_its_kind():
    with gr.Blocks():
        found = {**fields.main_fields(Host()), **fields.advanced_fields(Host())}
    measured = {"ratios", "calibration", "coefficients"}  # not typed
    assert set(form.FIELDS) - set(found) == measured
    assert isinstance(found["threshold"], gr.Slider)
    assert isinstance(found["reuse_interval"], gr.Textbox)
    assert isinstance(found["max_skip_steps"], gr.Number)
    assert [value for _, value in found["gate"].choices] == ["once", "recheck"]
    assert [value for _, value in found["control"].choices] == ["none", *CONTROLS]
    assert found["control"].elem_id == "bw-control"  # where a refusal is put
    assert found["indicator_blocks"].value == "all"
    assert found["threshold"].visible
    assert not found["max_skip_steps"].visible


def test_what_the_components_hold_at_first_is_the_models_usual_run():
    with gr.Blocks():
        found = {**fields.main_fields(Host()), **fields.advanced_fields(Host())}
    values = {name: found[name].value for name in form.FIELDS if name in found}
    request = form.read(values)
    assert request.config == replace(TINY.default_preset.config, **TINY.indicator)
    assert (request.steps, request.prompt) == (TINY.steps, TINY.examples[0])


def test_named_values_become_a_request():
    request = form.read(given(reuse_interval=" 3 ", steps=12.0, gate="recheck", control=True))
    assert request.config == BWCacheConfig(0.06, 3, gate="recheck")
    assert (request.model, request.prompt, request.steps) == ("tinyworld", PROMPT, 12)
    assert request.control == "fewer"  # as programs of former versions say it


@pytest.mark.parametrize(
    ("asked", "kind"),
    [(False, None), (True, "fewer"), ("none", None), *((kind, kind) for kind in CONTROLS)],
)
def test_the_control_is_one_of_three_kinds_or_none(asked, kind):
    assert form.read(given(control=asked)).control_kind == kind


@pytest.mark.parametrize(
    ("model", "kind", "others"),
    [
        ("latte-1", "same-levels", "fewer, since"),
        ("latte-1", "shift", "fewer, since"),
        ("ltx-video", "shift", "fewer or same-levels, since"),
    ],
)
def test_a_control_that_the_models_scheduler_cannot_make_is_refused_at_its_field(
    model, kind, others
):
    """Before a model is loaded; the page says it at the field, in the words of its choices."""
    with pytest.raises(ConfigError) as caught:
        form.read({"prompt": PROMPT, "model": model, "control": kind})
    assert str(caught.value).startswith(f"control: got '{kind}'; allowed is {others}")
    assert form.read({"prompt": PROMPT, "model": model, "control": "fewer"}).control == "fewer"
    row = Refused(refused(caught.value, "en"), caught.value.field).row
    assert row["field"] == "control"
    labels = languages.LABELS["en"]
    assert row["text"].startswith(f"Control run: “{labels[f'control_{kind}']}” is not possible")
    assert "“Fewer steps”" in row["text"]
    german = refused(caught.value, "de")
    assert german.startswith("Kontrolllauf: „")
    assert "denn der Scheduler dieses Modells" in german
    assert kind not in german.split(":", 1)[1].split()


def test_a_setting_of_another_method_does_not_matter():
    request = form.read(given(method="first_block_cache", reuse_interval="often", gate=None))
    assert request.config == FirstBlockCacheConfig(0.06)


def test_what_is_left_out_is_the_models_own():
    request = form.read({"prompt": PROMPT})
    assert request.config == replace(TINY.default_preset.config, **TINY.indicator)
    assert request.steps == TINY.steps
    wan = form.read({"prompt": PROMPT, "model": "wan2.1-t2v-1.3b"})
    assert wan.config.only_measures
    other = form.read({"prompt": PROMPT, "model": "wan2.1-t2v-1.3b", "method": "first_block_cache"})
    assert other.config == FirstBlockCacheConfig()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"prompt": ""}, "prompt"),
        ({"prompt": "   "}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"prompt": "red " * 500}, "prompt"),
        ({"threshold": math.nan}, "threshold"),
        ({"threshold": math.inf}, "threshold"),
        ({"threshold": -0.1}, "threshold"),
        ({"threshold": None}, "threshold"),
        ({"threshold": "0.1"}, "threshold"),
        ({"threshold": True}, "threshold"),
        ({"threshold": None, "method": "first_block_cache"}, "threshold"),
        ({"steps": 1}, "steps"),
        ({"steps": 10**6}, "steps"),
        ({"steps": 2.5}, "steps"),
        ({"steps": "30"}, "steps"),
        ({"steps": None}, "steps"),
        ({"seed": -1}, "seed"),
        ({"seed": None}, "seed"),
        ({"reuse_interval": "often"}, "reuse_interval"),
        ({"reuse_interval": "0"}, "reuse_interval"),
        ({"reuse_interval": "9" * 5000}, "reuse_interval"),
        ({"reuse_interval": {}}, "reuse_interval"),
        ({"reuse_interval": None}, "reuse_interval"),
        ({"tail_fraction": 1.5}, "tail_fraction"),
        ({"indicator_blocks": "0"}, "indicator_blocks"),
        ({"indicator_tokens": None}, "indicator_tokens"),
        ({"gate": "never"}, "gate"),
        ({"gate": ["once"]}, "gate"),
        ({"reuse": "blocks"}, "reuse"),
        ({"control": "no"}, "control"),
        ({"control": None}, "control"),
        ({"control": ["fewer"]}, "control"),
        ({"control": 1}, "control"),
        ({"random_weights": None}, "random_weights"),
        ({"method": "nothing"}, "method"),
        ({"method": None}, "method"),
        ({"method": ["bwcache"]}, "method"),
        ({"method": "magcache", "model": "wan2.1-t2v-1.3b"}, "calibration"),
        ({"method": "magcache", "calibration": "/etc/passwd"}, "calibration"),
        ({"method": "smoothcache", "calibration": "../tinyworld"}, "calibration"),
        ({"model": "sora"}, "model"),
        ({"model": None}, "model"),
        ({"model": {"a": 1}}, "model"),
        ({"model": "../../etc"}, "model"),
        ({"image": "/no/such/picture.png"}, "image"),
        ({"image": b"no picture"}, "image"),
    ],
)
def test_what_cannot_be_used_is_named_in_one_line(change, word):
    with pytest.raises(ConfigError) as caught:
        form.read(given(**change))
    assert str(caught.value).startswith(f"{word}: got")
    assert "\n" not in str(caught.value)


def test_a_whole_number_says_what_it_may_be():
    with pytest.raises(ConfigError, match=f"a whole number from 2 to {MAX_STEPS}$"):
        form.read(given(steps=1))


def test_a_picture_is_decoded_once(monkeypatch, tmp_path):
    decoded = []
    original = Image.open
    monkeypatch.setattr(Image, "open", lambda *a, **k: decoded.append(1) or original(*a, **k))
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64)).save(buffer, "PNG")
    path = tmp_path / "picture.png"
    path.write_bytes(buffer.getvalue())
    takes = next(spec for spec in models.CATALOGUE.values() if spec.image != "none")
    request = form.read(given(model=takes.name, image=str(path)))
    assert request.image == buffer.getvalue()
    assert len(decoded) == 1
    assert form.read_subject(given(model=takes.name, image=str(path)), request.image).image
    assert len(decoded) == 1


# -- what follows the model and the method -----------------------------------------------------


WAN = find("wan2.1-t2v-1.3b")


def test_a_method_that_has_to_be_measured_first_is_offered_where_it_has_been():
    assert {*METHODS.values()} - {*form.offered_methods(TINY)} == {SkipCacheConfig, FlowCacheConfig}
    missing = set(METHODS.values()) - set(form.offered_methods(WAN))
    calibrated = {each for each in METHODS.values() if each.needs_calibration}
    assert missing == calibrated | {SkipCacheConfig, FlowCacheConfig}
    config = form.read(given(method="magcache", threshold=0.2)).config
    assert config == MagCacheConfig(threshold=0.2, calibration="tinyworld")
    assert not {"ratios", "calibration"} & {knob.name for knob in form.settings(MagCacheConfig)}
    borrowed = form.read({"prompt": PROMPT, "model": WAN.name, "method": "teacache"}).config
    assert borrowed == TeaCacheConfig(calibration=WAN.name)


def test_skip_cache_is_offered_where_there_are_long_skips_and_refused_elsewhere_before_loading():
    spec = replace(TINY, long_skips=3)
    assert SkipCacheConfig in form.offered_methods(spec)
    shown = of_model(spec, SkipCacheConfig, Host())
    assert shown["method"]["value"] == "skip_cache"
    assert shown["computed_blocks"]["visible"]
    assert of_model(TINY, SkipCacheConfig, Host())["method"]["value"] == "bwcache"
    with pytest.raises(ConfigError, match="^method: got 'skip_cache'.*tinyworld-skip has$"):
        form.read(given(method="skip_cache"))


def test_a_method_is_on_offer_where_the_model_has_what_it_needs_and_nowhere_else():
    for spec in CATALOGUE.values():
        for method in form.offered_methods(spec):
            spec.check_method(method(**form.usual(spec, method)))
    assert FlowCacheConfig in form.offered_methods(find("skyreels-v2-df-1.3b"))
    assert of_model(TINY, FlowCacheConfig, Host())["method"]["value"] == "bwcache"
    assert form.unable_methods(find("cogvideox-2b"))["branches"] == [FasterCacheConfig]


def test_the_note_says_why_a_method_is_not_on_offer():
    assert "it has no long skips from early to late blocks: Skip-Cache." in note(TINY, LAPTOP, [])
    assert "langen Verbindungen von frühen zu späten Blöcken hat: Skip-Cache." in note(
        TINY, LAPTOP, []
    )
    assert "frames have no timesteps of their own: FlowCache-style." in note(TINY, LAPTOP, [])
    assert "calibrated them" not in note(TINY, LAPTOP, [])
    assert "Skip-Cache" not in note(replace(TINY, long_skips=3), LAPTOP, [])


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("tinyworld", "TeaCache"),
        ("wan2.1-t2v-1.3b", "TeaCache (borrowed numbers, uncalibrated here)"),
        ("mochi-1", "TeaCache (uncalibrated)"),
    ],
)
def test_numbers_that_nobody_has_measured_here_are_said_to_be_none_of_ours(model, said):
    choices = of_model(find(model), TeaCacheConfig, Host())["method"]["choices"]
    (shown,) = [title for title, name in choices if name == "teacache"]
    english = languages.I18N.translations["en"]
    assert said == (shown if isinstance(shown, str) else english[shown.key])


def test_the_settings_of_the_chosen_method_are_seen_and_no_others():
    for method in form.offered_methods(TINY):
        found = of_method(TINY, method)
        assert set(found) == set(METHOD_PARTS)
        seen = {name for name in KNOBS if found[name]["visible"]}
        assert seen == {knob.name for knob in form.settings(method)}


def test_a_shared_component_follows_the_method():
    ours, other = (of_method(TINY, method) for method in (BWCacheConfig, FirstBlockCacheConfig))
    assert ours["threshold"]["label"] != other["threshold"]["label"]
    assert ours["threshold"]["value"] == TINY.default_preset.config.threshold
    assert other["threshold"]["value"] == FirstBlockCacheConfig().threshold
    assert ours["presets"]["visible"]
    assert not other["presets"]["visible"]


def test_a_method_that_another_model_lacks_gives_way():
    found = of_model(WAN, MagCacheConfig, Host())
    assert set(found) == set(MODEL_PARTS)
    assert found["method"]["value"] == "bwcache"
    assert of_model(TINY, MagCacheConfig, Host())["method"]["value"] == "magcache"


def test_presets_are_recognised():
    for name, preset in TINY.facts().presets.items():
        known = preset.config
        chosen = given(threshold=known.threshold, reuse_interval=f" {known.reuse_interval} ")
        assert form.matching_preset(TINY, BWCacheConfig, chosen) == name
        other = {**chosen, "reuse": "forecast", "gate": "recheck"}  # no preset names these
        assert form.matching_preset(TINY, BWCacheConfig, other) == name
        knob = BWCacheConfig.knob("threshold")
        assert known.threshold < form.slider_top(TINY, knob, BWCacheConfig)
    assert form.matching_preset(TINY, BWCacheConfig, given(threshold=0.0123)) is None
    assert form.matching_preset(TINY, BWCacheConfig, given(reuse_interval="often")) is None
    assert form.matching_preset(TINY, FirstBlockCacheConfig, GIVEN) is None


def test_the_presets_of_another_method_have_their_own_answers():
    """BWCache+ on TinyWorld: shares of the work, with what `bench ruler` measured of each."""
    found = of_method(TINY, BWCachePlusConfig)
    presets = TINY.facts("bwcache_plus").presets
    assert list(presets) == list(TINY.facts().presets)
    assert [preset.config.work_share for preset in presets.values()] == [0.5, 0.4, 0.33]
    assert (found["presets"]["visible"], found["presets"]["value"]) == (True, "Balanced")
    assert found["work_share"]["value"] == 0.4
    stored = measured("tinyworld")
    for answer in stored.methods["bwcache_plus"].answers:
        assert f"<b>{answer.speedup:.1f}×</b>" in found["answers"]
        place = languages.say("en")(f"answers.{stored.ruler.place(answer.psnr_db)}")
        assert f"<span>{place}</span>" in found["answers"]
        assert answer.picture in found["answers"]
    assert found["answers"] != of_method(TINY, BWCacheConfig)["answers"]
    assert of_method(TINY, FirstBlockCacheConfig)["answers"] == ""


def test_a_preset_of_a_share_is_no_preset_of_the_closed_loop():
    fast = form.preset_settings(TINY, BWCachePlusConfig, "Fast")
    assert (fast["schedule"], fast["work_share"]) == ("budget", 0.33)
    shown = given(method="bwcache_plus", **form.shown_by_name(BWCachePlusConfig, fast))
    assert form.read(shown).config == TINY.facts("bwcache_plus").presets["Fast"].config
    assert form.matching_preset(TINY, BWCachePlusConfig, shown) == "Fast"
    looped = {**shown, "schedule": "tolerance"}
    assert form.matching_preset(TINY, BWCachePlusConfig, looped) is None


def test_answers_of_other_presets_are_not_shown():
    """Where the presets have changed since, nothing is said rather than something old."""
    facts = TINY.facts("bwcache_plus")
    changed = {**facts.presets, "Fast": Preset(BWCachePlusConfig(work_share=0.25))}
    spec = replace(TINY, caching={**TINY.caching, "bwcache_plus": MethodFacts(changed)})
    assert answers(spec, BWCachePlusConfig) == ""
    assert answers(spec, BWCacheConfig) == answers(TINY, BWCacheConfig) != ""


# -- what a panel's button puts into the form --------------------------------------------------

TRIED = {"model": "tinyworld", "threshold": 0.05, "interval": "0.1", "gate": "recheck"}


def test_settings_that_were_tried_are_read_by_either_name():
    expected = {"threshold": 0.05, "reuse_interval": 0.1, "gate": "recheck"}
    assert form.chosen(TRIED, "tinyworld") == (BWCacheConfig, expected)
    assert form.chosen(TRIED | {"interval": 4}, "tinyworld")[1]["reuse_interval"] == 4
    named = {"method": "bwcache", "threshold": 0.05, "reuse_interval": "2"}
    assert form.chosen(named, "tinyworld")[1] == {"threshold": 0.05, "reuse_interval": 2}
    other = {"method": "first_block_cache", "threshold": 0.2, "gate": "once"}
    assert form.chosen(other, "tinyworld") == (FirstBlockCacheConfig, {"threshold": 0.2})


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"model": "wan2.1-t2v-1.3b"}, "model"),
        ({"method": "nothing"}, "method"),
        ({"threshold": "0.05"}, "threshold"),
        ({"threshold": None}, "threshold"),
        ({"threshold": math.nan}, "threshold"),
        ({"interval": "many"}, "reuse_interval"),
        ({"interval": None}, "reuse_interval"),
        ({"interval": 0}, "reuse_interval"),
        ({"gate": ["once"]}, "gate"),
    ],
)
def test_others_are_refused_by_name(change, field):
    with pytest.raises(ConfigError, match=f"^{field}: got"):
        form.chosen(TRIED | change, "tinyworld")


@pytest.mark.parametrize("tried", [None, [], "0.05", {}, {"model": "tinyworld"}])
def test_what_is_no_set_of_settings_is_refused(tried):
    with pytest.raises(ConfigError):
        form.chosen(tried, "tinyworld")
