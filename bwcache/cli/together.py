"""A command of which several processes make one video: the first speaks and writes."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import ConfigError
from ..models import find
from .arguments import PARALLEL

FIELD = "context_parallel"
VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")  # torchrun's

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
    size, offload = args.context_parallel, getattr(args, "offload", None)
    _check_launch(size)
    if size == 1:
        return lead(request, offload)
    if getattr(args, "ruler", False):
        raise ConfigError("ruler", True, f"no ruler with {PARALLEL}; measure it by itself")
    if offload not in (None, "none"):
        raise ConfigError("offload", offload, f"none with {PARALLEL}")
    from ..models import processes
    from ..models.machine import default_device

    processes.check_model(find(request.model))
    device = args.device or default_device()
    processes.check_device(device)
    request = replace(request, sequential=True)
    with processes.joined(device) as all_of_them:
        if all_of_them.leads:
            return lead(request, "none")
        _follow(request, device)
    return 0


def _check_launch(size: int) -> None:
    """Refuse a number of processes other than that which torchrun has started.

    Raises:
        ConfigError: Saying how to start them.
    """
    told = os.environ.get("WORLD_SIZE", "1")
    started = int(told) if told.isdigit() else 1
    missing = [name for name in VARIABLES if name not in os.environ]
    if size < 1 or size != started or (size > 1 and missing):
        how = f"torchrun --nproc-per-node {size} -m bwcache …" if size > 1 else "no torchrun for 1"
        raise ConfigError(FIELD, size, f"the number of processes started, here {started}: {how}")


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
