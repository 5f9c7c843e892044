"""Whole calls that are forecast: exact where paths are straight, by hand, and in memory."""

from types import SimpleNamespace

import pytest
import torch
from diffusers import (
    CogVideoXDDIMScheduler,
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EDMEulerScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FlowMatchHeunDiscreteScheduler,
    UniPCMultistepScheduler,
)

from bwcache import BWCachePlusConfig, cached
from bwcache.cache import call_forecast
from bwcache.cache.call_forecast import DOUBT, CallForecast
from bwcache.cache.prediction import UNKNOWN, Prediction, flow, prediction_of
from tests.methods.one_video import OneVideo, OneVideoPipeline, by_alphas, by_flow, by_sigmas

THIRD = BWCachePlusConfig(work_share=0.35)
FLOW, VELOCITY = "flow_prediction", "v_prediction"
SOLVER = {"prediction_type": FLOW, "use_flow_sigmas": True, "flow_shift": 3.0}
ZERO = {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
EXACT = {
    "euler": (FlowMatchEulerDiscreteScheduler(shift=3.0), FLOW, by_flow),
    "heun": (FlowMatchHeunDiscreteScheduler(shift=3.0), FLOW, by_flow),
    "unipc": (UniPCMultistepScheduler(**SOLVER), FLOW, by_flow),
    "dpm++": (DPMSolverMultistepScheduler(**SOLVER), FLOW, by_flow),
    "cogvideox": (CogVideoXDDIMScheduler(prediction_type=VELOCITY, **ZERO), VELOCITY, by_alphas),
    "ddim": (DDIMScheduler(clip_sample=False), "epsilon", by_alphas),
    "ddim-sample": (
        DDIMScheduler(prediction_type="sample", clip_sample=False),
        "sample",
        by_alphas,
    ),
    "euler-epsilon": (EulerDiscreteScheduler(), "epsilon", by_sigmas),
    "euler-velocity": (EulerDiscreteScheduler(prediction_type=VELOCITY), VELOCITY, by_sigmas),
    "dpm++-epsilon": (DPMSolverMultistepScheduler(), "epsilon", by_sigmas),
    "unipc-epsilon": (UniPCMultistepScheduler(), "epsilon", by_sigmas),
    # these add noise: the clean video is what stays
    "ancestral": (EulerAncestralDiscreteScheduler(), "epsilon", by_sigmas),
    "sde": (DPMSolverMultistepScheduler(algorithm_type="sde-dpmsolver++"), "epsilon", by_sigmas),
}


@pytest.mark.parametrize("name", EXACT)
def test_on_straight_paths_a_forecast_is_the_prediction(name):
    scheduler, kind, mix = EXACT[name]
    pipe = OneVideoPipeline(scheduler, kind, mix)
    plain = pipe(12).frames
    calls, pipe.transformer.calls = pipe.transformer.calls, 0
    with cached(pipe, THIRD) as run:
        found = pipe(12).frames
    assert pipe.transformer.calls == run.trace.steps_computed < 0.5 * calls
    assert run.trace.steps_reused > 0.5 * calls
    assert torch.allclose(found, plain, atol=1e-2), (found - plain).abs().max()
    assert run.trace.adds_noise == (name in ("ancestral", "sde"))
    said = [step.reason for step in run.trace.steps if step.action == "reuse"][-1]
    assert ("since the scheduler adds noise" in said) == run.trace.adds_noise


@pytest.mark.parametrize("kind", ["flow", "epsilon", "v_prediction", "sample"])
def test_every_prediction_is_told_as_what_is_forecast_and_back(kind):
    """Of the video 5 and the noise 3: velocity -2, or the noise 3 itself, or clean video 5."""
    signal, noise = (0.6, 0.8) if kind != "flow" else (0.2, 0.8)
    x0, eps = torch.full((1, 2), 5.0), torch.full((1, 2), 3.0)
    latents = signal * x0 + noise * eps
    output = {
        "flow": eps - x0,
        "epsilon": eps,
        "v_prediction": signal * eps - noise * x0,
        "sample": x0,
    }[kind]
    found = Prediction(kind, (signal,), (noise,))
    for clean, meant in ((False, eps if kind == "epsilon" else eps - x0), (True, x0)):
        told = found.meaning_of(0, output, latents, clean)
        assert torch.allclose(told, meant, atol=1e-5)
        assert torch.allclose(found.output_of(0, told.clone(), latents, clean), output, atol=1e-5)
    assert found.needs_input() == (kind in ("v_prediction", "sample"))
    assert found.needs_input(clean=True) == (kind != "sample")


def test_a_flow_that_is_told_the_other_way_round():
    scheduler = FlowMatchEulerDiscreteScheduler(invert_sigmas=True)
    scheduler.set_timesteps(4)
    found = prediction_of(scheduler, 4)
    assert (found.kind, found.sign) == ("flow", -1)
    assert found.shares == pytest.approx([1 - float(s) for s in scheduler.sigmas[:4]])
    x0, eps = torch.full((1, 2), 5.0), torch.full((1, 2), 3.0)
    latents = found.signal[2] * x0 + found.noise[2] * eps
    assert torch.allclose(found.meaning_of(2, x0 - eps, latents), eps - x0)
    assert torch.allclose(found.meaning_of(2, x0 - eps, latents, clean=True), x0)
    assert torch.allclose(found.output_of(2, eps - x0, latents), x0 - eps)


def test_a_condition_that_is_joined_to_the_latents_is_left_out():
    pipe = OneVideoPipeline(*EXACT["unipc"], joined=2)
    plain = pipe(12).frames
    with cached(pipe, THIRD) as run:
        assert torch.allclose(pipe(12).frames, plain, atol=1e-4)
    assert "since" not in "".join(step.reason for step in run.trace.steps)


@pytest.mark.parametrize("videos", [2, 3])
def test_the_videos_of_a_batch(videos):
    pipe = OneVideoPipeline(*EXACT["unipc"])
    plain = pipe(12, videos).frames
    with cached(pipe, BWCachePlusConfig("tolerance", tolerance=0.1)) as run:
        assert torch.allclose(pipe(12, videos).frames, plain, atol=1e-4)
    assert run.trace.steps_reused


# -- by hand: one number of velocity, sigma 1, 0.8, 0.5, 0.4, 0.2 ---------------------------------

SIGMAS = (1.0, 0.8, 0.5, 0.4, 0.2)
EULERS = (0.2, 0.3, 0.1, 0.2, 0.2)  # the share of noise that goes in each step
NOTHING = torch.zeros(1, 1)


def one(number: float) -> torch.Tensor:
    return torch.full((1, 1), number)


def computed(reach: float = 0.5, steps: int = 3) -> CallForecast:
    """So many steps were computed, the velocity being 2 + 3 σ: 5, 4.4 and 3.5."""
    forecast = CallForecast(flow(SIGMAS), SIGMAS, reach)
    for step in range(steps):
        forecast.compute([NOTHING])
        forecast.leave((one(2 + 3 * SIGMAS[step]),), step)
    return forecast


def test_a_line_by_hand():
    """A third of the gap on, at σ 0.4, the line says 3.2; at 0.2 the reach ends half a gap on."""
    assert float(computed().give([NOTHING], 3)[0]) == pytest.approx(3.2)
    assert float(computed().give([NOTHING], 4)[0]) == pytest.approx(3.5 - 0.5 * 0.9)
    assert float(computed(reach=2).give([NOTHING], 4)[0]) == pytest.approx(2.6)
    assert float(computed(reach=0).give([NOTHING], 4)[0]) == pytest.approx(3.5)


def test_a_line_is_drawn_through_the_first_step_too():
    """How straight the path is shows at the third point only: half as far until then."""
    assert float(computed(steps=1).give([NOTHING], 1)[0]) == pytest.approx(5.0)
    assert float(computed(1.0, steps=2).give([NOTHING], 2)[0]) == pytest.approx(4.4 - 0.5 * 0.6)


def test_a_line_is_followed_as_far_as_the_path_was_straight():
    """Three videos: 3 and 0, then 3 and 4, whose cosine is 0.6; straight; and back again.

    At σ 0.4 the line through σ 0.6 and 0.5 is followed for 0.6 of a gap, a whole one, and not.
    """
    sigmas = (0.8, 0.6, 0.5, 0.4)
    forecast = CallForecast(flow(sigmas), sigmas, 1.0)
    start = torch.tensor([[1.0, 1.0]] * 3)
    changes = torch.tensor([[[3.0, 0.0]] * 3, [[3.0, 4.0], [6.0, 0.0], [-2.0, 0.0]]])
    latents = torch.zeros(3, 2)
    for step, velocity in enumerate((start, start + changes[0], start + changes.sum(0))):
        forecast.compute([latents])
        forecast.leave((velocity,), step)
    (found,) = forecast.give([latents], 3)
    assert torch.allclose(found, torch.tensor([[8.8, 7.4], [16.0, 1.0], [2.0, 1.0]]))


def test_what_is_not_finite_does_not_spread():
    """An infinite number in one place of a call: the others are forecast as they were."""
    forecast, latents = CallForecast(flow(SIGMAS), SIGMAS, 1.0, 1.0), torch.zeros(1, 2)
    for step, number in enumerate((1.0, 2.0, float("inf"))):
        forecast.compute([latents])
        forecast.leave((torch.tensor([[number, 3.0]]),), step)
    assert float(forecast.give([latents], 3)[0][0, 1]) == 3.0


def test_a_batch_without_videos_is_forecast_as_one():
    forecast, latents = CallForecast(flow(SIGMAS), SIGMAS, 1.0, 1.0), torch.zeros(0, 2)
    for step in range(3):
        forecast.compute([latents])
        forecast.leave((torch.zeros(0, 2),), step)
    assert forecast.give([latents], 3)[0].shape == (0, 2)


@pytest.mark.parametrize(("moves", "times"), [(EULERS, 1), ((0.2, 0.3, 0.2, 0.1, 0.2), 4)])
def test_a_computed_call_makes_up_for_what_was_missed_by_hand(moves, times):
    """Velocities 5 and 4.4 at σ 1 and 0.8; at 0.5 the line says 4.1; at 0.4 there comes 3.

    So it was 4.4 + 3/4 · (3 − 4.4) = 3.35 at 0.5, and 0.75 too much for a tenth of the noise. The
    step at 0.4 goes for two tenths: 0.375 less, if it were not doubted: 2.5 · 0.1 · 3/4 of the 0.4
    that is left are 0.46875, which leaves 1 / (1 + 0.46875²) of it. Where the call at 0.5 moves the
    latents twice as far, and that at 0.4 half as far, it is four times as much.
    """
    forecast = CallForecast(flow(SIGMAS), SIGMAS, 1.0, 1.0, moves)
    for step, velocity in enumerate((5.0, 4.4)):
        forecast.compute([NOTHING])
        found = forecast.leave((one(velocity),), step)
    assert found.corrected is None  # nothing was forecast before it
    assert float(forecast.give([NOTHING], 2)[0]) == pytest.approx(4.1)
    forecast.compute([NOTHING])
    found = forecast.leave((one(3.0),), 3)
    assert float(found.corrected[0]) == pytest.approx(3 - times * 0.375 / (1 + 0.46875**2))
    assert float(forecast.tensors[1]) == 3.0  # what is kept is what the call returned
    assert (float(found.ready), float(found.came)) == (pytest.approx(4.1), 3.0)


@pytest.mark.parametrize(("first", "times"), [(1.0, 1.5), (0.985, 2**0.5), (0.9829, 1.324532)])
def test_while_nearly_all_is_noise_it_is_more_by_the_signals_root(first, times):
    """Velocity 5 first, held at 0.98; at 0.97 there comes 4.4, two thirds of 0.6 and less too much
    for a hundredth of the noise. The step at 0.97 goes for two hundredths. Half more at most.
    """
    levels, moves = (first, 0.98, 0.97, 0.95), (first - 0.98, 0.01, 0.02, 0.95)
    forecast = CallForecast(flow(levels), levels, 1.0, 1.0, moves)
    forecast.compute([NOTHING])
    forecast.leave((one(5.0),), 0)
    forecast.give([NOTHING], 1)
    forecast.compute([NOTHING])
    found = forecast.leave((one(4.4),), 2)
    wrong = (first - 0.98) / (first - 0.97) * 0.01
    doubt = DOUBT * wrong / 0.97
    owed = 0.6 * wrong / 0.02
    assert float(found.corrected[0]) == pytest.approx(4.4 - times * owed / (1 + doubt**2))


@pytest.mark.parametrize(
    ("correction", "moves"),
    [
        (0.0, EULERS),
        (1.0, ()),  # nobody knows how far calls move the latents
        (1.0, (0.2, 0.3, 0.1, 0.04, 0.2)),  # a fifth of Euler's: it would be altered too much
    ],
)
def test_what_returns_what_it_computed(correction, moves):
    forecast = CallForecast(flow(SIGMAS), SIGMAS, 1.0, correction, moves)
    for step, number in enumerate((5.0, 4.4, None, 3.0)):
        if number is None:
            forecast.give([NOTHING], step)
            continue
        forecast.compute([NOTHING])
        found = forecast.leave((one(number),), step)
    assert found.corrected is None


def test_a_mixture_is_corrected_as_velocity():
    """Signal and noise 0.6 and 0.8 at first, 0.96 and 0.28 at last, of nought: the velocity was 7,
    is held, and comes as 1.24 · 2 = 2.48. What is returned has the corrected one.
    """
    prediction = Prediction("v_prediction", (0.6, 0.8, 0.96), (0.8, 0.6, 0.28))
    first, missed, here = prediction.shares
    moves = (first - missed, missed - here, here)
    forecast = CallForecast(prediction, (3.0, 2.0, 1.0), 0.0, 1.0, moves)
    forecast.compute([NOTHING])
    forecast.leave((one(5.0),), 0)
    forecast.give([NOTHING], 1)
    forecast.compute([NOTHING])
    found = forecast.leave((one(2.0),), 2)
    between = (first - missed) / (first - here) * (missed - here)
    trust = 1 / (1 + (DOUBT * between / here) ** 2)
    meant = 2.48 + trust * (2.48 - 7) * between / here
    assert float(found.corrected[0]) == pytest.approx(meant / 1.24)


class Bent(OneVideo):
    """A velocity that is a parabola over the share of noise, wherever the latents are."""

    def forward(self, hidden_states: torch.Tensor, timestep=None) -> tuple[torch.Tensor]:
        super().forward(hidden_states)
        return (torch.full_like(hidden_states, 3 * self.mix[1] ** 2),)


@pytest.mark.parametrize("name", ["euler", "unipc", "dpm++"])
def test_a_bent_path_ends_nearer_with_the_correction(name):
    """A line misses a parabola, and the next call makes up for most of it."""
    pipe = OneVideoPipeline(*EXACT[name])
    pipe.transformer = Bent(FLOW)
    plain, missed = pipe(20).frames, []
    for correction in (0.0, 1.0):
        with cached(pipe, BWCachePlusConfig(work_share=0.4, correction=correction)):
            missed.append(float((pipe(20).frames - plain).abs().max()))
    assert missed[1] < 0.6 * missed[0]


MASK = "CCRRCRCRCRRC"


class Straight(Bent):
    """The same where `MASK` computes, and on lines between those steps elsewhere."""

    levels: list[float]

    def forward(self, hidden_states: torch.Tensor, timestep=None) -> tuple[torch.Tensor]:
        OneVideo.forward(self, hidden_states)
        here = self.mix[1]
        step = min(range(len(MASK)), key=lambda i: abs(self.levels[i] - here))
        before = self.levels[MASK.rindex("C", 0, step + 1)]
        behind = self.levels[MASK.index("C", step)]
        w = (before - here) / (before - behind) if before != behind else 0.0
        velocity = 3 * ((1 - w) * before**2 + w * behind**2)
        return (torch.full_like(hidden_states, velocity),)


@pytest.mark.parametrize("name", ["euler", "unipc", "dpm++"])
def test_a_video_ends_where_lines_between_computed_velocities_lead(monkeypatch, name):
    """If nothing is doubted, whatever was forecast leaves no trace, whatever the solver."""
    monkeypatch.setattr(call_forecast, "DOUBT", 0.0)
    monkeypatch.setattr(call_forecast, "GROWN", 1.0)
    pipe = OneVideoPipeline(*EXACT[name])
    pipe.scheduler.set_timesteps(12)
    pipe.transformer = Straight(FLOW)
    pipe.transformer.levels = [float(x) for x in pipe.scheduler.sigmas[:12]]
    meant = pipe(12).frames
    pipe.transformer = Bent(FLOW)
    with cached(pipe, BWCachePlusConfig(step_mask=MASK)):
        found = pipe(12).frames
    with cached(pipe, BWCachePlusConfig(step_mask=MASK, correction=0.0)):
        missed = pipe(12).frames
    assert torch.allclose(found, meant, atol=1e-4)
    assert not torch.allclose(missed, meant, atol=1e-2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_what_follows_from_almost_no_signal_is_no_larger(dtype):
    """A noise prediction at signal 1e-5, off by 0.01 from the latents, is forecast as noise."""
    levels = Prediction("epsilon", (1e-5, 0.1), (1.0, 0.995))
    forecast, latents = CallForecast(levels, (2.0, 1.0), 0.5), one(3.0).to(dtype)
    forecast.compute([latents])
    forecast.leave((latents + 0.01,), 0)
    assert float(forecast.give([latents], 1)[0]) == pytest.approx(3.01, rel=1e-3)


def test_a_mixture_is_forecast_as_velocity():
    """Signal and noise 0.6 and 0.8, then 0.8 and 0.6: the shares of noise are 4/7 and 3/7.

    At latents of nought the velocity is 1.4 · 5 = 7, then 1.4 · 2.5 = 3.5, and is held: at signal
    0.96 and noise 0.28 what it stands for is 3.5 / 1.24.
    """
    levels = Prediction("v_prediction", (0.6, 0.8, 0.96), (0.8, 0.6, 0.28))
    forecast = CallForecast(levels, (3.0, 2.0, 1.0), 0.0)
    for step, predicted in enumerate((5.0, 2.5)):
        forecast.compute([NOTHING])
        forecast.leave((one(predicted),), step)
    assert [float(x) for x in forecast.tensors] == pytest.approx([7.0, 3.5])
    assert float(forecast.give([NOTHING], 2)[0]) == pytest.approx(3.5 / 1.24)


def test_what_stood_ready_is_told_beside_what_came():
    forecast = computed()
    forecast.compute([NOTHING])
    found = forecast.leave((one(7.0),), 3)
    assert (float(found.ready), float(found.came)) == (pytest.approx(3.2), pytest.approx(7.0))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("kind", ["flow", "v_prediction"])
def test_both_are_of_one_kind_where_the_model_is_of_16_bits(kind, dtype):
    """So that they can be compared; what has to be reckoned is kept as float16."""
    root = 0.5**0.5
    prediction = flow(SIGMAS) if kind == "flow" else Prediction(kind, (root,) * 4, (root,) * 4)
    forecast = CallForecast(prediction, SIGMAS, 0.5)
    for step in range(3):
        forecast.compute([NOTHING.to(dtype)])
        found = forecast.leave((one(3.0).to(dtype),), step)
    if kind == "v_prediction":  # all at one level: one point
        assert [x.dtype for x in forecast.tensors] == [torch.float16]
        assert float(forecast.tensors[0]) == pytest.approx(3 * 2**0.5, rel=0.01)
    assert [found.ready.dtype, found.came.dtype] == [dtype if kind == "flow" else torch.float16] * 2
    (answer,) = forecast.give([NOTHING.to(dtype)], 3)
    assert answer.dtype == dtype
    assert float(answer) == pytest.approx(3.0, rel=0.01)


def test_two_calls_at_one_level_are_one_point():
    """As Heun makes them: the line goes through the last one of each level."""
    forecast = CallForecast(flow((1.0, 0.8, 0.8, 0.5, 0.5, 0.4)), SIGMAS, 0.5)
    for step, velocity in enumerate((0.0, 9.0, 4.4, 9.0, 3.5)):
        forecast.compute([NOTHING])
        forecast.leave((one(velocity),), step)
    assert float(forecast.give([NOTHING], 5)[0]) == pytest.approx(3.2)


def test_what_is_not_known_is_forecast_as_it_is_and_said():
    forecast = CallForecast(UNKNOWN, (5.0, 4.0, 3.0, 2.0, 1.0), 0.5)
    for step, given in enumerate((7.0, 10.0, 14.0)):
        forecast.compute([NOTHING])
        forecast.leave(SimpleNamespaceOutput(sample=torch.full((1, 1), given)), step)
    answer = forecast.give([NOTHING], 3)
    assert float(answer["sample"]) == pytest.approx(14 + 0.5 * 4)
    assert forecast.note == "what the call returns is forecast, since what it predicts is not known"


class SimpleNamespaceOutput(dict):
    """Like diffusers' outputs: a dict that is made of named tensors."""


def test_what_cannot_be_answered_is_refused_with_the_reason():
    forecast = CallForecast(flow(SIGMAS), SIGMAS, 0.5)
    assert forecast.refusal([NOTHING], 1) == "nothing is cached for this call yet"
    forecast.compute([NOTHING])
    forecast.leave((["no tensor"],), 0)
    assert forecast.refusal([NOTHING], 1) == "the call returns something else than tensors"
    forecast = computed()
    assert forecast.refusal([NOTHING], 3) is None
    assert "changed shape" in forecast.refusal([torch.zeros(1, 2)], 3)
    changing = torch.zeros(1, 1)
    forecast.compute([changing])
    changing.add_(1)
    forecast.leave((one(1.0),), 3)
    assert forecast.refusal([NOTHING], 4) == "the call altered its input in place"


def test_what_wan_of_480p_keeps_is_below_20_mib():
    """By shapes alone: two branches of [1, 16, 21, 60, 104] in bfloat16: two tensors, a number."""
    shape, sigmas = (1, 16, 21, 60, 104), (1.0, 0.9, 0.8, 0.7)
    branches = [CallForecast(flow(sigmas), sigmas, 0.5) for _ in range(2)]
    for forecast in branches:
        for step in range(3):
            latents = torch.empty(shape, dtype=torch.bfloat16, device="meta")
            forecast.compute([latents])
            forecast.leave((torch.empty_like(latents),), step)
    kept = [x for forecast in branches for x in forecast.tensors]
    assert [x.dtype for x in kept] == [torch.bfloat16, torch.bfloat16, torch.float32] * 2
    straightness = 4  # bytes a branch
    assert sum(x.nbytes for x in kept) == 4 * 2 * 16 * 21 * 60 * 104 + 2 * straightness < 17 * 2**20


def test_kinds_that_are_not_known():
    def scheduler(**config):
        return SimpleNamespace(timesteps=torch.tensor([3.0, 2.0]), config=config)

    assert prediction_of(scheduler(), 2) == UNKNOWN
    assert prediction_of(scheduler(prediction_type="something"), 2) == UNKNOWN
    assert prediction_of(scheduler(prediction_type="epsilon"), 2) == UNKNOWN  # no noise levels
    assert Prediction().shares == ()


def test_a_scheduler_that_is_made_of_a_known_one_is_known():
    class Mine(FlowMatchEulerDiscreteScheduler):
        pass

    scheduler = Mine(shift=3.0)
    scheduler.set_timesteps(4)
    assert prediction_of(scheduler, 4).kind == "flow"

    class Karras(EDMEulerScheduler):
        pass

    scheduler = Karras(prediction_type="v_prediction")
    scheduler.set_timesteps(4)
    assert prediction_of(scheduler, 4) == UNKNOWN
