"""`record`: make a comparison and keep it as a recorded run, for the page's gallery."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import closing

from .. import models
from ..cache.methods.bwcache import BWCacheConfig
from ..models.loading import loading, result_of
from ..models.machine import default_device
from ..runs.compare import compare
from ..runs.events import Event, RunStarted
from ..runs.record import check_target, check_texts, record
from ..runs.recorded import RUN_FILE
from ..runs.request import Request
from .compare import print_verdict
from .progress import LoadingBar


def record_command(
    args: argparse.Namespace, config: BWCacheConfig, print_json: Callable[[object], None]
) -> int:
    """Record a comparison; its verdict, or with `--json` its summary, on stdout."""
    spec = models.find(args.model)
    steps = spec.steps if args.steps is None else args.steps
    request = Request(
        args.prompt, args.model, steps, args.seed, config, args.control, args.random_weights
    )
    caption = f"Prompt: {request.prompt.strip()}." if args.caption is None else args.caption
    check_texts(args.title, caption)
    check_target(args.out)
    models.check_prompt(spec, request.prompt)
    device = args.device or default_device()
    # A recording shows a model that is loaded and warm, as any visitor but the first meets it.
    result_of(loading(spec, device, request.random_weights), LoadingBar().show)
    with closing(compare(request, device=device)) as events:
        run = record(_told(events), request, args.title, caption, args.out)
    if args.json:
        print_json(run.summary)
        return 0
    print_verdict(run.summary)
    print(f"Recorded: {args.out / RUN_FILE}")
    return 0


def _told(events: Iterator[Event]) -> Iterator[Event]:
    """Pass events on, and say on stderr what is loaded and which run begins."""
    bar = LoadingBar()
    for event in events:
        bar.show(event)
        if isinstance(event, RunStarted):
            print(f"{event.run}: {event.num_steps} steps", file=sys.stderr, flush=True)
        yield event
