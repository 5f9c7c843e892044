"""What the rows of `bench methods` say: points, who is how close at equal work, a file of results.

Pure arithmetic. Closeness is PSNR in dB against the uncached run.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, median, pstdev
from typing import Any

from ..errors import ConfigError
from ..explore.families import NEAR, SHARES
from ..explore.results_file import ResultsFile
from .frontier import interpolated

Row = Mapping[str, Any]
OF_EACH_ROW = ("date", "commit", "device", "model", "steps", "shift", "family", "title", "value")


def log_file(path: Path) -> ResultsFile:
    """The log of `bench methods`: a line a run, added to as they are made."""
    return ResultsFile(
        path, identity=lambda row: row["key"], field="log", rows_are="`bench methods --log`"
    )


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a log, the last of each kind.

    Raises:
        ConfigError: It cannot be read, or has a line that is no row.
    """
    rows = log_file(path).rows()
    if not all(isinstance(row.get("key"), str) and row.get("set") for row in rows):
        raise ConfigError("log", str(path), "a file of `bench methods --log`")
    return list({row["key"]: row for row in rows}.values())


def identity(row: Row) -> tuple:
    """What tells a setting from all others: model, grid, family and value."""
    return row["model"], row["steps"], row["shift"], row["family"], json.dumps(row["value"])


def points_of(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """One point for each family, grid and value of its knob, over its prompts."""
    found: dict[tuple, list[Row]] = defaultdict(list)
    for row in rows:
        found[identity(row)].append(row)
    return [point(same) for same in found.values()]


def point(rows: Sequence[Row]) -> dict[str, Any]:
    """One setting over its prompts.

    Returns:
        What the rows have in common, and of `psnr_db`, `ssim`, `vmaf` and `converged_psnr_db` the
        mean, median, worst and spread (standard deviation), `speedup` the median; None where
        nothing was measured.
    """
    last = rows[-1]
    numbers: dict[str, Any] = {name: last.get(name) for name in OF_EACH_ROW}
    numbers |= {"ours": last["ours"], "config": last["config"], "prompts": len(rows)}
    numbers["compute_share"] = fmean(row["compute_share"] for row in rows)
    numbers["speedup"] = _median_of(rows, "speedup")
    numbers["kept_bytes"] = max(row["kept_bytes"] for row in rows)
    numbers["speedup_in_turns"] = _median_of(rows, "speedup_in_turns")
    for name in ("psnr_db", "ssim", "vmaf", "converged_psnr_db"):
        values = [row[name] for row in rows if row.get(name) is not None]
        numbers[name] = fmean(values) if values else None
        numbers[f"{name}_median"] = median(values) if values else None
        numbers[f"{name}_worst"] = min(values) if values else None
        numbers[f"{name}_spread"] = pstdev(values) if values else None
    return numbers


def _median_of(rows: Iterable[Row], name: str) -> float | None:
    values = [row[name] for row in rows if row.get(name) is not None]
    return median(values) if values else None


def standings(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """For each grid and share of the work, how close each family comes, the closest first.

    Each prompt's dB are read off between its own two nearest points; a family that does not reach
    the share, or not on every prompt, is not in the list. Every list has `lead_db`,
    `lead_worst_db` and `lead_four_worst_db`: how far the best of BWCache+ is ahead of the best of
    all others, in the mean, on the worst prompt and in the mean of the four worst of each; negative
    where it is behind, None where one side is missing.
    """
    rows = list(rows)
    found = []
    for steps, shift in dict.fromkeys((row["steps"], row["shift"]) for row in rows):
        here = [row for row in rows if (row["steps"], row["shift"]) == (steps, shift)]
        for share in SHARES:
            each = sorted(_at(here, share), key=lambda one: -one["psnr_db"])
            if not each:
                continue
            found.append(
                {
                    "steps": steps,
                    "shift": shift,
                    "share": share,
                    "lead_db": _lead(each, "psnr_db"),
                    "lead_worst_db": _lead(each, "psnr_db_worst"),
                    "lead_four_worst_db": _lead(each, "psnr_db_four_worst"),
                    "families": each,
                }
            )
    return found


def _at(rows: Sequence[Row], share: float) -> list[dict[str, Any]]:
    families: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        families[row["family"]][row["prompt"]].append(row)
    prompts = max((len(each) for each in families.values()), default=0)
    found = []
    for name, of_prompts in families.items():
        each = [_read_off(own, share) for own in of_prompts.values()]
        values = [value for value in each if value is not None]
        if len(values) < prompts or not values:
            continue
        one = next(iter(of_prompts.values()))[0]
        found.append(
            {
                "family": name,
                "title": one["title"],
                "ours": one["ours"],
                "prompts": len(values),
                "psnr_db": fmean(values),
                "psnr_db_median": median(values),
                "psnr_db_worst": min(values),
                "psnr_db_four_worst": fmean(sorted(values)[:4]),
                "psnr_db_spread": pstdev(values),
            }
        )
    return found


def _read_off(rows: Sequence[Row], share: float) -> float | None:
    """One prompt's dB at a share of the work."""
    curve = sorted((row["compute_share"], row["psnr_db"]) for row in rows)
    near = min(curve, key=lambda point: abs(point[0] - share))
    if abs(near[0] - share) <= NEAR:
        return near[1]
    return interpolated(curve, share)


def _lead(each: Sequence[Mapping[str, Any]], name: str) -> float | None:
    ours = [one[name] for one in each if one["ours"]]
    others = [one[name] for one in each if not one["ours"]]
    return max(ours) - max(others) if ours and others else None


def of_all(rows: Iterable[Row]) -> list[Row]:
    """On each grid the rows of those prompts that every family has made there.

    Where few families were run on more prompts, all can be compared on these.
    """
    rows, found = list(rows), []
    for grid in dict.fromkeys((row["steps"], row["shift"]) for row in rows):
        here = [row for row in rows if (row["steps"], row["shift"]) == grid]
        made: dict[str, set[str]] = defaultdict(set)
        for row in here:
            made[row["family"]].add(row["prompt"])
        common = set.intersection(*made.values())
        found += [row for row in here if row["prompt"] in common]
    return found


def add_to(path: Path, points: Iterable[Row]) -> dict[str, Any]:
    """A leaderboard file with these points in it: each in the place of an earlier one of its kind.

    A kind is model, device, steps, shift, family and value.
    """
    kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"rows": []}
    by_kind = {_kind(row): row for row in [*kept["rows"], *points]}
    return {**kept, "rows": list(by_kind.values())}


def _kind(row: Row) -> str:
    names = ("model", "device", "steps", "shift", "family", "value")
    return json.dumps([row.get(name) for name in names])
