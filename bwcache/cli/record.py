"""`bwcache record`: make a comparison and keep it as a recorded run, for the page's gallery."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from .. import models
from .arguments import (
    add_config_arguments,
    add_control_argument,
    add_json_argument,
    add_model_arguments,
    add_parallel_argument,
    read_config,
)
from .output import print_json, print_lines, print_verdict
from .progress import LoadingBar
from .together import make

if TYPE_CHECKING:
    from ..models.spec import Offload
    from ..runs.events import Event
    from ..runs.request import Request

HELP = "make a comparison for the page's gallery"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--prompt", required=True, help="what the video shows")
    add_model_arguments(parser)
    parser.add_argument("--out", type=Path, required=True, help="such as assets/runs/1-name")
    parser.add_argument("--title", required=True, help="of its card, a few words")
    parser.add_argument("--caption", help="one sentence; the prompt if left out")
    add_control_argument(parser)
    add_parallel_argument(parser)
    add_config_arguments(parser)
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Record a comparison; its verdict, or with `--json` its summary, on stdout."""
    config = read_config(args)  # a wrong setting is said before torch is loaded
    from ..runs.controls import check_control_on
    from ..runs.record import check_texts
    from ..runs.request import Request

    spec = models.find(args.model)
    steps = spec.steps if args.steps is None else args.steps
    request = Request(
        args.prompt, args.model, steps, args.seed, config, args.control, args.random_weights
    )
    check_control_on(spec, request.control_kind)
    caption = f"Prompt: {request.prompt.strip()}." if args.caption is None else args.caption
    check_texts(args.title, caption)
    models.check_prompt(spec, request.prompt)
    return make(args, request, partial(_record, args, caption))


def _record(
    args: argparse.Namespace, caption: str, request: Request, offload: Offload | None
) -> int:
    from ..models.loading import loading, result_of
    from ..models.machine import default_device
    from ..runs.compare import compare
    from ..runs.record import check_target, record
    from ..runs.recorded import RUN_FILE
    from ..runs.video import check_encoder

    check_target(args.out)
    check_encoder()
    device, spec = args.device or default_device(), models.find(request.model)
    # A recording shows a model that is loaded and warm, as any visitor but the first meets it.
    result_of(loading(spec, device, request.random_weights, offload), LoadingBar().show)
    with closing(compare(request, device=device, offload=offload)) as events:
        recorded = record(_with_progress(events), request, args.title, caption, args.out)
    if args.json:
        print_json(recorded.summary)
        return 0
    print_verdict(recorded.summary)
    print_lines(f"Recorded: {args.out / RUN_FILE}")
    return 0


def _with_progress(events: Iterator[Event]) -> Iterator[Event]:
    """Pass events on, and say on stderr what is loaded and which run begins."""
    from ..runs.events import RunStarted

    bar = LoadingBar()
    for event in events:
        bar.show(event)
        if isinstance(event, RunStarted):
            print(f"{event.run}: {event.num_steps} steps", file=sys.stderr, flush=True)
        yield event
