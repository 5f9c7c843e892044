"""Make the leaderboard of the runs that `bench methods` has made, whatever calls made them.

    python -m bwcache.bench.methods_results LOG --timed LOG --out FILE --chart FILE

The logs are those of `bench methods --log`. Where several processes made the runs of the first, it
tells no speed: that is taken from the same settings' rows of the second. The chart is one HTML file
that asks no other host.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..files import ASSETS, check_file, finite, parse_json, read_text, write, write_text
from ..runs.metrics import PSNR_CONVENTION
from .frontier import IDENTICAL_DB
from .leaderboard import identity, of_all, points_of, standings
from .methods_chart import chart_page
from .methods_plan import CHOOSE, REPORT
from .program import run_program

Row = dict[str, Any]
RESULTS = ASSETS / "results" / "leaderboard.json"


def leaderboard(rows: list[Row], timed: Sequence[Row] = ()) -> dict[str, Any]:
    """What reported rows say.

    Args:
        rows: Of the log, those of the prompts that chose values left out.
        timed: Rows of the same settings, for the speed of those that have none.

    Returns:
        `rows`: a point for each family, grid and value, with its date, commit and device;
        `standings`: who is how close at equal work on all prompts, of the families that were run
        on all; `standings_of_all`, `rows_of_all`: on those prompts that every family was run on.
    """
    return {
        "psnr_convention": f"{PSNR_CONVENTION}; {IDENTICAL_DB:g} dB where identical",
        "chosen_on": f"assets/prompts/{CHOOSE.name}",
        "reported_on": f"assets/prompts/{REPORT.name}",
        "rows": with_speed(points_of(rows), timed),
        "standings": standings(rows),
        "standings_of_all": standings(of_all(rows)),
        "rows_of_all": with_speed(points_of(of_all(rows)), timed),
    }


def with_speed(points: list[dict[str, Any]], timed: Sequence[Row]) -> list[dict[str, Any]]:
    """The points, those without a speed with that of the same setting's rows.

    Returns:
        Each has `speedup_device` and `speedup_prompts`: where, and on how many prompts, it was
        measured; both None where it was nowhere.
    """
    found = {identity(point): point for point in points_of(timed)}
    return [_with_speed(point, found.get(identity(point), {})) for point in points]


def _with_speed(point: dict[str, Any], timed: Mapping[str, Any]) -> dict[str, Any]:
    source = timed if point["speedup"] is None else point
    speeds = {name: source.get(name) for name in ("speedup", "speedup_in_turns")}
    measured = speeds["speedup"] is not None
    where = {
        "speedup_device": source["device"] if measured else None,
        "speedup_prompts": source["prompts"] if measured else None,
    }
    return {**point, **speeds, **where}


def read_log(path: Path) -> list[Row]:
    """The reported rows of a log, the last of each kind.

    Raises:
        ConfigError: It cannot be read, or has none.
    """
    try:
        rows = [parse_json(line) for line in read_text(path).splitlines() if line]
        found = {row["key"]: row for row in rows if row["set"] == "report"}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError("log", str(path), "a file of `bench methods --log`") from error
    if not found:
        raise ConfigError("log", str(path), "a file with reported rows")
    return list(found.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("log", type=Path)
    parser.add_argument("--timed", type=Path, help="a log whose runs were made one at a time")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--chart", type=Path, help="an HTML file")
    args = parser.parse_args()
    for path in filter(None, (args.out, args.chart)):
        check_file(path)
    timed = [] if args.timed is None else read_log(args.timed)
    found = finite(leaderboard(read_log(args.log), timed))
    write(found, args.out)
    if args.chart is not None:
        write_text(args.chart, chart_page(json.loads(args.out.read_text(encoding="utf-8"))))


if __name__ == "__main__":
    run_program("methods_results", main)
