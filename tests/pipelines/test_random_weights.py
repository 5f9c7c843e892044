"""Catalogue models with random weights: the real architectures, seeded, without a download."""

import json
from dataclasses import replace

import pytest
import torch

from bwcache import BWCacheConfig, models
from bwcache.bench.narrow import narrowed
from bwcache.cli import main
from bwcache.files import ASSETS
from bwcache.models import ModelError, loading
from bwcache.models import random_weights as catalogue_weights
from bwcache.models.call import call_arguments
from bwcache.models.catalogue import CATALOGUE
from bwcache.runs.compare import compare
from bwcache.runs.request import Request
from bwcache.tinyworld import random_weights

PROMPT = "a red circle moving right on a white background"
WAN = models.find("wan2.1-t2v-1.3b")
NAMES = [name for name, spec in CATALOGUE.items() if spec.weights.on_hub]


@pytest.fixture(autouse=True)
def _nothing_kept():
    loading.unload_all()
    yield
    loading.unload_all()  # what was built from a changed entry must not outlive the change


def test_tinyworld_is_the_real_architecture():
    spec = models.find("tinyworld")
    folder = ASSETS / spec.weights.source / "transformer" / "config.json"
    real = json.loads(folder.read_text())
    pipe = loading.load("tinyworld", "cpu", random_weights=True)
    built = json.loads(json.dumps(dict(pipe.transformer.config)))
    assert {key: built[key] for key in real if key[0] != "_"} == {
        key: value for key, value in real.items() if key[0] != "_"
    }
    assert pipe.scheduler.config.flow_shift == spec.scheduler_options["flow_shift"]


def test_the_weights_are_the_same_every_time_and_the_caller_keeps_its_own_numbers():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, other = (random_weights.build("cpu") for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    for part in ("transformer", "text_encoder", "vae"):
        states = [getattr(pipe, part).state_dict() for pipe in (one, other)]
        assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_a_comparison_says_that_the_weights_are_random():
    request = Request(PROMPT, steps=5, config=BWCacheConfig(1e6, 1), random_weights=True)
    *_, last = compare(request, device="cpu")
    assert last.summary.random_weights is True
    assert last.summary.steps_reused == 2
    assert last.runs[0].frames.shape == (33, 128, 128, 3)
    assert last.runs[0].frames.std() > 0.01
    assert request.baseline_key != replace(request, random_weights=False).baseline_key


def test_the_command_line_builds_them(tmp_path, capsys):
    given = ["--prompt", PROMPT, "--random-weights", "--steps", "2", "--device", "cpu"]
    assert main(["compare", *given, "--out", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["random_weights"] is True


def numbers(transformer) -> float:
    """Billions of parameters."""
    return sum(weight.numel() for weight in transformer.parameters()) / 1e9


@pytest.mark.parametrize("name", NAMES)
def test_every_transformer_and_autoencoder_has_the_published_size(name):
    spec = CATALOGUE[name]
    for component, part in spec.parts.items():
        if component.startswith(("transformer", "vae")):
            with torch.device("meta"):
                made = catalogue_weights.make(part)
            published = spec.weights.parameters[component]
            assert numbers(made) == pytest.approx(published, rel=0.02), component


def test_wan_as_published():
    """The 1.3B model differs from diffusers' defaults (the 14B model) in its size only."""
    with torch.device("meta"):
        transformer = catalogue_weights.make(WAN.parts["transformer"])
    assert sum(weight.numel() for weight in transformer.parameters()) == 1_418_996_800
    changed = {"num_attention_heads", "ffn_dim", "num_layers"}
    assert set(WAN.parts["transformer"].config) == changed


@pytest.mark.parametrize("name", NAMES)
def test_every_entry_runs_with_text_of_the_published_width(name):
    """Narrow transformer and autoencoder, but the entry's own stand-ins for its text encoders."""
    spec = narrowed(CATALOGUE[name], text=False)
    pipe = catalogue_weights.build(spec, "cpu")
    pipe.set_progress_bar_config(disable=True)
    for component, part in CATALOGUE[name].parts.items():
        if component.startswith("text_encoder"):
            widths = {part.config.get(width) for width in ("d_model", "hidden_size")}
            config = getattr(pipe, component).config
            assert getattr(config, "d_model", config.hidden_size) in widths
    frames = pipe(**call_arguments(spec, "a cat", 0, 2)).frames[0]
    assert frames.shape == (spec.shape.num_frames, spec.shape.height, spec.shape.width, 3)
    assert torch.isfinite(torch.from_numpy(frames)).all()


def test_wan_is_built_on_any_machine_but_not_offered(monkeypatch):
    assert WAN.needs_cuda
    spec = replace(narrowed(WAN, text=False), needs_cuda=True)
    monkeypatch.setattr(models, "CATALOGUE", {spec.name: spec})
    pipe = loading.load(spec.name, "cpu", random_weights=True)
    names = {
        name for name, weight in pipe.transformer.named_parameters() if weight.dtype.itemsize == 4
    }
    assert "scale_shift_table" in names
    assert "blocks.0.norm2.weight" in names
    assert "blocks.0.attn1.to_q.weight" not in names
    assert pipe.transformer.dtype == pipe.text_encoder.dtype == torch.bfloat16
    assert pipe.vae.dtype == torch.float32
    assert pipe.text_encoder.config.d_model == 4096
    assert pipe.scheduler.config.flow_shift == WAN.scheduler_options["flow_shift"]
    assert torch.get_default_dtype() == torch.float32
    again = catalogue_weights.build(spec, "cpu")
    for one, other in zip(
        pipe.transformer.parameters(), again.transformer.parameters(), strict=True
    ):
        assert torch.equal(one, other)
    request = Request("a cat", spec.name, steps=2, random_weights=True)
    *_, last = compare(request, device="cpu")
    assert last.runs[0].frames.shape == (5, 32, 32, 3)


def test_a_model_without_random_weights_says_so(monkeypatch):
    spec = replace(WAN, name="fixed", random_builder=None)
    monkeypatch.setattr(models, "CATALOGUE", {spec.name: spec})
    with pytest.raises(ModelError, match="no random-weight version"):
        loading.load(spec.name, "cpu", random_weights=True)
    with pytest.raises(ModelError, match="needs a CUDA GPU"):
        loading.load(spec.name, "cpu")
