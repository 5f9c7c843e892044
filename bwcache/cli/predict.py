"""`bwcache predict`: the schedule that a recorded run would have had. Loads no torch."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from functools import partial

from ..cache.letters import LETTERS
from ..cache.methods import METHODS
from ..cache.predict import predict, settings_of_cached_run
from ..cache.trace import TraceFile
from ..errors import ConfigError
from ..models import earlier_weights
from .arguments import add_config_arguments, add_json_argument, read_config
from .output import print_json, print_lines

HELP = "the schedule a recorded run would have had"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("trace", help="trace.json of a comparison")
    parser.add_argument("--model", dest="of_model", help="refuse a trace of another")
    add_config_arguments(parser)
    add_json_argument(parser)


def run(args: argparse.Namespace) -> int:
    """The schedule, and the seconds it would take, in a few lines or as JSON."""
    first = METHODS[args.method].knobs()[0]
    if first.name == "threshold" and args.threshold is None:
        raise ConfigError(first.name, None, first.allowed)
    recorded = TraceFile.load(args.trace)
    if args.of_model not in (None, recorded.model):
        made = f"{recorded.model}, whose trace this is; thresholds do not carry over"
        raise ConfigError("model", args.of_model, made)
    config = read_config(args, partial(settings_of_cached_run, recorded))
    prediction = predict(recorded.baseline, config)
    taken = {
        name: value
        for name, value in settings_of_cached_run(recorded, type(config)).items()
        if getattr(args, name) is None
    }
    older = earlier_weights(recorded.model, recorded.weights)
    if args.json:
        told = {"config": config.as_dict(), "from_trace": sorted(taken)}
        told |= {"model": recorded.model, "weights": recorded.weights, "note": older}
        print_json(asdict(prediction) | told)
        return 0
    letters = "".join(LETTERS[action] for action in prediction.schedule)
    certainty = "exact" if prediction.exact else "an estimate"
    part, whole = prediction.predicted_seconds, recorded.baseline.net_seconds
    partly = prediction.schedule.count("partial")
    said = f"{prediction.steps_reused} of {len(letters)} steps reused"
    said += f", {partly} in part" if partly else ""
    print(f"{letters}\n{said} ({certainty}),")
    print(f"about {part:.1f} s instead of {whole:.1f} s (estimated from that run's step times)")
    if older:
        print_lines(f"this trace was {older}")
    if taken:
        words = ", ".join(f"{name} {_shown(value)}" for name, value in taken.items())
        print(f"as the recorded cached run unless told otherwise: {words}")
    return 0


def _shown(value: object) -> object:
    return value if value not in ("", None, (), []) else "-"
