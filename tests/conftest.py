"""Small real pipelines, built in code: nothing is downloaded, nothing is trained."""

import os
from pathlib import Path

import pytest
import torch
from diffusers import (
    AutoencoderKLWan,
    FlowMatchEulerDiscreteScheduler,
    UniPCMultistepScheduler,
    WanPipeline,
)

from bwcache.files import write
from bwcache.models import loading
from bwcache.models.machine import describe_device, versions
from bwcache.tinyworld.text import build_text_encoder, build_tokenizer
from bwcache.tinyworld.transformer import build_transformer
from tests import reliability
from tests.linear_codec import LinearCodec

if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)  # the cores are shared with the other workers


@pytest.fixture
def tried(record_property):
    """Says what a test tried, how often, and how much of it was lost; see `tests.reliability`."""
    return lambda what, times, lost: record_property(reliability.PROPERTY, (what, times, lost))


@pytest.fixture
def ended(record_property):
    """Says how many seconds passed from a signal to the end of the server it was sent to."""
    return lambda seconds: record_property(reliability.SECONDS, seconds)


def pytest_terminal_summary(terminalreporter, config):
    calls = [
        report
        for outcome in ("passed", "failed")
        for report in terminalreporter.getreports(outcome)
        if getattr(report, "when", "") == "call"
    ]
    rows = reliability.table(calls)
    if not rows:
        return
    terminalreporter.section("what was tried, and what was lost")
    for line in reliability.lines(rows):
        terminalreporter.write_line(line)
    ends = reliability.ends(calls)
    if ends is not None:
        terminalreporter.write_line(f"servers stopped by a signal: {ends}")
    if reliability.OUT:
        from bwcache.bench.methods import date_and_commit

        found = {
            "form": "full" if reliability.FULL else "short",
            **date_and_commit(),
            "device": describe_device("cpu"),
            "rows": rows,
            "ends": ends,
            "versions": versions(),
        }
        write(found, Path(reliability.OUT))


SCHEDULERS = {
    "unipc": lambda: UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=2.0
    ),
    "euler": lambda: FlowMatchEulerDiscreteScheduler(shift=2.0),
}


def build_wan(scheduler: str = "unipc", layers: int = 3, long_skips: int = 0) -> WanPipeline:
    """A `WanPipeline` with seeded random weights, a few blocks and TinyWorld's shapes."""
    torch.manual_seed(0)
    codec = LinearCodec()
    pipe = WanPipeline(
        tokenizer=build_tokenizer(),
        text_encoder=build_text_encoder().eval(),
        vae=codec,
        scheduler=SCHEDULERS[scheduler](),
        transformer=build_transformer(
            layers, heads=2, z_dim=codec.config.z_dim, long_skips=long_skips
        ).eval(),
    )
    for block in pipe.transformer.blocks[layers - long_skips :]:
        torch.nn.init.normal_(block.skip_projection.weight, std=0.1)  # they begin as nothing
    pipe.set_progress_bar_config(disable=True)
    return pipe


def run_wan(pipe: WanPipeline, steps: int = 8, seed: int = 0, **changes) -> torch.Tensor:
    """Latents of a small guided run."""
    arguments = {
        "prompt": "a red circle moving right",
        "height": 64,
        "width": 64,
        "num_frames": 17,
        "num_inference_steps": steps,
        "guidance_scale": 3.0,
        "max_sequence_length": 24,
        "output_type": "latent",
        "generator": torch.Generator().manual_seed(seed),
    }
    return pipe(**{**arguments, **changes}).frames


def again(pipe: WanPipeline) -> WanPipeline:
    """A pipeline of the same components that has never run."""
    new = WanPipeline(**pipe.components)
    new.set_progress_bar_config(disable=True)
    return new


@pytest.fixture(scope="session")
def wan() -> WanPipeline:
    return build_wan()


@pytest.fixture
def small_model(monkeypatch, wan):
    """Whatever model is asked for, a new pipeline of this small one's components is what loads."""
    loading.unload_all()
    monkeypatch.setattr(loading, "build", lambda *_: again(wan))
    yield
    loading.unload_all()


@pytest.fixture(scope="session")
def repository(tmp_path_factory):
    """A Wan pipeline of a few thousand weights on disk: every component as the real one's."""
    torch.manual_seed(0)
    pipe = WanPipeline(
        tokenizer=build_tokenizer(),
        text_encoder=build_text_encoder(),
        vae=AutoencoderKLWan(
            base_dim=8,
            z_dim=32,
            dim_mult=[1, 1, 1, 1],
            num_res_blocks=1,
            temperal_downsample=[False, True, True],
            latents_mean=[0.0] * 32,
            latents_std=[1.0] * 32,
        ),
        scheduler=SCHEDULERS["unipc"](),
        transformer=build_transformer(layers=2, heads=2, z_dim=32),
    )
    folder = tmp_path_factory.mktemp("hub") / "tiny-wan"
    pipe.save_pretrained(folder)
    return folder
