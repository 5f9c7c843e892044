"""Control runs: the very noise levels, a larger shift, and what is refused."""

from copy import deepcopy
from types import SimpleNamespace

import diffusers
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    FlowMatchEulerDiscreteScheduler,
    FlowMatchHeunDiscreteScheduler,
    UniPCMultistepScheduler,
)

from bwcache import BWCachePlusConfig, ConfigError, cached
from bwcache.cache.lanes import sharing
from bwcache.cache.trace import StepRecord, Trace, TraceFile
from bwcache.cli import main
from bwcache.models import CATALOGUE
from bwcache.runs.compare import compare
from bwcache.runs.controls import CONTROLS, Controlled, OnLevels, check_control_on, with_shift
from bwcache.runs.events import ComparisonFinished, RunStarted
from bwcache.runs.request import Request
from tests.conftest import build_wan, run_wan

UNIPC = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": 2.0}


@pytest.mark.parametrize(
    "scheduler", [UniPCMultistepScheduler(**UNIPC), FlowMatchEulerDiscreteScheduler(shift=2.0)]
)
def test_a_scheduler_leaves_steps_out(scheduler):
    scheduler.set_timesteps(10)
    sigmas, timesteps = scheduler.sigmas.clone(), scheduler.timesteps.clone()
    some = OnLevels(scheduler)
    with some.inside():
        scheduler.set_timesteps(10)
        assert torch.equal(scheduler.sigmas, sigmas)
        some.steps = [0, 1, 4, 9]
        scheduler.set_timesteps(10)
        assert torch.equal(scheduler.sigmas, sigmas[[0, 1, 4, 9, 10]])
        assert torch.equal(scheduler.timesteps, timesteps[[0, 1, 4, 9]])
    scheduler.set_timesteps(10)
    assert len(scheduler.timesteps) == 10


def test_a_copy_leaves_out_its_own_steps():
    """Pipelines whose frames have timesteps of their own copy their scheduler for each."""
    scheduler = UniPCMultistepScheduler(**UNIPC)
    some = OnLevels(scheduler)
    some.steps = [0, 1, 4, 9]
    with some.inside():
        scheduler.set_timesteps(10)
        copied = deepcopy(scheduler)
        copied.set_timesteps(10)
        assert len(copied.timesteps) == len(scheduler.timesteps) == 4
        assert torch.equal(copied.sigmas, scheduler.sigmas)


def test_a_larger_shift_is_a_scheduler_of_its_own():
    scheduler = UniPCMultistepScheduler(**UNIPC)
    larger = with_shift(scheduler)
    assert (scheduler.config.flow_shift, larger.config.flow_shift) == (2.0, 5.0)
    assert with_shift(FlowMatchEulerDiscreteScheduler(shift=3.0), 9.0).config.shift == 9.0


def test_what_a_scheduler_cannot_do_is_refused():
    with pytest.raises(ConfigError, match="same-levels"):
        OnLevels(DDIMScheduler())
    with pytest.raises(ConfigError, match="same-levels"):
        OnLevels(FlowMatchHeunDiscreteScheduler())
    with pytest.raises(ConfigError, match="shift"):
        with_shift(DDIMScheduler())
    dynamic = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)
    with pytest.raises(ConfigError, match="shift"):
        with_shift(dynamic)
    with pytest.raises(ConfigError, match="^control: "):
        Request("a red circle", control="more")


@pytest.mark.parametrize("command", [["compare"], ["record", "--title", "A title"]])
def test_the_command_line_refuses_before_a_model_is_loaded(command, tmp_path, capsys):
    given = ["--prompt", "a fox", "--model", "latte-1", "--control", "shift"]
    out = tmp_path / "out"
    assert main([*command, *given, "--out", str(out)]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "control: got 'shift'; allowed is fewer, since this model's scheduler has no" in line
    assert not out.exists()


CANNOT = {  # by the schedulers that the catalogue names
    "latte-1": ("same-levels", "shift"),
    "cogvideox-2b": ("same-levels", "shift"),
    "cogvideox-5b": ("same-levels", "shift"),
    "ltx-video": ("shift",),
    "allegro": ("shift",),
}


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_model_is_asked_by_its_entry_before_it_is_loaded(name):
    """What is refused then is what the scheduler itself refuses."""
    spec = CATALOGUE[name]
    check_control_on(spec, None)
    for kind in CONTROLS:
        scheduler = getattr(diffusers, spec.scheduler)(**spec.scheduler_options)
        if kind in CANNOT.get(name, ()):
            with pytest.raises(ConfigError, match=f"^control: got '{kind}'; allowed is fewer"):
                check_control_on(spec, kind)
            with pytest.raises(ConfigError, match=f"^control: got '{kind}'"):
                Controlled(SimpleNamespace(scheduler=scheduler), kind)
        else:
            check_control_on(spec, kind)
            Controlled(SimpleNamespace(scheduler=scheduler), kind)


def test_a_run_that_computes_every_step_is_its_own_control():
    """All of its levels are kept: bit for bit the uncached run."""
    pipe = build_wan()
    plain = run_wan(pipe)
    controlled = Controlled(sharing(pipe), "same-levels")
    steps = tuple(StepRecord(i, "compute", "") for i in range(8))
    asked, made = controlled.steps_to_ask_for(Trace(8, 3, steps=steps), lambda trace: 0)
    with controlled.inside(), cached(controlled.pipe, BWCachePlusConfig(work_share=1.0)):
        assert torch.equal(run_wan(controlled.pipe, steps=asked), plain)
    assert made == 8


@pytest.mark.parametrize("sequential", [False, True])
@pytest.mark.parametrize("kind", CONTROLS)
def test_each_kind_in_a_comparison(small_model, kind, sequential):
    config = BWCachePlusConfig(work_share=0.5)
    request = Request(
        "a red circle moving right",
        steps=8,
        config=config,
        control=True if kind == "fewer" else kind,
        sequential=sequential,
    )
    events = list(compare(request, device="cpu"))
    started = [e.num_steps for e in events if isinstance(e, RunStarted) and e.run == "control"]
    finished = events[-1]
    assert isinstance(finished, ComparisonFinished)
    summary = finished.summary.as_dict()
    assert summary["control_kind"] == kind
    assert finished.trace_file.control_kind == kind
    assert TraceFile.loads(finished.trace_file.dumps()).control_kind == kind
    assert summary["control_steps"] == finished.runs[2].trace.num_steps == 4
    assert started[0] in (4, 8)
    if kind == "same-levels":
        uncached = [step.timestep for step in finished.runs[0].trace.steps]
        kept = [
            uncached[s.step_index] for s in finished.runs[1].trace.steps if s.action == "compute"
        ]
        assert [step.timestep for step in finished.runs[2].trace.steps] == kept
