"""Every method's frontier, speed-up against closeness, as one HTML page with Plotly in it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import ConfigError
from ..explore.sweep.report import COLOURS, MARKS, plotly_library
from .frontier import decibels_at, frontier

USUAL_SPEED = 2.0  # at which the legend is ordered
OURS, UNCACHED = "#0f766e", "#64748b"
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Every method on the same work</title>
<link rel="icon" href="data:,">
<style>
body {{ margin: 0; background: #fff; }}
#chart {{ height: 100vh; min-height: 560px; }}
</style>
<div id="chart" role="img" aria-label="{title}"></div>
<script>{library}</script>
<script>
const figure = {figure};
Plotly.newPlot("chart", figure.data, figure.layout, {{ responsive: true, displaylogo: false }});
</script>
"""


def chart_page(found: Mapping[str, Any], steps: int = 30, shift: float | None = None) -> str:
    """The page of one grid.

    Args:
        found: As `methods_results.leaderboard` gives it.
        steps, shift: Of the grid.

    Raises:
        ConfigError: Nothing was measured there, or Plotly is not installed.
    """
    rows = with_a_speed(found["rows_of_all"], steps, shift)
    library = plotly_library()
    if not rows:
        raise ConfigError("chart", f"{steps} steps", "a grid on which something was measured")
    if library is None:
        raise ConfigError("chart", "", 'left out without Plotly: pip install "bwcache[page]"')
    shown = json.dumps(figure(rows)).replace("<", "\\u003c")
    title = "Median speed-up against mean PSNR, a line for each method"
    return PAGE.format(title=title, library=library.read_text(encoding="utf-8"), figure=shown)


def with_a_speed(
    rows: Sequence[Mapping[str, Any]], steps: int, shift: float | None
) -> list[Mapping[str, Any]]:
    """The rows of a grid whose speed was measured, but for the uncached run as such."""
    grid = (steps, shift)
    return [
        row
        for row in rows
        if (row["steps"], row["shift"]) == grid and row["speedup"] and row["family"] != "uncached"
    ]


def figure(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Plotly's figure: each family's frontier; ours is drawn strong, uncached runs dotted."""
    families: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        families.setdefault(row["family"], []).append(row)
    drawn: Counter[int] = Counter()  # so that marks differ where colours do not
    data = []
    for members in sorted(families.values(), key=_place):
        group = _group(members[0])
        data.append(_trace(drawn[group], members))
        drawn[group] += 1
    first = rows[0]
    shift = "the model's own flow shift" if first["shift"] is None else f"shift {first['shift']:g}"
    devices = " and ".join(sorted({row["device"] for row in rows}))
    timed = {row.get("speedup_device") or row["device"] for row in rows}
    title = (
        f"{first['model']}, {first['steps']} steps, {shift}, {first['prompts']} prompts<br>"
        f"{devices}; speed on {' and '.join(sorted(timed))}"
    )
    axis = {"zeroline": False, "gridcolor": "#e5e5e5", "linecolor": "#888"}
    layout = {
        "title": {"text": title, "font": {"size": 13}},
        "xaxis": {
            **axis,
            "title": {"text": "Speed-up, from median steps (right is faster)"},
            "ticksuffix": "×",
        },
        "yaxis": {
            **axis,
            "title": {"text": "Mean PSNR to the uncached video, dB (up is closer)"},
        },
        "legend": {"font": {"size": 11}},
        "margin": {"t": 64, "r": 20, "b": 60, "l": 70},
        "plot_bgcolor": "#fff",
        "font": {"family": "system-ui, sans-serif"},
    }
    return {"data": data, "layout": layout}


def _group(row: Mapping[str, Any]) -> int:
    """What is drawn alike: ours, uncached runs, all others."""
    if row["ours"]:
        return 0
    return 1 if row["family"].startswith("uncached/") else 2


def _place(members: Sequence[Mapping[str, Any]]) -> tuple[int, float, float]:
    """Where a family stands in the legend: in its group, the closer, the higher."""
    points = [(row["speedup"], row["psnr_db"]) for row in members]
    at_usual = decibels_at(points, USUAL_SPEED)
    return _group(members[0]), -(at_usual or 0.0), -max(decibels for _, decibels in points)


def _trace(number: int, members: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    first = members[0]
    by_gain = {(row["speedup"], row["psnr_db"]): row for row in members}
    line = [by_gain[point] for point in frontier(by_gain)]
    is_uncached = _group(first) == 1
    mark = MARKS[(number + number // len(MARKS)) % len(MARKS)]  # with its colour once in 64
    colour = COLOURS[number % len(COLOURS)]
    colour = OURS if first["ours"] else UNCACHED if is_uncached else colour
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": first["title"],
        "x": [row["speedup"] for row in line],
        "y": [row["psnr_db"] for row in line],
        "text": [
            f"{row['value']}: {100 * row['compute_share']:.0f} % of the work, "
            f"worst prompt {row['psnr_db_worst']:.1f} dB"
            for row in line
        ],
        "hovertemplate": "%{fullData.name}<br>%{x:.2f}×, %{y:.1f} dB<br>%{text}<extra></extra>",
        "marker": {
            "size": 11 if first["ours"] else 8,
            "color": colour,
            "symbol": f"{mark}-open" if is_uncached else mark,
        },
        "line": {
            "color": colour,
            "width": 3 if first["ours"] else 1.3,
            "dash": "dot" if is_uncached else "solid",
        },
    }
