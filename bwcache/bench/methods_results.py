"""Make the leaderboard of the runs that `bench methods` has made, whatever calls made them.

    python -m bwcache.bench.methods_results LOG… --out assets/results/leaderboard.json --chart FILE

The logs are those of `bench methods --log`. A family's runs of a grid are taken from the first one
that has any: each run is compared with an uncached one of its own device, and what the same runs of
two devices differ by is told. What they do not tell (no speed where several were made at a time) is
taken from the same settings' runs in the others, and named so. The chart is one HTML file that asks
no other host.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from types import MappingProxyType
from typing import Any

from ..errors import ConfigError
from ..files import ASSETS, check_file, finite, write, write_text
from ..runs.metrics import PSNR_CONVENTION
from .frontier import IDENTICAL_DB
from .leaderboard import identity, of_all, points_of, read_rows, standings
from .methods_chart import chart_page
from .methods_plan import CHOOSE, REPORT
from .program import run_program

Row = dict[str, Any]
ELSEWHERE: Mapping[str, tuple[str, ...]] = MappingProxyType(  # what may be measured in other runs
    {
        "speedup": ("speedup", "speedup_in_turns"),
        "vmaf": ("vmaf", "vmaf_median", "vmaf_worst", "vmaf_spread"),
    }
)
RESULTS = ASSETS / "results" / "leaderboard.json"


def leaderboard(rows: list[Row], others: Sequence[Row] = ()) -> dict[str, Any]:
    """What reported rows say.

    Args:
        rows: Of logs, those of the prompts that chose values left out.
        others: Rows of the same settings, for what the first do not tell.

    Returns:
        `rows`: a point for each family, grid and value, with its date, commit and device;
        `standings`: who is how close at equal work on all prompts, of the families that were run
        on all; `standings_of_all`, `rows_of_all`: on those prompts that every family was run on;
        `agreement`: how far the same runs are from each other on two devices.
    """
    return {
        "psnr_convention": f"{PSNR_CONVENTION}; {IDENTICAL_DB:g} dB where identical",
        "chosen_on": f"assets/prompts/{CHOOSE.name}",
        "reported_on": f"assets/prompts/{REPORT.name}",
        "rows": completed(points_of(rows), others),
        "standings": standings(rows),
        "standings_of_all": standings(of_all(rows)),
        "rows_of_all": completed(points_of(of_all(rows)), others),
        "agreement": agreement(rows, others),
    }


def agreement(rows: Sequence[Row], others: Sequence[Row]) -> Row | None:
    """How far runs of the same settings, prompt and seed are from each other on two devices.

    Returns:
        Their number, on how many of them the same steps were computed, and the median and largest
        difference of PSNR to the uncached run, in dB; None where there are none.
    """
    elsewhere = {_run(row): row for row in others}
    pairs = [(row, elsewhere[_run(row)]) for row in rows if _run(row) in elsewhere]
    pairs = [(one, two) for one, two in pairs if one["device"] != two["device"]]
    if not pairs:
        return None
    apart = [abs(one["psnr_db"] - two["psnr_db"]) for one, two in pairs]
    return {
        "devices": sorted({row["device"] for pair in pairs for row in pair}),
        "runs": len(pairs),
        "same_steps": sum(one.get("letters") == two.get("letters") for one, two in pairs),
        "psnr_db_median": median(apart),
        "psnr_db_most": max(apart),
    }


def _run(row: Row) -> tuple:
    return *identity(row), row["prompt"], row.get("seed")


def completed(points: Sequence[Row], others: Sequence[Row]) -> list[Row]:
    """The points, with what they lack from the same settings' rows elsewhere.

    Returns:
        Each has `speedup_device`, `speedup_prompts`, `vmaf_device` and `vmaf_prompts`: where, and
        on how many prompts, that was measured; None where it was nowhere.
    """
    elsewhere: dict[tuple, list[Row]] = defaultdict(list)
    for row in others:
        elsewhere[identity(row)].append(row)
    return [_completed(each, elsewhere[identity(each)]) for each in points]


def _completed(point: Row, rows: Sequence[Row]) -> Row:
    found = dict(point)
    for group, names in ELSEWHERE.items():
        measured = [row for row in rows if row.get(group) is not None]
        if point[group] is None and measured:
            (other,) = points_of(measured)
            found |= {name: other[name] for name in names}
        source = measured[0]["device"] if point[group] is None and measured else point["device"]
        count = len(measured) if point[group] is None else point["prompts"]
        known = found[group] is not None
        found[f"{group}_device"] = source if known else None
        found[f"{group}_prompts"] = count if known else None
    return found


def of_families(logs: Sequence[Sequence[Row]]) -> tuple[list[Row], list[Row]]:
    """Each family's rows of a grid from the first log that has any, and all the others."""
    taken: set[tuple] = set()
    first: list[Row] = []
    others: list[Row] = []
    for rows in logs:
        for row in rows:
            (others if identity(row)[:4] in taken else first).append(row)
        taken |= {identity(row)[:4] for row in rows}
    return first, others


def read_log(path: Path) -> list[Row]:
    """The reported rows of a log, the last of each kind.

    Raises:
        ConfigError: It cannot be read, or has none.
    """
    found = [row for row in read_rows(path) if row["set"] == "report"]
    if not found:
        raise ConfigError("log", str(path), "a file with reported rows")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("log", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--chart", type=Path, help="an HTML file")
    args = parser.parse_args()
    for path in filter(None, (args.out, args.chart)):
        check_file(path)
    found = finite(leaderboard(*of_families([read_log(path) for path in args.log])))
    write(found, args.out)
    if args.chart is not None:
        write_text(args.chart, chart_page(json.loads(args.out.read_text(encoding="utf-8"))))


if __name__ == "__main__":
    run_program("methods_results", main)
