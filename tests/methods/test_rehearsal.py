"""How far each call moves the latents in the end, as a scheduler's own steps say."""

import threading
from itertools import pairwise

import pytest
import torch
from diffusers import (
    CogVideoXDDIMScheduler,
    CogVideoXDPMScheduler,
    DDIMScheduler,
    DDPMScheduler,
    DEISMultistepScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FlowMatchHeunDiscreteScheduler,
    PNDMScheduler,
    SASolverScheduler,
    UniPCMultistepScheduler,
)

from bwcache.cache import rehearsal
from bwcache.cache.noise import cpu_state
from bwcache.cache.prediction import UNKNOWN, prediction_of
from bwcache.cache.rehearsal import Rehearsal

FLOW = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": 3.0}
VELOCITY = {"prediction_type": "v_prediction"}
SAMPLE = {"prediction_type": "sample"}
FULL = {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
SCHEDULERS = {
    "euler": FlowMatchEulerDiscreteScheduler(shift=3.0),
    "reversed": FlowMatchEulerDiscreteScheduler(invert_sigmas=True),
    "unipc": UniPCMultistepScheduler(**FLOW),
    "unipc, no corrector": UniPCMultistepScheduler(**FLOW, disable_corrector=list(range(12))),
    "unipc, order 3": UniPCMultistepScheduler(**FLOW, solver_order=3),
    "unipc, v": UniPCMultistepScheduler(**VELOCITY),
    "unipc, sample": UniPCMultistepScheduler(**SAMPLE),
    "dpm++": DPMSolverMultistepScheduler(**FLOW),
    "dpm++, order 3": DPMSolverMultistepScheduler(**FLOW, solver_order=3),
    "deis": DEISMultistepScheduler(**FLOW),
    "cogvideox": CogVideoXDDIMScheduler(**VELOCITY, **FULL),
    "ddim": DDIMScheduler(**VELOCITY, clip_sample=False),
    "euler, v": EulerDiscreteScheduler(**VELOCITY),
}
EXACT = ("euler", "reversed", "cogvideox", "ddim")


def set_to(scheduler, steps: int = 12):
    scheduler.set_timesteps(steps)
    return prediction_of(scheduler, len(scheduler.timesteps))


def end_of(scheduler, prediction, velocities, first: int = 0) -> float:
    """Where latents end that begin at 0, with these velocities, whatever the latents are."""
    x = torch.zeros(1, 1, 1, 1, 1)
    for step, timestep in enumerate(scheduler.timesteps[first:]):
        scaled = hasattr(scheduler, "scale_model_input")
        seen = scheduler.scale_model_input(x, timestep) if scaled else x
        velocity = torch.full_like(x, velocities[step])
        output = prediction.output_of(step, velocity, seen)
        x = scheduler.step(output, timestep, x, return_dict=False)[0]
    return float(x)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_run_ends_where_the_moves_of_its_velocities_add_up(name):
    scheduler = SCHEDULERS[name]
    prediction = set_to(scheduler)
    moves = Rehearsal(scheduler, 12, prediction).moves
    velocities = torch.randn(12, generator=torch.Generator().manual_seed(1)).tolist()
    ends = end_of(scheduler, prediction, velocities)
    added = -sum(move * velocity for move, velocity in zip(moves, velocities, strict=True))
    assert ends == pytest.approx(added, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("name", EXACT)
def test_with_eulers_and_ddims_steps_it_is_the_share_of_noise_that_goes(name):
    scheduler = SCHEDULERS[name]
    prediction = set_to(scheduler, 10)
    shares = [*prediction.shares, 0.0]
    goes = [here - later for here, later in pairwise(shares)]
    moves = Rehearsal(scheduler, 10, prediction).moves
    assert moves == pytest.approx(goes, rel=1e-3, abs=1e-5)


def test_unipcs_second_last_step_moves_them_twice_as_far():
    """Its last one is of first order, and takes nothing back."""
    scheduler = SCHEDULERS["unipc"]
    prediction = set_to(scheduler, 30)
    shares, moves = prediction.shares, Rehearsal(scheduler, 30, prediction).moves
    assert 1.8 < moves[28] / (shares[28] - shares[29]) < 2
    assert moves[29] == pytest.approx(shares[29], rel=1e-3)
    assert all(0.9 < moves[i] / (shares[i] - shares[i + 1]) < 1.1 for i in range(2, 20))


@pytest.mark.parametrize("name", ["euler", "unipc", "cogvideox"])
def test_a_run_that_begins_later(name):
    """As where a video is given to start from (`strength`)."""
    scheduler = SCHEDULERS[name]
    scheduler.set_timesteps(12)
    prediction = prediction_of(scheduler, 5)
    moves = Rehearsal(scheduler, 5, prediction).moves
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(7)
    velocities = [3.0, -1.0, 2.0, 0.5, -4.0]
    ends = end_of(scheduler, prediction, velocities, first=7)
    added = -sum(move * velocity for move, velocity in zip(moves, velocities, strict=True))
    assert ends == pytest.approx(added, rel=1e-3)
    if hasattr(scheduler, "set_begin_index"):
        scheduler._begin_index = None


def test_what_is_asked_before_the_first_step_holds_for_the_run():
    """A second transformer that is called first in the midst of a run finds the answer there."""
    scheduler = SCHEDULERS["unipc"]
    prediction = set_to(scheduler)
    asked, late = (Rehearsal(scheduler, 12, prediction) for _ in range(2))
    moves = asked.moves
    end_of(scheduler, prediction, [1.0] * 12)
    assert asked.moves == moves != ()
    assert late.moves == ()  # what a solver remembers by then would be in it


def test_a_scheduler_that_has_looked_up_its_first_step_has_not_begun():
    scheduler = SCHEDULERS["euler, v"]
    prediction = set_to(scheduler)
    moves = Rehearsal(scheduler, 12, prediction).moves
    scheduler.scale_model_input(torch.zeros(1), scheduler.timesteps[0])
    assert scheduler.step_index == 0
    assert Rehearsal(scheduler, 12, prediction).moves == moves != ()


def test_what_is_known_is_not_asked_again(monkeypatch):
    asked = []

    class CountingFlowMatch(FlowMatchEulerDiscreteScheduler):
        def step(self, *args, **kwargs):
            asked.append(self)
            return super().step(*args, **kwargs)

    scheduler = CountingFlowMatch(shift=3.0)
    prediction = set_to(scheduler)
    assert Rehearsal(scheduler, 12, prediction).moves == Rehearsal(scheduler, 12, prediction).moves
    assert len(asked) == 12
    other = CountingFlowMatch(shift=2.0)  # another grid is another rehearsal
    assert Rehearsal(other, 12, set_to(other)).moves != Rehearsal(scheduler, 12, prediction).moves
    assert len(asked) == 24
    monkeypatch.setattr(rehearsal, "MOST_KNOWN", 1)
    moves = Rehearsal(scheduler, 12, prediction).moves
    Rehearsal(scheduler, 7, set_to(scheduler, 7)).moves  # noqa: B018
    assert len(rehearsal._known) == 1
    assert Rehearsal(scheduler, 12, set_to(scheduler)).moves == moves


UNKNOWN_MOVES = {
    "a level that repeats": FlowMatchHeunDiscreteScheduler(),
    "and here": PNDMScheduler(**VELOCITY, skip_prk_steps=True),
    "noise": DDPMScheduler(**VELOCITY),
    "noise of Euler's": EulerAncestralDiscreteScheduler(**VELOCITY),
    "noise of a solver": DPMSolverMultistepScheduler(**FLOW, algorithm_type="sde-dpmsolver++"),
    "and of another": SASolverScheduler(**FLOW),
    "the noise is predicted": DDIMScheduler(),
    "it asks for more": CogVideoXDPMScheduler(**VELOCITY),
}


@pytest.mark.parametrize("name", UNKNOWN_MOVES)
def test_where_nothing_can_be_said(name):
    scheduler = UNKNOWN_MOVES[name]
    assert Rehearsal(scheduler, 0, UNKNOWN).moves == ()
    prediction = set_to(scheduler)
    assert prediction.kind != "unknown"
    assert Rehearsal(scheduler, len(scheduler.timesteps), prediction).moves == ()


@pytest.mark.parametrize("name", ["unipc", "sde"])
def test_the_pipelines_own_scheduler_and_noise_are_left_as_they_were(name):
    sde = DPMSolverMultistepScheduler(**FLOW, algorithm_type="sde-dpmsolver++")
    scheduler = sde if name == "sde" else SCHEDULERS["unipc"]
    prediction = set_to(scheduler)

    def refuse(*args, **kwargs):
        raise AssertionError("the pipeline's own was asked")

    scheduler.step = refuse
    try:
        before, drawn = dict(vars(scheduler)), cpu_state().clone()
        sigmas = scheduler.sigmas.clone()
        found = Rehearsal(scheduler, 12, prediction).moves
        assert bool(found) == (name == "unipc")
        assert vars(scheduler).keys() == before.keys()
        assert all(vars(scheduler)[key] is before[key] for key in before)
        assert torch.equal(scheduler.sigmas, sigmas)
        assert torch.equal(cpu_state(), drawn)
    finally:
        del scheduler.step


def test_a_scheduler_of_somebodys_own_that_fails_is_said_nothing_of():
    class FailingFlowMatch(FlowMatchEulerDiscreteScheduler):
        def step(self, *args, **kwargs):
            raise KeyError("its own")

    scheduler = FailingFlowMatch()
    assert Rehearsal(scheduler, 12, set_to(scheduler)).moves == ()
    scheduler = FlowMatchEulerDiscreteScheduler()
    prediction = set_to(scheduler)
    scheduler.mine = threading.Lock()  # which cannot be copied
    assert Rehearsal(scheduler, 12, prediction).moves == ()


def test_the_default_device_does_not_matter():
    scheduler = SCHEDULERS["unipc"]
    prediction = set_to(scheduler, 9)
    moves = Rehearsal(scheduler, 9, prediction).moves
    rehearsal._known.clear()
    with torch.device("meta"):
        assert Rehearsal(scheduler, 9, prediction).moves == moves
    assert len(moves) == 9
