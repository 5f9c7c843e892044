"""Where each denoising step lies on the noise scale: what a forecast is linear in."""

from __future__ import annotations

import torch


def noise_levels(scheduler, num_steps: int) -> list[float]:
    """The noise level at which each step begins, in the order the steps run.

    Args:
        scheduler: Any diffusers scheduler whose timesteps are set.
        num_steps: How many steps the pipeline is about to run: all, or the last ones where it
            starts from a video (`strength`).

    Returns:
        Flow-matching schedulers: sigma, from 0 to 1. Others: the timestep, since their sigma grows
        without bound, where nothing is linear in it. Where a pipeline runs more steps than the
        scheduler has (asynchronous diffusion forcing): the step's number.

    Waits for the device once a run.
    """
    timesteps = torch.as_tensor(scheduler.timesteps)
    if len(timesteps) < num_steps:
        return [float(step) for step in range(num_steps)]
    first = len(timesteps) - num_steps
    sigmas = getattr(scheduler, "sigmas", None)
    if sigmas is not None and len(sigmas) >= len(timesteps):
        levels = torch.as_tensor(sigmas)[first : len(timesteps)].tolist()
        if all(0 <= level <= 1 for level in levels):
            return levels
    return [float(timestep) for timestep in timesteps[first:].tolist()]
