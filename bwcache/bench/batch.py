"""Prompts that are made together on one grid: where many videos are needed and no speed is told."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torchmetrics.functional.image import peak_signal_noise_ratio

from ..cache.install import cached
from ..cache.lanes import sharing
from ..cache.method import Method
from ..cache.noise_levels import noise_levels
from ..errors import ConfigError
from ..files import check_file
from ..models.call import call_arguments
from ..runs.controls import with_shift
from .frontier import IDENTICAL_DB
from .methods_plan import Grid, reported_prompts
from .workload import Workload

Alter = Callable[[torch.Tensor], torch.Tensor]


class Batch:
    """Prompts that are made together, on one grid.

    Args:
        pipe: A text-to-video pipeline.
        workload: Its model, size and seed, which all prompts have.
        grid: Steps and flow shift.
        prompts: What the videos show.
    """

    def __init__(self, pipe: Any, workload: Workload, grid: Grid, prompts: Sequence[str]):
        self._pipe, self._workload, self._grid = sharing(pipe), workload, grid
        if grid.shift is not None:
            self._pipe.scheduler = with_shift(self._pipe.scheduler, grid.shift)
        self._prompts = list(prompts)
        self._reference = self._videos(workload.measuring())
        self.noise = tuple(noise_levels(self._pipe.scheduler, grid.steps))

    def decibels(self, config: Method | None = None, alter: Alter | None = None) -> list[float]:
        """PSNR of each prompt to its uncached run.

        Args:
            config: What they are made with; uncached where None.
            alter: Gives the noise that they start from instead of their own, `[prompts, …]`.

        Raises:
            ConfigError: Another noise is wanted, and the pipeline draws none by itself.
        """
        made = self._videos(config or self._workload.measuring(), alter)
        found = peak_signal_noise_ratio(
            made, self._reference, data_range=1.0, reduction="none", dim=(1, 2, 3, 4)
        )
        return [min(each, IDENTICAL_DB) for each in found.tolist()]

    def _videos(self, config: Method, alter: Alter | None = None) -> torch.Tensor:
        """Frames `[prompts, frames, channels, height, width]` in 0-1."""
        workload, count = self._workload, len(self._prompts)
        arguments = call_arguments(workload.spec, "", workload.seed, self._grid.steps)
        arguments |= {
            "prompt": self._prompts,
            "generator": [torch.Generator("cpu").manual_seed(workload.seed) for _ in range(count)],
            "output_type": "pt",
        }
        pipe = self._pipe if alter is None else _starting_from(self._pipe, alter)
        with cached(pipe, config):
            return pipe(**arguments).frames.float()


def _starting_from(pipe: Any, alter: Alter) -> Any:
    """The pipeline with another noise to start from; it shares its modules."""
    own = sharing(pipe)
    draw = getattr(own, "prepare_latents", None)
    if draw is None:
        raise ConfigError("model", type(pipe).__name__, "one that draws noise by prepare_latents")
    own.prepare_latents = lambda *args, **kwargs: alter(draw(*args, **kwargs))
    return own


# -- programs that make batches ------------------------------------------------------------------


def parser_of(about: str, out: Path) -> argparse.ArgumentParser:
    """The options that such programs share.

    Args:
        about: What the program does.
        out: Where its result lies by default.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--model", default="tinyworld")
    parser.add_argument("--device", choices=("cpu", "cuda"))
    parser.add_argument("--grids", default="30,30@5", help="steps, or steps@shift: 30,30@5")
    parser.add_argument("--prompts", type=int, help="so many of those that are reported")
    parser.add_argument("--out", type=Path, default=out)
    return parser


def asked(args: argparse.Namespace) -> tuple[Workload, list[Grid], list[str]]:
    """The model, the grids and the prompts that the options ask for.

    Raises:
        ConfigError: One of them is none, or nothing could be written to `--out`.
    """
    check_file(args.out)
    grids = [Grid.read(each) for each in args.grids.split(",")]
    return Workload(args.model, args.device), grids, reported_prompts(args.prompts)
