"""Every entry's pipeline at tiny size, from the entry itself, through loader and comparison."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from sentencepiece import SentencePieceTrainer
from transformers import T5Tokenizer

from bwcache import BWCacheConfig, BWCachePlusConfig, ConfigError, models
from bwcache.bench.narrow import narrowed
from bwcache.cache.methods.flowcache import FlowCacheConfig
from bwcache.cli import main
from bwcache.models import loading, random_weights
from bwcache.models.call import call_arguments, with_image
from bwcache.models.catalogue import CATALOGUE
from bwcache.models.from_folder import assemble
from bwcache.models.spec import ModelSpec
from bwcache.runs.compare import compare
from bwcache.runs.controls import CONTROLS
from bwcache.runs.events import ComparisonFinished, StepDone
from bwcache.runs.request import Request
from tests.pipelines.parts import picture
from tests.pipelines.test_works_with import model_offload, sequential_offload

NAMES = [name for name, spec in CATALOGUE.items() if spec.weights.on_hub]
PICTURED = [name for name in NAMES if CATALOGUE[name].image != "none"]
PROMPT = "a red circle moving right"
REUSING = BWCacheConfig(1e6, 1)
# The second expert begins where the noise is low, and measures afresh: a step later or two.
SCHEDULES = dict.fromkeys(NAMES, "ccrcrc") | {
    "wan2.2-t2v-a14b": "ccccrc",
    "wan2.2-i2v-a14b": "ccccrc",
}
PACKED = ("ltx-video",)  # latents without a picture's shape


@pytest.fixture(autouse=True)
def _nothing_kept():
    loading.unload_all()
    yield
    loading.unload_all()


@pytest.fixture
def on_disk(tmp_path_factory, monkeypatch):
    """Gives an entry whose narrow pipeline lies in a folder, as one fetched from the hub does."""

    def saved(name: str) -> ModelSpec:
        folder = tmp_path_factory.mktemp("hub") / name
        spec = narrowed(CATALOGUE[name])
        random_weights.build(spec, "cpu").save_pretrained(folder)
        spec = replace(spec, weights=replace(spec.weights, source=str(folder)), parts={})
        monkeypatch.setattr(models, "CATALOGUE", {name: spec})
        return spec

    return saved


def png(side: int = 48, seed: int = 0) -> bytes:
    buffer = io.BytesIO()
    picture(seed, side).save(buffer, "PNG")
    return buffer.getvalue()


def finish(name: str, **changes) -> tuple[list[StepDone], ComparisonFinished]:
    given = {"prompt": PROMPT, "model": name, "steps": 6, "config": REUSING, **changes}
    *events, last = compare(Request(**given), device="cpu")
    return [event for event in events if isinstance(event, StepDone)], last


def image_for(name: str) -> bytes | None:
    return png() if name in PICTURED else None


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_goes_through_the_loader_and_a_comparison(name, on_disk):
    spec = on_disk(name)
    steps, last = finish(name, image=image_for(name))
    baseline, cached = ([s for s in steps if s.run == run] for run in ("baseline", "cached"))
    assert {step.record.action for step in baseline} == {"compute"}
    assert "".join(step.record.action[0] for step in cached) == SCHEDULES[name]
    assert last.summary.steps_reused == SCHEDULES[name].count("r")
    assert not last.summary.identical
    shape = (spec.shape.num_frames, spec.shape.height, spec.shape.width, 3)
    assert all(run.frames.shape == shape for run in last.runs)
    assert all(0 <= run.frames.min() < run.frames.max() <= 1 for run in last.runs)
    assert all((step.preview is None) == (name in PACKED) for step in steps)
    assert last.trace_file.baseline.branches == (2 if spec.branches == "calls" else 1)


def test_a_method_of_chunks_goes_through_a_comparison(on_disk):
    """Two latent frames, a chunk each: warmed up, then both are reused."""
    spec = on_disk("skyreels-v2-df-1.3b")
    config = FlowCacheConfig(1e6, 1, warm_up_steps=2)
    steps, last = finish(spec.name, config=config)
    assert "".join(step.record.action[0] for step in steps if step.run == "cached") == "ccrrrr"
    assert last.summary.compute_share == pytest.approx(2 / 6)
    assert not last.summary.identical


@pytest.mark.parametrize("kind", CONTROLS)
def test_frames_with_timesteps_of_their_own_have_every_control(kind, on_disk):
    spec = on_disk("skyreels-v2-df-1.3b")
    _, last = finish(spec.name, config=BWCachePlusConfig(work_share=0.5), control=kind)
    computed = [step.timestep for step in last.runs[1].trace.steps if step.action == "compute"]
    made = [step.timestep for step in last.runs[2].trace.steps]
    assert len(made) == len(computed) == 3
    assert (made == computed) is (kind == "same-levels")
    assert last.summary.as_dict()["control_kind"] == kind


@pytest.mark.parametrize("name", NAMES)
def test_the_loader_gives_each_component_what_the_entry_says(name, on_disk):
    spec = on_disk(name)
    pipe = assemble(spec, Path(spec.weights.source))
    assert type(pipe).__name__ == spec.pipeline
    assert type(pipe.scheduler).__name__ == spec.scheduler
    config = dict(pipe.scheduler.config)
    assert {key: config[key] for key in spec.scheduler_options} == dict(spec.scheduler_options)
    for component in spec.weights.parameters:
        dtype = spec.weights.dtype(component)
        assert getattr(pipe, component).dtype == getattr(torch, dtype), component
    assert getattr(pipe.vae, "use_tiling", False) is spec.vae_tiling
    assert all(pipe.config[key] == value for key, value in spec.pipeline_options.items())


@pytest.mark.parametrize("name", PICTURED)
def test_a_picture_changes_the_video(name, on_disk):
    spec = on_disk(name)
    frames = [finish(name, image=png(seed=seed))[1].runs[0].frames for seed in (0, 1, 1)]
    assert (frames[0] != frames[1]).any()
    assert (frames[1] == frames[2]).all()
    if spec.image == "optional":
        assert finish(name)[1].runs[0].frames.shape == frames[0].shape


def test_pictures_are_made_by_a_pipeline_of_the_same_components():
    spec = narrowed(CATALOGUE["wan2.2-ti2v-5b"])
    pipe = random_weights.build(spec, "cpu")
    pictured = with_image(pipe, spec)
    assert type(pictured).__name__ == spec.image_pipeline
    assert with_image(pipe, spec) is pictured
    assert all(getattr(pictured, name) is part for name, part in pipe.components.items())
    assert pictured.transformer.dtype == torch.bfloat16
    assert pictured.config.expand_timesteps is True
    own = narrowed(CATALOGUE["wan2.2-i2v-a14b"])
    pipe = random_weights.build(own, "cpu")
    assert with_image(pipe, own) is pipe


@pytest.mark.parametrize("offload", [model_offload, sequential_offload])
def test_pictures_and_offloading(offload):
    """Both pipelines have the same components in turn, wherever those are kept."""
    spec = narrowed(CATALOGUE["wan2.2-ti2v-5b"])

    def videos(pipe) -> list[torch.Tensor]:
        runs = [(pipe, None), (with_image(pipe, spec), png())] * 2
        call = [(one, call_arguments(spec, PROMPT, 0, 2, image)) for one, image in runs]
        return [one(**{**given, "output_type": "latent"}).frames for one, given in call]

    offloaded = random_weights.build(spec, "cpu")
    offload(offloaded)
    here = videos(random_weights.build(spec, "cpu"))
    assert all(map(torch.equal, here, videos(offloaded)))
    assert torch.equal(here[1], here[3])
    assert not torch.equal(here[0], here[1])


def test_a_picture_where_none_is_taken_or_none_where_one_is_needed():
    for name in NAMES:
        spec = CATALOGUE[name]
        if spec.image == "none":
            with pytest.raises(ConfigError, match=f"^image: got .*none for {name}, or one of wan"):
                models.check_image(spec, png())
        else:
            models.check_image(spec, png())
        if spec.image == "required":
            with pytest.raises(ConfigError, match=f"^image: got None.*{name} starts from"):
                models.check_image(spec, None)
        else:
            models.check_image(spec, None)


def test_a_tokenizer_published_as_a_sentencepiece_model_alone_is_read(tmp_path):
    """As CogVideoX, LTX, Mochi, Latte and Allegro publish T5's."""
    lines = (f"the quick brown fox {n} jumps over lazy dog number {7 * n}" for n in range(500))
    SentencePieceTrainer.train(
        sentence_iterator=lines,
        model_prefix=str(tmp_path / "spiece"),
        vocab_size=100,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "T5Tokenizer"}')
    tokenizer = T5Tokenizer.from_pretrained(tmp_path)
    tokens = tokenizer("the lazy fox").input_ids
    assert tokens[-1] == 1
    assert tokenizer.decode(tokens, skip_special_tokens=True) == "the lazy fox"


def test_compare_from_the_command_line_with_a_picture(on_disk, tmp_path, capsys):
    name = "wan2.2-i2v-a14b"
    on_disk(name)
    file, out = tmp_path / "start.jpg", tmp_path / "out"
    Image.open(io.BytesIO(png())).save(file)
    given = ["compare", "--model", name, "--prompt", PROMPT, "--out", str(out), "--steps", "3"]
    given += ["--device", "cpu", "--threshold", "0"]
    assert main([*given, "--image", str(file)]) == 0
    assert (out / "cached.mp4").exists()
    capsys.readouterr()
    for wrong in ([], ["--image", str(tmp_path / "nowhere.png")], ["--image", __file__]):
        assert main([*given[:6], str(tmp_path / "none"), *given[7:], *wrong]) == 2
        error = capsys.readouterr().err
        assert "image: got" in error
        assert error.count("\n") == 1
    assert not (tmp_path / "none").exists()
