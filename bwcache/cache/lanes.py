"""Runs that share one set of modules: what belongs to each of them, and whose turn it is.

One run is the usual case. Where there are more, each has a pipeline object of its own over the same
weights, and the gates, which are there once, ask the controller of the run whose turn it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy, deepcopy
from dataclasses import dataclass, field
from typing import Any

import torch
from diffusers.configuration_utils import ConfigMixin

from .controller import Controller
from .scheduler_watch import Stepping

Context = tuple[str, Mapping[str, Any]]  # a guidance branch's name, and where the loop is


@dataclass(eq=False)
class Lane:
    """One of the runs.

    Args:
        controller: Its caching state.
        stepping: Tells it when a step ends, by its own pipeline's scheduler.
        contexts: The guidance branches that its pipeline is in, the innermost last.
    """

    controller: Controller
    stepping: Stepping
    contexts: list[Context] = field(default_factory=list)

    def hold(self, transformer: torch.nn.Module) -> None:
        """Called before the first call of a step; may wait there, off the clock."""


class Switch:
    """Whose turn it is. Read by every gate before every block, so it is no more than that.

    Args:
        lane: The first, or only one.
    """

    def __init__(self, lane: Lane):
        self.turn_to(lane)

    def turn_to(self, lane: Lane) -> None:
        """From now on the modules work for this run."""
        self.lane, self.controller = lane, lane.controller


def sharing(pipe: Any) -> Any:
    """Another pipeline of the same modules and settings, with a state of its own.

    Weights, text encoder and autoencoder are the very same objects. What has a state that a loop
    changes step by step is copied: schedulers, and guiders where a pipeline has one.
    """
    other = copy(pipe)
    for name, part in getattr(pipe, "components", {"scheduler": pipe.scheduler}).items():
        if name == "scheduler" or (
            isinstance(part, ConfigMixin) and not isinstance(part, torch.nn.Module)
        ):
            vars(other)[name] = deepcopy(part)
    return other
