"""The loader of real Wan models, on a small repository laid out alike."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from diffusers import WanPipeline
from safetensors.torch import load_file

from bwcache import BWCacheConfig, models
from bwcache.models import ModelError, loading
from bwcache.models.from_folder import assemble
from bwcache.runs.compare import compare
from bwcache.runs.request import Request

SPEC = models.find("wan2.1-t2v-1.3b")


def tiny(repository, **changes):
    weights = replace(SPEC.weights, source=str(repository))
    shape = replace(SPEC.shape, height=32, width=32, num_frames=5)
    return replace(SPEC, weights=weights, needs_cuda=False, shape=shape, **changes)


def test_components_arrive_in_the_published_types(repository):
    pipe = assemble(SPEC, repository)
    assert isinstance(pipe, WanPipeline)
    assert pipe.vae.dtype == torch.float32
    assert pipe.transformer.dtype == pipe.text_encoder.dtype == torch.bfloat16
    assert pipe.scheduler.config.flow_shift == SPEC.scheduler_options["flow_shift"]


def test_a_comparison_goes_through(repository, monkeypatch):
    spec = tiny(repository)
    monkeypatch.setattr(models, "CATALOGUE", {spec.name: spec})
    request = Request("a cat", spec.name, steps=5, config=BWCacheConfig(1e6, 1))
    *steps, last = compare(request, device="cpu")
    assert last.summary.steps_reused == 2
    assert last.runs[0].frames.shape == (5, 32, 32, 3)
    assert steps[4].preview


def test_a_missing_or_damaged_repository_is_one_clear_line(repository, tmp_path):
    damaged = tmp_path / "damaged"
    assemble(SPEC, repository).save_pretrained(damaged)
    next((damaged / "transformer").glob("*.safetensors")).write_bytes(b"not weights")
    for source in (tmp_path / "nowhere", damaged):
        with pytest.raises(ModelError, match="could not be loaded") as caught:
            assemble(SPEC, source)
        assert "\n" not in str(caught.value)
        assert "tinyworld" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("_class_name", ["pipeline", "MyPipeline"], "the pipeline is"),
        ("_class_name", "CogVideoXPipeline", "the pipeline is CogVideoXPipeline, not WanPipeline"),
        ("transformer", ["my_blocks", "Transformer"], "component transformer is my_blocks.Tra"),
        ("vae", ["AutoencoderKLWan", "pipelines"], "component vae is AutoencoderKLWan.pipelines"),
    ],
)
def test_a_repository_that_brings_its_own_code_is_refused(repository, tmp_path, name, value, said):
    foreign = tmp_path / "foreign"
    shutil.copytree(repository, foreign)
    index = json.loads((foreign / "model_index.json").read_text())
    (foreign / "model_index.json").write_text(json.dumps(index | {name: value}))
    (foreign / "transformer" / "my_blocks.py").write_text("raise SystemExit('it ran')")
    with pytest.raises(ModelError, match="asks for code that is not run here") as caught:
        assemble(SPEC, foreign)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_pickled_weights_are_not_read(repository, tmp_path):
    pickled = tmp_path / "pickled"
    shutil.copytree(repository, pickled)
    weights = next((pickled / "transformer").glob("*.safetensors"))
    torch.save(load_file(weights), weights.with_suffix(".bin"))
    weights.unlink()
    with pytest.raises(ModelError, match="could not be loaded"):
        assemble(SPEC, pickled)


def test_without_cuda_it_is_neither_offered_nor_loaded():
    assert SPEC.needs_cuda
    with pytest.raises(ModelError, match="needs a CUDA GPU"):
        loading.load(SPEC.name, "cpu")
