"""A command of which several processes make one video: the first speaks and writes."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import ConfigError
from ..models import find

if TYPE_CHECKING:
    from ..models.spec import Offload
    from ..runs.request import Request


def make(
    args: argparse.Namespace,
    request: Request,
    lead: Callable[[Request, Offload | None], int],
) -> int:
    """Make a comparison, alone or with the other processes, and return the exit status.

    Args:
        args: `context_parallel`, `device`, and `offload` where the command has it.
        request: What to make; with others one run after the other, as turns go by the clock.
        lead: Makes it, speaks and writes, given the request and how the model is put on its
            device (None for what fits). The other processes make the same runs, and nothing else.

    Raises:
        ConfigError: The processes, the model or a setting do not allow it.
        SystemExit: Another process has ended or does not answer.
    """
    from ..models import processes
    from ..models.machine import default_device

    size, offload = args.context_parallel, getattr(args, "offload", None)
    processes.check_launch(size)
    if size == 1:
        return lead(request, offload)
    if getattr(args, "ruler", False):
        raise ConfigError("ruler", True, f"no ruler with {processes.OPTION}; measure it by itself")
    if offload not in (None, "none"):
        raise ConfigError("offload", offload, f"none with {processes.OPTION}")
    processes.check_model(find(request.model))
    device = args.device or default_device()
    processes.check_device(device)
    request = replace(request, sequential=True)
    with processes.joined(device) as all_of_them:
        if all_of_them.leads:
            return lead(request, "none")
        _follow(request, device)
    return 0


def _follow(request: Request, device: str) -> None:
    """Make the runs of a comparison, and leave when the last has ended."""
    from ..runs.compare import compare
    from ..runs.events import RunFinished

    left = 3 if request.control else 2
    with closing(compare(request, device=device, offload="none")) as events:
        for event in events:
            left -= isinstance(event, RunFinished)
            if not left:
                return
