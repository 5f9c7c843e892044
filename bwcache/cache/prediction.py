"""What a transformer's call predicts, and of how much signal and noise its input is made.

Latents are `signal · x0 + noise · ε`. A model's prediction, the clean video or a mixture of it with
the noise, can be told as flow matching's velocity ε − x0, which is how latents that are scaled to a
sum of 1 move along the share of noise, and which itself changes nearly along straight lines. A
prediction of the noise alone stays one: the velocity behind it divides its error by the share of
signal. Where a scheduler adds noise of its own, all can be told as the clean video instead. Pure
data and arithmetic; the schedulers' fields are read here and nowhere else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from .noise_levels import noise_levels

Kind = Literal["flow", "epsilon", "v_prediction", "sample", "unknown"]
KINDS: dict[str, Kind] = {
    "flow_prediction": "flow",
    "epsilon": "epsilon",
    "v_prediction": "v_prediction",
    "sample": "sample",
}
FLOW_MATCHING = "FlowMatch"  # how diffusers' schedulers of velocities are called
LEAST = 1e-4  # what is divided by no less than this: the share of signal, or of noise


@dataclass(frozen=True)
class Prediction:
    """What a run's calls predict.

    Args:
        kind: "flow" is ε − x0, "v_prediction" is signal · ε − noise · x0, "sample" is x0.
        signal, noise: Of the latents at which each step begins, in the order the steps run; empty
            where unknown.
        sign: −1 where a flow is told the other way round, as x0 − ε.
    """

    kind: Kind = "unknown"
    signal: tuple[float, ...] = ()
    noise: tuple[float, ...] = ()
    sign: int = 1

    @property
    def shares(self) -> tuple[float, ...]:
        """The share of noise at each step, 1 to 0: sigma of flow matching; empty where unknown."""
        return tuple(s / (a + s) for a, s in zip(self.signal, self.noise, strict=True))

    def needs_input(self, clean: bool = False) -> bool:
        """Whether the latents are needed to tell what a prediction means; see `meaning_of`."""
        return self.kind != "sample" if clean else self.kind not in ("flow", "epsilon")

    def meaning_of(
        self, step: int, output: torch.Tensor, latents: torch.Tensor, clean: bool = False
    ) -> torch.Tensor:
        """The velocity that an output stands for, or the clean video, in float32.

        Of a prediction of the noise it is the noise, where not the clean video is asked for.
        """
        by_output, by_latents = self._weights(step, clean)
        return output.float().mul(by_output).add_(latents, alpha=by_latents)

    def output_of(
        self, step: int, meaning: torch.Tensor, latents: torch.Tensor, clean: bool = False
    ) -> torch.Tensor:
        """The output that has this meaning. Alters `meaning`."""
        by_output, by_latents = self._weights(step, clean)
        divisor = math.copysign(_divisor(abs(by_output)), by_output)
        return meaning.sub_(latents, alpha=by_latents).div_(divisor)

    def _weights(self, step: int, clean: bool) -> tuple[float, float]:
        """What is meant is this much of the output and that much of the latents."""
        signal, noise = self.signal[step], self.noise[step]
        both = signal + noise
        match self.kind:
            case "flow":
                return (-self.sign * noise, 1.0) if clean else (float(self.sign), 0.0)
            case "v_prediction":
                return (-noise, signal) if clean else (both, noise - signal)
            case "sample":
                return (1.0, 0.0) if clean else (-both / _divisor(noise), 1 / _divisor(noise))
        return (-noise / _divisor(signal), 1 / _divisor(signal)) if clean else (1.0, 0.0)


def _divisor(share: float) -> float:
    return max(share, LEAST)


UNKNOWN = Prediction()


def prediction_of(scheduler, num_steps: int, levels: Sequence[float] | None = None) -> Prediction:
    """What a scheduler takes a model's predictions to be.

    Args:
        scheduler: Any diffusers scheduler whose timesteps are set.
        num_steps: How many steps the pipeline is about to run, the last ones.
        levels: What `noise_levels` gives for them; it is asked where None.

    Returns:
        Of unknown kind where the scheduler does not say, or reckons in a way of its own, as those
        of Karras' EDM do, whose model is wrapped by factors of its own.

    Waits for the device once a run.
    """
    config = getattr(scheduler, "config", {})
    names = [each.__name__ for each in type(scheduler).__mro__]  # it may be a class of one's own
    flows = any(FLOW_MATCHING in name for name in names)
    said = config.get("prediction_type", "flow_prediction" if flows else None)
    kind = KINDS.get(str(said), "unknown")
    timesteps = torch.as_tensor(scheduler.timesteps)
    karras = any(name.startswith("EDM") for name in names)
    if kind == "unknown" or karras or len(timesteps) < num_steps:
        return UNKNOWN
    if kind == "flow":
        return flow(noise_levels(scheduler, num_steps) if levels is None else levels)
    sigmas = getattr(scheduler, "sigmas", None)
    first = len(timesteps) - num_steps
    if sigmas is not None and len(sigmas) >= len(timesteps):
        ratios = torch.as_tensor(sigmas)[first : len(timesteps)].double().tolist()
        return _of_ratios(kind, ratios)
    alphas = getattr(scheduler, "alphas_cumprod", None)
    if alphas is None:
        return UNKNOWN
    at = timesteps[first:].long().cpu().clamp(0, len(alphas) - 1)
    left = torch.as_tensor(alphas).double().cpu()[at].clamp(0, 1).tolist()
    signal = tuple(map(math.sqrt, left))
    noise = tuple(math.sqrt(1 - each) for each in left)
    return Prediction(kind, signal, noise)


def flow(levels: Sequence[float]) -> Prediction:
    """Flow matching at these sigmas; where they rise, they are the signal's and told reversed."""
    if not all(0 <= level <= 1 for level in levels):
        return UNKNOWN
    if len(levels) > 1 and levels[0] < levels[-1]:
        return Prediction("flow", tuple(levels), tuple(1 - x for x in levels), -1)
    return Prediction("flow", tuple(1 - x for x in levels), tuple(levels))


def _of_ratios(kind: Kind, sigmas: Sequence[float]) -> Prediction:
    """Of the ratio of noise to signal at each step, where the squares of the two add up to 1."""
    if not all(sigma >= 0 and not math.isnan(sigma) for sigma in sigmas):
        return UNKNOWN
    signal = tuple(1 / math.hypot(1, sigma) if math.isfinite(sigma) else 0.0 for sigma in sigmas)
    return Prediction(kind, signal, tuple(math.sqrt(1 - each * each) for each in signal))
