"""The examples run, and the plain loop is the method."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from PIL import Image

from bwcache import BWCacheConfig, cached, predict
from bwcache.cache.block_stacks import BlockStack
from tests.pipelines.test_rows import ROWS
from tests.toy import ToyPipeline

FOLDER = Path(__file__).parents[2] / "examples"


def example(name: str):
    """An example, imported from its file."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("threshold", [0.0, 0.07, 0.08, 0.095, 9.0])
@pytest.mark.parametrize(("interval", "tail"), [(1, 0.5), (2, 0.5), (3, 1.0), (2, 0.0)])
def test_the_plain_loop_is_the_method(threshold, interval, tail):
    loop = example("the_method_in_a_loop")
    torch.manual_seed(0)
    model, start = loop.Model().eval(), torch.randn(1, 64, 4)
    model.head.weight.data.mul_(-8)  # now the change falls before it rises: 0.10, 0.07, 0.09
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    found, schedule = loop.denoise(model, scheduler, start, 20, threshold, interval, tail)
    pipe = SimpleNamespace(
        transformer=model,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        device=torch.device("cpu"),
    )
    config = BWCacheConfig(threshold, interval, tail, indicator_tokens=None)
    where = BlockStack(("blocks",), ("src",), "src")
    with cached(pipe, config, blocks=where) as run, torch.no_grad():
        latents = start
        pipe.scheduler.set_timesteps(20)
        for timestep in pipe.scheduler.timesteps:
            latents = pipe.scheduler.step(model(latents), timestep, latents).prev_sample
    assert "".join("C" if a == "compute" else "r" for a in run.trace.schedule) == schedule
    assert torch.equal(latents, found)
    trigger = {0.0: 20, 0.07: 10, 0.08: 7, 0.095: 4, 9.0: 1}[threshold]
    reuses = trigger + 1 < 20 - int(trigger * tail)
    assert schedule[: trigger + 2] == ("C" * (trigger + 1) + ("r" if reuses else "C"))[:20]


def test_a_pipeline_of_ones_own():
    _, trace = example("own_pipeline").run()
    assert trace.num_blocks == 6
    assert trace.steps_reused


def test_image_to_video():
    tiny = ROWS["wan2.1-i2v"]()
    call = {**tiny.arguments, "num_inference_steps": 6}
    image, prompt = call.pop("image", Image.new("RGB", (32, 32))), call.pop("prompt", "")
    frames, trace = example("image_to_video").animate(tiny.pipe, image, prompt, 1e6, **call)
    assert torch.isfinite(tiny.read(SimpleNamespace(frames=frames))).all()
    assert trace.steps_reused


def test_a_method_of_ones_own():
    module = example("own_method")
    frames, trace = module.run(steps=12)
    assert frames.shape[1:] == (33, 128, 128, 3)
    assert trace.schedule[:4] == ["compute"] * 4
    assert trace.method == "growing_stretches"
    config = module.GrowingStretches()
    state = config.begin(SimpleNamespace(num_steps=30))
    assert state == (0, 1, 2, 3, 4, 5, 7, 10, 13, 18, 24)
    pipe = ToyPipeline()
    with cached(pipe, BWCacheConfig(0.0)) as run:
        pipe(30)
    assert predict(run.trace, config).steps_reused == 30 - len(state)


@pytest.mark.parametrize("name", ["the_method_in_a_loop", "own_pipeline"])
def test_each_runs_as_a_script(name):
    done = subprocess.run(
        [sys.executable, str(FOLDER / f"{name}.py")],
        check=True,
        capture_output=True,
        text=True,
        cwd=FOLDER.parent,
        env={"PYTHONPATH": str(FOLDER.parent), "PATH": "/usr/bin:/bin"},
    )
    assert set(done.stdout.strip()) == {"C", "r"}


def test_a_server():
    module = example("server")
    served = list(module.serve(list(module.SPEC.examples[:2])))
    assert [trace.num_steps for _, trace in served] == [30, 30]
    assert all(trace.steps_reused for _, trace in served)
    with cached(module.load(module.SPEC.name, "cpu")) as run:  # nothing is left enabled
        assert run.traces == []


def test_what_stays_enabled_need_not_grow():
    pipe = ToyPipeline()
    with cached(pipe, BWCacheConfig(0.0)) as run:
        for steps in (3, 4, 5):
            pipe(steps)
            run.clear()
            assert [trace.num_steps for trace in run.traces] == [steps]
