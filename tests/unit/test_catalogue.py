"""The catalogue's entries: complete, true to what diffusers offers, and within their own rules."""

import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import diffusers
import pytest
import torch
import transformers

from bwcache import BWCacheConfig, ConfigError
from bwcache.bench.workload import Workload
from bwcache.cache.block_stacks import STACKS
from bwcache.cache.methods import METHODS
from bwcache.cache.methods.flowcache import FlowCacheConfig
from bwcache.cache.methods.magcache import MagCacheConfig
from bwcache.cache.methods.skip_cache import SkipCacheConfig
from bwcache.files import ASSETS
from bwcache.models import catalogue, function
from bwcache.models.call import call_arguments
from bwcache.models.catalogue import (
    CATALOGUE,
    FAMILIES,
    PINNED,
    pin_revisions,
    revisions,
    tinyworld,
)
from bwcache.models.spec import BYTES, OFFLOADS, MethodFacts, ModelSpec, Preset
from bwcache.runs.preview import latent_preview

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
ENTRIES = pytest.mark.parametrize("spec", CATALOGUE.values(), ids=list(CATALOGUE))


def test_the_models_that_are_asked_for_are_there():
    assert set(CATALOGUE) >= {
        "tinyworld",
        *("wan2.1-t2v-1.3b", "wan2.1-t2v-14b"),
        *("wan2.2-ti2v-5b", "wan2.2-t2v-a14b", "wan2.2-i2v-a14b"),
        *("cogvideox-2b", "cogvideox-5b", "ltx-video"),
        *("hunyuanvideo", "hunyuanvideo-1.5", "mochi-1", "latte-1", "allegro"),
        "skyreels-v2-df-1.3b",
    }
    assert next(iter(CATALOGUE)) == "tinyworld"
    embedded = [spec.name for spec in CATALOGUE.values() if not spec.needs_cuda]
    assert embedded == [spec.name for spec in tinyworld.ENTRIES]


def test_the_model_with_long_skips_is_an_entry_where_its_weights_lie():
    spec = tinyworld.TINYWORLD_SKIP
    there = (ASSETS / spec.weights.source).is_dir()
    assert (spec.name in CATALOGUE) is there
    pipe = function(spec.random_builder)(spec, "cpu")
    assert pipe.transformer.config.long_skips == spec.long_skips == 3
    counted = sum(each.numel() for each in pipe.transformer.parameters())
    assert counted / 1e9 == pytest.approx(spec.weights.parameters["transformer"], rel=0.02)


def test_only_a_model_with_long_skips_takes_a_method_that_needs_them():
    spec = tinyworld.TINYWORLD_SKIP
    spec.check_method(SkipCacheConfig(3, 3))
    with pytest.raises(ConfigError, match="^computed_blocks: got 4; allowed is at most 3 on tiny"):
        spec.check_method(SkipCacheConfig(3, 4))
    for other in CATALOGUE.values():
        if not other.long_skips:
            with pytest.raises(ConfigError, match="^method: got 'skip_cache'.*tinyworld-skip has$"):
                other.check_method(SkipCacheConfig())
            other.check_method(SkipCacheConfig(1))  # reuses nothing


def test_only_a_model_with_a_timestep_for_each_frame_takes_a_method_of_chunks():
    having = [name for name, spec in CATALOGUE.items() if spec.timestep_per_frame]
    assert having == ["skyreels-v2-df-1.3b"]
    for name, spec in CATALOGUE.items():
        if name in having:
            spec.check_method(FlowCacheConfig())
        else:
            with pytest.raises(ConfigError, match="^method: got 'flowcache'.*-v2-df-1.3b have$"):
                spec.check_method(FlowCacheConfig())


def test_every_family_is_named_and_an_entry_of_it_is_in_the_catalogue():
    folder = Path(catalogue.__file__).parent
    files = {
        path.stem for path in folder.glob("*.py") if "\nENTRIES = (" in path.read_text("utf-8")
    }
    assert {family.__name__.rpartition(".")[2] for family in FAMILIES} == files
    assert len(CATALOGUE) == sum(len(family.ENTRIES) for family in FAMILIES)


def test_every_method_can_have_presets():
    preset = Preset(MagCacheConfig(threshold=0.1, ratios=(1.0,) * 30))
    facts = MethodFacts(presets={"Fast": preset, "Balanced": preset})
    spec = replace(CATALOGUE["allegro"], caching={"magcache": facts})
    assert spec.facts("magcache").default_preset is preset
    assert spec.facts("first_block_cache").default_preset is None
    assert spec.default_preset.config == BWCacheConfig(0.0)


@ENTRIES
def test_an_entry_says_what_it_is(spec: ModelSpec):
    assert re.fullmatch(r"[a-z0-9]+([.-][a-z0-9]+)*", spec.name)
    assert CATALOGUE[spec.name] is spec
    assert [other.title for other in CATALOGUE.values()].count(spec.title) == 1
    assert spec.about.endswith(".")
    assert spec.weights.licence
    assert len(spec.examples) >= 2 or spec.name == "tinyworld"
    if spec.weights.on_hub:
        assert spec.weights.licence_url.startswith("https://huggingface.co/")
        assert re.fullmatch(r"[0-9a-f]{40}", spec.weights.revision)
    family = re.match(r"[A-Za-z]+", spec.title)[0]
    assert family in README.partition("## Which pipelines")[2] or spec.name == "tinyworld"


@ENTRIES
def test_its_classes_exist(spec: ModelSpec):
    kinds = [spec.pipeline, spec.scheduler, *filter(None, [spec.image_pipeline])]
    assert all(hasattr(diffusers, kind) for kind in kinds)
    for part in spec.parts.values():
        assert hasattr(diffusers, part.kind) or hasattr(transformers, part.kind), part.kind
    for name, part in spec.parts.items():
        if name.startswith("transformer"):
            assert part.kind in STACKS
    takes = diffusers.SchedulerMixin, getattr(diffusers, spec.scheduler)
    assert issubclass(takes[1], takes[0])
    made = takes[1](**spec.scheduler_options)
    assert {key: made.config[key] for key in spec.scheduler_options} == dict(spec.scheduler_options)


@ENTRIES
def test_its_types_and_images_are_known(spec: ModelSpec):
    assert set(spec.weights.dtypes.values()) <= set(BYTES)
    assert "default" in spec.weights.dtypes
    assert set(spec.weights.dtypes) <= {"default", *spec.weights.parameters}
    assert all(hasattr(torch, name) for name in spec.weights.dtypes.values())
    assert spec.image in ("none", "optional", "required")
    assert spec.image_pipeline is None or spec.image == "optional"
    assert set(spec.parts) <= {*spec.weights.parameters, "guider", "tokenizer", "tokenizer_2"}
    assert set(spec.shape.fixed) <= {"height", "width", "num_frames"}


@ENTRIES
def test_its_size_obeys_its_rules(spec: ModelSpec):
    spec.shape.check(spec.shape.height, spec.shape.width, spec.shape.num_frames)
    for name, value in (
        ("height", spec.shape.height + 1),
        ("width", 0),
        ("width", 8192),
        ("width", True),
        ("height", "480"),
    ):
        wrong = {"height": spec.shape.height, "width": spec.shape.width} | {name: value}
        with pytest.raises(ConfigError, match=f"^{name}: got "):
            spec.shape.check(**wrong, num_frames=spec.shape.num_frames)
    for frames in (0, -4, 5.0, 100_000):
        with pytest.raises(ConfigError, match="^frames: got "):
            spec.shape.check(spec.shape.height, spec.shape.width, frames)
    if spec.shape.frame_multiple > 1:
        with pytest.raises(ConfigError, match="^frames: got "):
            spec.shape.check(spec.shape.height, spec.shape.width, spec.shape.num_frames + 1)


def test_the_rules_in_words():
    wan, allegro, mochi = (CATALOGUE[name] for name in ("wan2.2-ti2v-5b", "allegro", "mochi-1"))
    with pytest.raises(ConfigError, match="a multiple of 32 from 32 to 4096 pixels"):
        wan.shape.check(720, 1280, 121)
    with pytest.raises(ConfigError, match="1, 7, 13 and so on up to 1025 frames"):
        mochi.shape.check(480, 848, 86)
    with pytest.raises(ConfigError, match="height: got 360; allowed is 720, since this model"):
        allegro.shape.check(360, 1280, 88)
    with pytest.raises(ConfigError, match="4, 8, 12 and so on"):
        replace(allegro.shape, fixed=()).check(720, 1280, 90)


@ENTRIES
def test_nothing_is_claimed_that_nobody_measured(spec: ModelSpec):
    measured = spec.name == "tinyworld"
    assert bool(spec.facts().presets) is measured
    assert bool(spec.facts().pays_from) is measured
    assert (spec.facts().indicator_range is None) is not measured
    assert spec.indicator_tokens >= 128
    for method, facts in spec.caching.items():
        assert all(isinstance(p.config, METHODS[method]) for p in facts.presets.values())
    if not measured:
        assert spec.default_preset.config.threshold == 0


@ENTRIES
def test_a_lighter_mode_takes_less_memory(spec: ModelSpec):
    needs = [spec.memory_gb(mode) for mode in OFFLOADS]
    assert needs == sorted(needs, reverse=True)
    assert needs[0] == pytest.approx(
        sum(map(spec.weights.gb, spec.weights.parameters)) + spec.activations_gb
    )
    assert needs[-1] > spec.activations_gb > 0


def test_pins_are_commits_with_their_source_and_nothing_else(tmp_path):
    pins = json.loads(revisions.FILE.read_text(encoding="utf-8"))
    assert set(pins) == {spec.weights.source for spec in CATALOGUE.values() if spec.weights.on_hub}
    assert all(pin["found"] for pin in pins.values())
    bad = tmp_path / "revisions.json"
    for commit in ("main", "0fad780", "A" * 40, None):
        bad.write_text(json.dumps({"owner/name": {"commit": commit}}))
        with pytest.raises(ValueError, match="owner/name has"):
            revisions.read(bad)


def test_pinning_asks_the_hub_and_writes_all_or_nothing(tmp_path, monkeypatch):
    file = tmp_path / "revisions.json"
    before = revisions.FILE.read_text(encoding="utf-8")
    file.write_text(before, encoding="utf-8")
    monkeypatch.setattr(revisions, "FILE", file)
    newest = {"genmo/mochi-1-preview": "1" * 40, "Lightricks/LTX-Video": "main"}

    def model_info(self, name):
        if name not in newest:
            raise OSError("no such repository\nTry another.")
        return SimpleNamespace(sha=newest[name])

    monkeypatch.setattr(pin_revisions.HfApi, "model_info", model_info)
    pin_revisions.main(["genmo/mochi-1-preview"])
    assert revisions.read(file) == {**PINNED, "genmo/mochi-1-preview": "1" * 40}
    after = file.read_text(encoding="utf-8")
    for asked in (["genmo/mochi-1-preview", "rhymes-ai/Allegro"], ["someone/else"]):
        with pytest.raises(SystemExit, match=asked[-1]):
            pin_revisions.main(asked)
    with pytest.raises(ValueError, match="'main' for a commit"):
        pin_revisions.main(["Lightricks/LTX-Video"])
    assert file.read_text(encoding="utf-8") == after


def test_a_call_is_what_the_entry_says():
    latte = call_arguments(CATALOGUE["latte-1"], "a cat", 0, 5)
    assert latte["video_length"] == 16
    assert "num_frames" not in latte
    assert latte["clean_caption"] is False
    assert "image" not in call_arguments(CATALOGUE["wan2.2-ti2v-5b"], "a cat", 0, 5)
    plain = call_arguments(CATALOGUE["wan2.2-i2v-a14b"], "a cat", 0, 5)  # to warm up with
    assert plain["image"].size == (832, 480)


def test_a_benchmark_keeps_to_the_rules_of_its_model():
    with pytest.raises(ConfigError, match="^height: got 720; allowed is a multiple of 32"):
        Workload("wan2.2-ti2v-5b", height=720)
    with pytest.raises(ConfigError, match="^frames: got 161; allowed is 1, 7, 13"):
        Workload("mochi-1", frames=161)
    with pytest.raises(ConfigError, match="^width: got 640; allowed is 1280"):
        Workload("allegro", width=640)
    assert Workload("ltx-video", height=64, width=96, frames=9).spec.shape.num_frames == 9


def test_previews_take_the_frames_where_the_entry_has_them():
    """A picture that is red in the last frame and, in a middle one, bright on its left."""
    latents = torch.zeros(1, 6, 5, 8, 8)
    latents[:, :, 2, :, :4] = 1
    latents[:, :2, 4] = 9
    shown = latent_preview(None, latents)
    assert shown == latent_preview(None, latents.transpose(1, 2), 1)
    assert shown != latent_preview(None, latents.transpose(1, 2))
    assert shown == latent_preview(None, latents[:, :, 2])  # stepped alone, by its own timestep
    assert latent_preview(None, torch.zeros(1, 320, 6)) is None
    assert latent_preview(None, None) is None
    first = [spec.name for spec in CATALOGUE.values() if spec.latent_frames_axis == 1]
    assert first == ["cogvideox-2b", "cogvideox-5b"]
