"""`bwcache bench scale`: its options, and its result in a few lines."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from ..errors import ConfigError, first_line
from ..files import check_file, parse_json, read_text, write
from .arguments import add_json_argument, listed
from .output import print_json

HELP = "visitors that some devices hold at a given wait, simulated"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    about = "comparisons of TinyWorld to time first (%(default)s)"
    parser.add_argument("--rounds", type=int, default=5, help=about)
    parser.add_argument("--measured", type=Path, help="a result of this command: time nothing")
    about = "seconds within which 19 of 20 runs begin (%(default)g)"
    parser.add_argument("--wait", type=float, default=60.0, help=about)
    about = "numbers of devices (1,2,4,8)"
    parser.add_argument("--replicas", type=listed(_whole), default=[1, 2, 4, 8], help=about)
    about = "that are simulated at a time (%(default)s)"
    parser.add_argument("--visitors", type=int, default=4000, help=about)
    parser.add_argument("--seed", type=int, default=0, help="of the simulation (%(default)s)")
    parser.add_argument("--out", type=Path, help="file for the JSON")
    add_json_argument(parser)


def _whole(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ConfigError("replicas", text, "whole numbers from 1 to 64, separated by commas")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Time, simulate, and print; returns the exit status."""
    from ..bench.scale import check, scale, times_of

    check(args.rounds, args.wait, args.replicas, args.seed, args.visitors)
    measured = None if args.measured is None else _measured(args.measured)
    if measured is not None:
        times_of(measured)
    if args.out is not None:
        check_file(args.out)
    of = (args.rounds, args.wait, args.replicas, args.seed, args.visitors)
    result = scale(measured, *of)
    if args.out is not None:
        write(result, args.out)
    if args.json:
        print_json(result)
    else:
        print("\n".join(lines(result)))
    return 0


def _measured(path: Path) -> Mapping[str, object]:
    try:
        found = parse_json(read_text(path))
    except (OSError, ValueError) as error:
        allowed = f"a file that `bench scale` has written ({first_line(error)})"
        raise ConfigError("measured", str(path), allowed) from None
    inner = found.get("measured") if isinstance(found, dict) else None
    if not isinstance(inner, dict):
        raise ConfigError("measured", str(path), "a file that `bench scale` has written")
    return inner


def lines(result: Mapping) -> list[str]:
    """The result in words."""
    told = [f"19 of 20 runs begin within {result['wait_seconds']:g} s; visitors an hour:"]
    for each in result["models"]:
        told.append(f"{each['model']}, {each['device']} ({each['basis']})")
        for row in each["held"]:
            rented = row["rented_seconds_a_visitor"]
            cost = "–" if rented is None else f"{rented:.1f}"
            told.append(
                f"  {row['way']:32} {row['replicas']:2} devices {row['visitors_an_hour']:9.1f}  "
                f"busy {100 * row['busy']:3.0f} %  {cost} device seconds a visitor"
            )
    return told
